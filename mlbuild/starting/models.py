"""What a model's file is: its format by its suffix, and what stages must be told of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mlbuild.api import type_of_path
from mlbuild.errors import Problem, UsageError


@dataclass(frozen=True, slots=True)
class Format:
    """One format of models."""

    name: str
    framework: str
    toolchain: str  # whose Python reads it
    trusted: bool = False  # it may hold code: stages read it only with `trust: true`
    shaped: bool = True  # whether it says how large its inputs are


_FORMATS = {
    "OnnxModel": Format("ONNX", "onnx", "onnx"),
    "TorchScript": Format("TorchScript", "torch", "torch", shaped=False),
    "ExportedProgram": Format("torch.export", "torch", "torch", trusted=True, shaped=False),
    "KerasModel": Format("Keras", "keras", "tensorflow"),
    "SavedModel": Format("SavedModel", "tensorflow", "tensorflow"),
    "SklearnModel": Format("scikit-learn", "sklearn", "classical", trusted=True),
    "XGBoostModel": Format("XGBoost", "xgboost", "classical"),
    "CoreMLModel": Format("Core ML", "coreml", "torch"),
    "CoreMLFile": Format("Core ML", "coreml", "torch"),
}
_ENDS = {
    "TFLiteModel": "TensorFlow Lite",
    "ExecuTorchModel": "ExecuTorch",
    "CoreAIModel": "Core AI",
}
_SMALL = 200_000  # bytes
SUFFIXES = (".onnx", ".pt", ".pt2", ".h5", ".keras", ".joblib", ".ubj", ".mlpackage", ".mlmodel")


@dataclass(frozen=True, slots=True)
class Model:
    """A model that exists."""

    path: Path
    type: str  # as stages call it
    format: Format
    size: int = 0  # bytes

    @property
    def small(self) -> bool:
        """Whether it has too few weights for compression to be worth anything."""
        return self.size < _SMALL


def look_at_model(path: Path) -> Model:
    """The model at a path.

    Raises:
        UsageError: there is none, or nothing that can become a Core ML model.
    """
    if not path.exists():
        raise UsageError(Problem(f"there is no model at {path}"))
    kind = _type(path)
    if kind in _ENDS:
        raise UsageError(
            Problem(
                f"a model of {_ENDS[kind]} cannot be converted: what it was made of is gone",
                got=str(path),
                allowed=SUFFIXES,
                hint="give the model that it was made of",
            )
        )
    if kind not in _FORMATS:
        problem = Problem(f"{path} is no model that is known", allowed=(*SUFFIXES, "a SavedModel"))
        raise UsageError(problem)
    return Model(path, kind, _FORMATS[kind], _size(path))


def _type(path: Path) -> str:
    if path.is_dir() and (path / "saved_model.pb").is_file():
        return "SavedModel"
    if path.suffix.lower() == ".json" and path.is_file():
        return "XGBoostModel" if b'"learner"' in _start(path) else "Any"
    return type_of_path(path.name)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


def shape_of(text: str) -> tuple[str, list[int]]:
    """An input as it is given on the command line: ``image=1,3,224,224``.

    Raises:
        UsageError: it is none.
    """
    name, sign, sizes = text.partition("=")
    parts = re.split(r"[,x]", sizes)
    good = re.fullmatch(r"[A-Za-z_]\w*", name) and all(p.isdecimal() and int(p) for p in parts)
    if not (sign and good):
        raise UsageError(
            Problem(f"'{text}' is no input", allowed=("NAME=SIZE,SIZE,...: image=1,3,224,224",))
        )
    return name, [int(part) for part in parts]
