"""A model compiled and encrypted with a key that Apple manages."""

from __future__ import annotations

import base64
import binascii
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..._shared.apple_tools.macos import needs_macos
from ..._shared.apple_tools.xcrun import compile_model, system_options
from ..._shared.coreml_package.canonical import size_of
from ..._shared.problem.problem import Problem, told

_BLOCK = 4096  # bytes of weights that a plain copy would hold in one piece


@told
def run(job: Any) -> None:
    """Compile with the key, look at what came out."""
    needs_macos("package/encrypted", "Xcode's coremlcompiler")
    params, model, output = job.params, job.inputs["model"], job.outputs["model"]
    name = params.name or output.name.removesuffix(".mlmodelc")
    options = system_options(params.platform, params.deployment_target)
    with key_file(params.key_env, job.scratch) as key:
        encrypt = ["--encrypt", str(key)]
        compiled = compile_model(model, name, job.scratch / "compile", [*encrypt, *options])
        _look(compiled, key.read_bytes(), model)
    shutil.move(compiled, output)
    job.metric("size_mb", size_of(output) / 1e6)


@contextmanager
def key_file(variable: str, scratch: Path) -> Iterator[Path]:
    """The key as a file, for as long as it is needed.

    Raises:
        Problem: the variable is not set, or is neither a path nor base64.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise Problem(
            f"the secret {variable} is not set",
            f"pass it to the stage by `secrets: [{variable}]`; it holds the path of the "
            ".mlmodelkey file, or its bytes in base64",
        )
    # base64 may begin with a slash, and may be longer than any path.
    given = Path(value).expanduser() if len(value) < os.pathconf("/", "PC_PATH_MAX") else None
    if given is not None and given.is_file():
        yield given
        return
    try:
        data = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        # Nothing of the value may be told, nor of the error, which shows it.
        raise Problem(
            f"the secret {variable} is neither a file that exists nor base64",
            "base64 -i Dogs.mlmodelkey",
        ) from None
    key = scratch / "key.mlmodelkey"
    key.touch(mode=0o600)
    try:
        key.write_bytes(data)
        yield key
    finally:
        key.unlink()


def _look(compiled: Path, key: bytes, model: Path) -> None:
    """Refuse to publish a key, or weights that anybody can read."""
    plain = [_middle(file) for file in _weights(model)]
    for file in sorted(p for p in compiled.rglob("*") if p.is_file()):
        data, name = file.read_bytes(), file.relative_to(compiled).as_posix()
        if key in data or file.suffix == ".mlmodelkey":
            raise Problem(f"the compiled model holds the key, in {name}: it is not published")
        if any(block in data for block in plain):
            raise Problem(
                f"the compiled model is not encrypted: {name} holds the weights as they were",
                "this Xcode did not heed `--encrypt`; encryption needs Xcode 12 or later",
            )


def _weights(model: Path) -> list[Path]:
    files = [model] if model.is_file() else list(model.rglob("*.bin"))
    return [file for file in files if file.stat().st_size >= _BLOCK]


def _middle(file: Path) -> bytes:
    """A block of a file from where it is least likely to be padding."""
    data = file.read_bytes()
    begins = max(range(0, len(data) - _BLOCK + 1, _BLOCK), key=lambda at: _variety(data, at))
    return data[begins : begins + _BLOCK]


def _variety(data: bytes, at: int) -> int:
    return len(set(data[at : at + _BLOCK]))
