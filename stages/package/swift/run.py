"""A Swift package around a Core ML model, or several for different systems."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ..._shared.digests.tree import files_of
from ..._shared.packaging.facts import accepted, read
from ..._shared.problem.problem import Problem, told
from ..._shared.swift.language import FILE as LANGUAGE_FILE
from ..._shared.swift.language import Language
from ..._shared.swift.names import type_name
from ..._shared.swift.package import Bundled, Preparation, texts
from ..._shared.swift.platforms import platforms_of
from ..._shared.swift.variants import variants

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
    others = list(job.inputs.get("variants") or [])
    newer, order = variants(name, facts, [read(other) for other in others], platforms_of)
    files = _files(job.inputs.get("files") or [], name)
    reports = _accepted(job, [model, *others])
    preparation = Preparation.of(_preprocessing(facts.description.metadata))
    language = Language.of(facts.description.metadata)
    spoken = {LANGUAGE_FILE} if language and LANGUAGE_FILE not in files else set()
    bundled = Bundled(tuple(newer), tuple(sorted({*files, *spoken})), language)
    written = texts(name, kind, facts, job.params.platforms, preparation, reports, bundled)
    for path, text in written.items():
        file = package / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    resources = package / "Sources" / name / "Resources"
    shutil.copytree(model, resources / f"{name}.mlpackage", copy_function=_copy)
    for variant, place in zip(newer, order, strict=True):
        target = resources / f"{variant.resource}.mlpackage"
        shutil.copytree(others[place], target, copy_function=_copy)
    for file_name, source in files.items():
        _copy(str(source), str(resources / file_name))
    if language and spoken:
        (resources / LANGUAGE_FILE).write_text(language.text(), encoding="utf-8")
    made = files_of(package)
    job.metric("size_mb", sum(file["size_bytes"] for file in made) / 1e6)
    job.metric("files", len(made))


def _files(given: list[Path], name: str) -> dict[str, Path]:
    """Files for the bundle, by name; of a folder those in it.

    Raises:
        Problem: two bear the same name, which a bundle cannot tell apart.
    """
    found: dict[str, Path] = {}
    for path in given:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in inside:
            if file.name in found or file.name == f"{name}.mlpackage":
                raise Problem(f"files: two are called {file.name}, a bundle knows only one")
            found[file.name] = file
    return found


def _accepted(job: Any, models: list[Path]) -> list[dict[str, Any]]:
    """Figures of all models; at least one of the reports must be about one of them."""
    reports, axes = job.inputs.get("reports") or [], job.axes.get("reports") or []
    found: list[dict[str, Any]] = []
    for place, model in enumerate(models):
        try:
            found += accepted(reports, axes, model)
        except Problem:
            if place + 1 == len(models) and not found:
                raise
    return found


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
