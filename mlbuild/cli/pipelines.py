"""All pipelines of a project, for the verbs that look at every one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mlbuild.build import Pipeline
from mlbuild.errors import DataError, MlbuildError
from mlbuild.pipeline.root import project_root
from mlbuild.store.pins import SUFFIX

_PINS = re.compile(rf"^      ['\"]?(.+){re.escape(SUFFIX)}['\"]?:[ \t]*$", re.M)
_PATH = re.compile(r"^    - path: ['\"]?(.+?)['\"]?[ \t]*$", re.M)


def here() -> Path:
    """The project that the caller stands in."""
    return project_root(Path.cwd() / "pipeline.yaml")


def pipeline_files(root: Path) -> list[Path]:
    """Every file in `pipelines/`, and those elsewhere that dvc.lock names, there or not."""
    folder = root / "pipelines"
    found = [p for p in sorted(folder.glob("*.y*ml")) if p.suffix in (".yaml", ".yml")]
    found = [p for p in found if not p.stem.endswith(".lock")]  # their lock files' old name
    stems = {p.with_suffix("") for p in found}
    named = (root / name for name in dict.fromkeys(_PINS.findall(_ledger(root))))
    return found + [stem.with_name(f"{stem.name}.yaml") for stem in named if stem not in stems]


def declared_outputs(root: Path) -> frozenset[str] | None:
    """The paths of all outputs that a pipeline or the ledger has; None if a pipeline is broken."""
    paths = set(_PATH.findall(_ledger(root)))
    for file in pipeline_files(root):
        if file.exists():
            try:
                stages = Pipeline.load(file).resolved.stages
            except MlbuildError:
                return None
            paths |= {out.path for stage in stages for out in stage.outputs}
    return frozenset(paths)


def stages_named(root: Path, file: Path) -> int:
    """How many stages of a pipeline dvc.lock holds."""
    stem = file.with_suffix("").relative_to(root).as_posix()
    return sum(name == stem for name in _PINS.findall(_ledger(root)))


def is_file(name: str) -> bool:
    """Whether an argument is meant as a pipeline's file; no stage's name ends so."""
    return Path(name).suffix in (".yaml", ".yml")


def worst(codes: Iterable[int]) -> int:
    """The exit code of several things together: that of the one to look at first."""
    order = (DataError.exit_code, *range(1, 6))
    found = set(codes) - {0}
    return next((code for code in order if code in found), 0)


def _ledger(root: Path) -> str:
    try:
        return (root / "dvc.lock").read_text("utf-8", "replace")
    except OSError:
        return ""
