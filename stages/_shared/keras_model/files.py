"""Keras files, .h5 and .keras: which Keras wrote one, whether it holds code, what it says.

Files of Keras 3 are read by Keras 3, older ones and those of tf-keras by tf-keras: neither reads
the other's. The suffix decides nothing, the first bytes do.

Sources: Keras documentation, Serialization and saving; the formats' own members.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..description.description import KEY, MEMBER, Description, from_text, to_text
from ..problem.problem import Problem

_HDF5 = b"\x89HDF\r\n\x1a\n"
_LONG = 60_000  # bytes; an attribute of HDF5 ends at 64 KiB
_EPOCH = (1980, 1, 1, 0, 0, 0)
_NO_DATE = "1980-01-01@00:00:00"
_CODE = ("Lambda",)  # layers that hold Python bytecode


def load_model(tf: Any, path: Path, trusted: bool) -> Any:
    """The Keras model of a file, by the Keras that can read it.

    Args:
        tf: TensorFlow.
        path: the file.
        trusted: whether code in it may be run.

    Raises:
        Problem: it is no Keras model, holds code, or layers that Keras does not have.
    """
    version, config = facts(path)
    coded = [layer for layer in _classes(config) if layer in _CODE]
    if coded and not trusted:
        raise Problem(
            f"{path.name} has a {coded[0]} layer, which is Python code that runs when it is read",
            hint="if you trust its origin, write the input as {from: ..., trust: true}; or replace "
            "the layer",
        )
    keras = _keras(tf, version)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what newer versions will do otherwise
            return keras.models.load_model(_named(path), compile=False, safe_mode=not trusted)
    except Problem:
        raise
    except Exception as error:  # Keras raises whatever its layers stumble over
        raise Problem(
            f"{path.name} cannot be read by Keras {version.split('.')[0]}: {_first(error)}",
            hint="layers of your own are not in the file: save the model as a SavedModel, "
            "model.export(folder)",
        ) from error


def facts(path: Path) -> tuple[str, Any]:
    """The version of Keras that wrote a file, and its configuration.

    Raises:
        Problem: it is no Keras model.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                metadata = json.loads(archive.read("metadata.json"))
                return str(metadata["keras_version"]), json.loads(archive.read("config.json"))
        if path.is_file() and _start(path) == _HDF5:
            return _of_hdf5(path)
    except (OSError, KeyError, ValueError) as error:
        raise Problem(f"{path.name} is a damaged Keras file: {_first(error)}") from error
    if path.is_dir():
        raise Problem(
            f"{path.name} is a folder: a Keras model is one file, .h5 or .keras",
            hint="of a SavedModel say so: {from: ..., type: SavedModel}",
        )
    raise Problem(f"{path.name} is no Keras model: neither HDF5 nor a .keras archive")


def describe(path: Path) -> Description:
    """What a file says of itself; nothing where it says nothing."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if MEMBER not in archive.namelist():
                return {}
            return from_text(archive.read(MEMBER).decode("utf-8", "replace"), path.name)
    import h5py  # of this toolchain

    with h5py.File(path) as file:
        text = file.attrs.get(KEY)
        if text is None and KEY in file:
            text = file[KEY][()]
    return from_text(text.decode("utf-8") if isinstance(text, bytes) else text, path.name)


def save_model(model: Any, path: Path, description: Mapping[str, Any]) -> None:
    """Write a model with its description; equal models are equal bytes.

    Args:
        model: of tf-keras.
        path: ends in .h5 or .keras.
        description: as the contract of ``mlbuild.description`` has it.
    """
    if path.suffix == ".keras":
        model.save(path, save_format="keras")
        _undate(path, description)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that .h5 is the older of two formats
        model.save(path, save_format="h5", include_optimizer=False)
    import h5py

    text = to_text(description)
    with h5py.File(path, "a") as file:
        if len(text.encode()) < _LONG:
            file.attrs[KEY] = text
        else:
            file.create_dataset(KEY, data=text, track_times=False)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_HDF5))


def _of_hdf5(path: Path) -> tuple[str, Any]:
    import h5py

    with h5py.File(path) as file:
        config = file.attrs.get("model_config")
        if config is None:
            raise Problem(
                f"{path.name} holds weights alone, no model",
                hint="save the whole model, model.save(path), not its weights",
            )
        version = file.attrs.get("keras_version", "2")
        return _text(version), json.loads(_text(config))


def _keras(tf: Any, version: str) -> Any:
    if version.split(".")[0] in ("1", "2"):
        return tf.keras
    import keras  # Keras 3 stands beside tf-keras in the toolchain; only its own files need it

    return keras


def _named(path: Path) -> str:
    # Keras tells the format by the suffix, mlbuild by the content.
    wanted = ".keras" if zipfile.is_zipfile(path) else ".h5"
    if path.suffix != wanted:
        raise Problem(f"{path.name} is a {wanted} file by its content: give it that suffix")
    return str(path)


def _classes(config: Any) -> Iterator[str]:
    if isinstance(config, Mapping):
        if isinstance(config.get("class_name"), str):
            yield config["class_name"]
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from _classes(part)


def _undate(path: Path, description: Mapping[str, Any]) -> None:
    """Write the archive anew: sorted, without dates, with the description."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = {**json.loads(members["metadata.json"]), "date_saved": _NO_DATE}
    members["metadata.json"] = json.dumps(metadata).encode()
    members[MEMBER] = to_text(description).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
