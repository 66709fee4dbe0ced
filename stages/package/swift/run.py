"""A Swift package around a Core ML model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ..._shared.digests.tree import files_of
from ..._shared.packaging.facts import accepted, read
from ..._shared.problem.problem import Problem, told
from ..._shared.swift.names import type_name
from ..._shared.swift.package import Preparation, texts

_PREPROCESSING = "mlbuild.preprocessing"  # metadata that convert/coreml writes


@told
def run(job: Any) -> None:
    """Generate the texts, check that they parse, lay the model beside them."""
    model, package = job.inputs["model"], job.outputs["package"]
    facts = read(model)
    name = type_name(package.name)
    kind = job.params.type or name + ("Classifier" if facts.labels else "Model")
    if kind == name:
        raise Problem(
            f"type: {kind!r} is the package's own name, which Xcode gives the class it generates",
            hint=f"call it {name}Classifier or {name}Model",
        )
    reports = accepted(job.inputs.get("reports") or [], job.axes.get("reports") or [], model)
    preparation = Preparation.of(_preprocessing(facts.description.metadata))
    written = texts(name, kind, facts, job.params.platforms, preparation, reports)
    for path, text in written.items():
        file = package / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    resources = package / "Sources" / name / "Resources"
    shutil.copytree(model, resources / f"{name}.mlpackage", copy_function=_copy)
    files = files_of(package)
    job.metric("size_mb", sum(file["size_bytes"] for file in files) / 1e6)
    job.metric("files", len(files))


def _copy(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    Path(target).chmod(0o644)  # a cached artifact may be read-only; a package is the user's own


def _preprocessing(metadata: dict[str, Any]) -> dict[str, Any] | None:
    text = metadata.get("user_defined", {}).get(_PREPROCESSING)
    if text is None:
        return None
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise Problem(f"the model's metadata {_PREPROCESSING} cannot be read: {error}") from error
