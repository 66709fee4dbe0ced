"""The format: a folder for each model.

::

    golden.json        format, version, model (path, digest), system, runs, digests of the files
    inputs.npz/.json   what every sample holds: arrays, and all that is no array
    cpu_only.npz/.json the answers of one compute unit; others beside it

A key of an ``.npz`` is ``SAMPLE/FEATURE``. The JSON beside it says what each feature is: an array,
a picture (its mode), scores (the labels in the order of the array), a text, a number. Nothing is
pickled. A newer version than known is refused.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelFileError

FORMAT, VERSION = "mlbuild-golden", 1
FACTS = "golden.json"
INPUTS = "inputs"
_FIELDS = {"model": dict, "system": dict, "samples": list, "runs": list, "files": dict}

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Golden:
    """A recording that was opened and found whole; ``values`` reads its parts."""

    folder: Path
    model: Mapping[str, Any]  # path from the folder, sha256, type
    system: Mapping[str, Any]
    samples: tuple[str, ...]
    runs: tuple[str, ...]  # compute units

    def inputs(self) -> list[Values]:
        """Of every sample, as ``predict`` takes them."""
        return read_values(self.folder, INPUTS, len(self.samples))

    def answers(self, unit: str) -> list[Values]:
        """Of every sample, as ``predict`` gives them."""
        return read_values(self.folder, unit.lower(), len(self.samples))

    @property
    def model_path(self) -> Path:
        """Where the model lay when it was recorded, seen from the folder."""
        return (self.folder / str(self.model.get("path", ""))).resolve()


def find(folder: str | Path) -> list[Path]:
    """The folders of recordings in a folder, itself among them.

    Raises:
        ModelFileError: there is none.
    """
    found = sorted(file.parent for file in Path(folder).rglob(FACTS))
    if not found:
        raise ModelFileError(
            f"there is no {FACTS} here or below",
            place=str(folder),
            hint="record it on a Mac: mlbuild golden record FOLDER --model MODEL --samples SAMPLES",
        )
    return found


def write_golden(
    folder: Path,
    model: Mapping[str, Any],
    system: Mapping[str, Any],
    samples: Sequence[str],
    parts: Mapping[str, Sequence[Values]],
) -> Golden:
    """Write a recording; ``parts`` are the inputs and the answers by compute unit."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in parts.items():
        write_values(folder, name.lower(), values)
    names = [f"{name.lower()}{end}" for name in parts for end in (".npz", ".json")]
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "model": dict(model),
        "system": dict(system),
        "samples": list(samples),
        "runs": [name for name in parts if name != INPUTS],
        "files": {name: sha256(folder / name) for name in names},
    }
    text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / FACTS).write_text(text + "\n", encoding="utf-8")
    return open_golden(folder)


def open_golden(folder: str | Path) -> Golden:
    """Open a recording and check that it is whole.

    Raises:
        ModelFileError: a file is missing, was changed, or is of a newer version.
    """
    folder = Path(folder)
    facts = _facts(folder / FACTS)
    for name, digest in facts["files"].items():
        file = folder / name
        if not file.is_file():
            raise ModelFileError("a file of the recording is missing", place=str(file))
        if sha256(file) != digest:
            raise ModelFileError(
                "a file of the recording is not what was recorded",
                place=str(file),
                hint="take it from version control again (Git LFS: git lfs pull), or record anew",
            )
    return Golden(
        folder, facts["model"], facts["system"], tuple(facts["samples"]), tuple(facts["runs"])
    )


def _facts(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot be read: {error}", place=str(file)) from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ModelFileError(f"not of the format {FORMAT}", place=str(file))
    version = facts.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ModelFileError(
            "a newer version than this mlbuild reads",
            place=str(file),
            got=str(version),
            allowed=(f"up to {VERSION}",),
        )
    for name, kind in _FIELDS.items():
        if not isinstance(facts.get(name), kind):
            raise ModelFileError(f"'{name}' is missing or of another kind", place=str(file))
    wanted = {f"{n.lower()}{e}" for n in (INPUTS, *facts["runs"]) for e in (".npz", ".json")}
    if lacking := sorted(wanted - set(facts["files"])):
        raise ModelFileError(f"no digest of {', '.join(lacking)}", place=str(file))
    return facts


def write_values(folder: Path, name: str, samples: Sequence[Values]) -> None:
    """Write the features of every sample."""
    arrays: dict[str, Any] = {}
    facts: list[dict[str, Any]] = []
    for number, values in enumerate(samples):
        facts.append({})
        for feature, value in values.items():
            fact, array = _packed(value)
            facts[-1][feature] = fact
            if array is not None:
                arrays[f"{number}/{feature}"] = array
    np.savez(folder / f"{name}.npz", **arrays)
    text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def read_values(folder: Path, name: str, count: int) -> list[Values]:
    """Read what ``write_values`` wrote.

    Raises:
        ModelFileError: an array is missing, or something cannot be read.
    """
    file = folder / f"{name}.npz"
    try:
        facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        with np.load(file, allow_pickle=False) as data:
            arrays = {key: data[key] for key in data.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"cannot be read: {error}", place=str(file)) from error
    if not isinstance(facts, list) or len(facts) != count:
        got = f"{len(facts)} samples" if isinstance(facts, list) else type(facts).__name__
        raise ModelFileError("not as many samples as were recorded", place=str(file), got=got)
    return [
        {name: _unpacked(fact, arrays, f"{number}/{name}", file) for name, fact in sample.items()}
        for number, sample in enumerate(facts)
    ]


def sha256(file: Path) -> str:
    """Of one file's bytes."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _packed(value: Any) -> tuple[dict[str, Any], Any]:
    if isinstance(value, Mapping):
        keys = list(value)
        return {"kind": "scores", "keys": keys}, np.array([value[k] for k in keys], np.float64)
    if hasattr(value, "convert"):  # a PIL picture
        return {"kind": "picture", "mode": value.mode}, np.asarray(value)
    if isinstance(value, str):
        return {"kind": "text", "value": value}, None
    if isinstance(value, int | float):
        return {"kind": "number", "value": value}, None
    if isinstance(value, list | tuple):
        return {"kind": "list", "value": list(value)}, None
    return {"kind": "array"}, np.asarray(value)


def _unpacked(fact: Any, arrays: Mapping[str, Any], key: str, file: Path) -> Any:
    kind = fact.get("kind") if isinstance(fact, dict) else None
    if kind in ("text", "number", "list"):
        return fact["value"]
    if kind not in ("array", "picture", "scores"):
        raise ModelFileError(f"'{key}' is of an unknown kind", place=str(file), got=str(kind))
    if key not in arrays:
        raise ModelFileError(f"the array '{key}' is missing", place=str(file))
    if kind == "scores":
        if arrays[key].shape != (len(fact["keys"]),):
            raise ModelFileError(f"'{key}' does not hold a score for each label", place=str(file))
        return dict(zip(fact["keys"], arrays[key].tolist(), strict=True))
    if kind == "picture":
        from PIL import Image  # lazy: Pillow is optional

        return Image.fromarray(arrays[key])
    return arrays[key]
