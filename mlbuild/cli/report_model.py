"""`mlbuild report MODEL`: the jobs of `inspect`, `lint` and `compare`, for one page."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlbuild.cli import modeljob
from mlbuild.cli.compare import compared, toolchain_of
from mlbuild.errors import Problem, UsageError
from mlbuild.pipeline.root import project_root
from mlbuild.records import Json
from mlbuild.report.summary.badge import model_badge
from mlbuild.report.summary.before import RELEASE, revision
from mlbuild.report.summary.earlier import fetched, refuse_pointers, repository
from mlbuild.report.summary.json import model_json
from mlbuild.report.summary.model import Demands, FailOn, Model, Version
from mlbuild.report.summary.model_page import page
from mlbuild.toolchains import Toolchains

_SUFFIXES = (".mlpackage", ".mlmodel")

__all__ = ["demands", "examine", "facts", "page", "toolchains"]


def demands(fail_on: str, min_psnr_db: float | None) -> Demands:
    """What `--check` asks."""
    return Demands(FailOn(fail_on), min_psnr_db)


def toolchains(path: Path, source: Path | None) -> list[Path]:
    """The folders of the toolchains that a report on the model needs."""
    _check(path, "0")
    names = {modeljob.TOOLCHAIN} | ({toolchain_of(source)} if source else set())
    known = Toolchains(project_root(Path.cwd() / "pipeline.yaml"), {})
    return [known.path(name) for name in sorted(names)]


def examine(
    path: Path,
    against: str | None,
    source: Path | None,
    samples: str,
    limit: int,
    trust: bool,
    demanded: Demands,
) -> Model:
    """Looks at the model, at the one that it is to replace, and at its source.

    Raises:
        UsageError: something that was named is not there.
        DataError: an earlier version was there, and its content cannot be had.
        StageError: a job failed.
    """
    _check(path, samples)
    given = samples if samples.isdigit() else str(Path(samples).resolve())
    comparison = None
    if source is not None:
        # At least one: a comparison without samples would compare nothing.
        comparison = compared(source, path, "1" if given == "0" else given, limit, trust)
    with tempfile.TemporaryDirectory(prefix="mlbuild-") as folder:
        before, label, notes = _before(path, against, Path(folder))
        params = {
            "before": str(before.resolve()) if before else None,
            "samples": given,
            "limit": limit,
            "target": None,
        }
        told: Json = modeljob.answer("report", path, params)
    return Model(
        path.resolve().stem,
        path.as_posix(),
        Version.of(told["now"]),
        label,
        Version.of(told["before"]) if told["before"] else None,
        told["beside"],
        source.as_posix() if source else None,
        comparison,
        demanded,
        notes,
    )


def facts(model: Model, style: str) -> str:
    """The formats that programs read."""
    return model_badge(model) if style == "badge" else model_json(model)


def _before(
    path: Path, against: str | None, folder: Path
) -> tuple[Path | None, str | None, tuple[str, ...]]:
    """Another version of the model, what it is called, and what there is to say of it."""
    if against is None:
        return None, None, ()
    other = Path(against)
    if other.suffix in _SUFFIXES and other.exists():
        refuse_pointers(other)
        return other, other.as_posix(), ()
    if against == RELEASE:
        hint = "give the model a pipeline, or name a git revision"
        raise UsageError("--against release is for a PIPELINE", hint=hint)
    then = revision(repository(path), against)
    found = fetched(path, then, folder)
    if found is None:
        return None, None, (f"there was no {path.as_posix()} at {against}: it is new",)
    return found, f"{then.label} ({then.commit[:7]})", ()


def _check(path: Path, samples: str) -> None:
    if path.suffix not in _SUFFIXES:
        raise UsageError(
            Problem(
                f"{path}: neither a pipeline file nor a Core ML model",
                allowed=(".yaml", ".yml", *_SUFFIXES),
            )
        )
    if not path.exists():
        tracked = path.with_name(f"{path.name}.dvc")
        hint = f"dvc pull {tracked}" if tracked.exists() else "name an .mlpackage or .mlmodel"
        raise UsageError(Problem(f"there is no model at {path}", hint=hint))
    refuse_pointers(path)
    if not samples.isdigit() and not Path(samples).exists():
        what = f"--samples {samples}: there is no such file or folder"
        raise UsageError(Problem(what, hint="or give a number"))
