"""What makes a model the same model: its labels, and a digest of all but its metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .labels import class_labels
from .mil.reader import read_function
from .mil.weights import WeightFiles
from .package import open_model

_PIECE = 1 << 20


def labels_of(path: str | Path) -> list[str]:
    """The labels of a classifier in the order of its scores; none for other models."""
    files = open_model(path)
    if files.spec.WhichOneof("Type") != "mlProgram":
        return [str(label) for label in _declared(files.spec)]
    name = files.spec.description.defaultFunctionName or None
    function, weights = read_function(files.spec.mlProgram, name), WeightFiles(files.folder)
    return [str(label) for label in class_labels(function, weights)]


def _declared(spec: Any) -> Sequence[str | int]:
    """What a model of another type declares itself; of a pipeline, what its last classifier does.

    Source: Core ML specification, the oneof ClassLabels of every classifier.
    """
    message = getattr(spec, spec.WhichOneof("Type"))
    if "ClassLabels" in message.DESCRIPTOR.oneofs_by_name:
        kind = message.WhichOneof("ClassLabels")
        return tuple(getattr(message, kind).vector) if kind else ()
    pipeline = getattr(message, "pipeline", message)  # of a PipelineClassifier
    found = (_declared(inner) for inner in reversed(getattr(pipeline, "models", ())))
    return next((labels for labels in found if labels), ())


def content_of(path: str | Path) -> str:
    """SHA-256 over everything but the metadata (author, description, licence, version).

    Models of equal content give equal answers; so do some of different content.
    """
    files = open_model(path)
    spec = type(files.spec)()
    spec.CopyFrom(files.spec)
    spec.description.ClearField("metadata")
    whole = hashlib.sha256(spec.SerializeToString(deterministic=True))
    beside = sorted(files.folder.rglob("*")) if files.path.is_dir() else []
    for file in beside:
        if file.is_file() and file != files.spec_file:
            with file.open("rb") as stream:
                inner = hashlib.sha256()
                while piece := stream.read(_PIECE):
                    inner.update(piece)
            whole.update(
                f"\n{file.relative_to(files.folder).as_posix()} {inner.hexdigest()}".encode()
            )
    return whole.hexdigest()
