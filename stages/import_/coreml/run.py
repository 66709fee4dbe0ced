"""Read, change the face, prove that nothing else changed, save."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import coremltools as ct

from mlbuild.coreml import CoreMLError, load, summarize
from mlbuild.coreml.package import open_model

from ..._shared.coreml_package.canonical import canonicalize, size_of
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_setup.configure import configure
from .face import change
from .proof import prove

_SUFFIXES = (".mlpackage", ".mlmodel")


@told
def run(job: Any) -> None:
    """Import the job's model."""
    configure(job)
    path = only_model(job.inputs["model"])
    original = _opened(path)
    job.progress(0, 3, "changing")
    spec, weights = _read(path)
    changed = change(spec, job.params)
    job.progress(1, 3, "saving")
    package = job.outputs["model"]
    ct.utils.save_spec(spec, str(package), weights_dir=weights)
    canonicalize(package)
    job.progress(2, 3, "comparing")
    proven = prove(original, _opened(package), job.params.rename)
    job.log(proven)
    facts = summarize(package, measure=False)
    told_facts = {"from": path.name, "changed": changed, "proof": proven, **facts}
    text = json.dumps(told_facts, indent=1, sort_keys=True, ensure_ascii=False, default=str)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.metric("size_mb", size_of(package) / 1e6)
    job.metric("operators", len(original.operators()))
    job.metric("specification_version", spec.specificationVersion)


def only_model(given: Path) -> Path:
    """The model that an input means.

    Raises:
        Problem: there is none, or not one alone.
    """
    if given.suffix in _SUFFIXES or given.is_file():
        return given
    if given.suffix == ".mlmodelc":
        raise Problem(f"{given.name} is compiled", hint="give what it was compiled from")
    found = [p for p in sorted(given.rglob("*")) if p.suffix in _SUFFIXES and _outermost(p, given)]
    if len(found) != 1:
        names = ", ".join(p.name for p in found[:5]) or "none"
        raise Problem(
            f"{given.name} must hold exactly one .mlpackage or .mlmodel, found: {names}",
            hint="choose one: files: '**/NAME.mlpackage/**', or name it as a path",
        )
    return found[0]


def _outermost(path: Path, folder: Path) -> bool:
    """An .mlpackage holds an .mlmodel of its own."""
    between = path.relative_to(folder).parents
    return not any(p.suffix in _SUFFIXES for p in between)


def _opened(path: Path) -> Any:
    try:
        return load(path)
    except CoreMLError as error:
        raise Problem(f"{path.name} cannot be taken: {error}") from error


def _read(path: Path) -> tuple[Any, str | None]:
    files = open_model(path)
    weights = files.folder / "weights"
    return files.spec, str(weights) if weights.is_dir() else None
