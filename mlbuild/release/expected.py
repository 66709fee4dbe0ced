"""Who should have signed a release, as the pipelines of the project say: `release: sign:`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlbuild.errors import MlbuildError, Problem, UsageError
from mlbuild.pipeline.header import pipeline_name
from mlbuild.pipeline.load import load
from mlbuild.pipeline.nodes import Mapped, plain
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.release import read_released
from mlbuild.records import Json
from mlbuild.release.checking.keys import Signer, WithIdentity, public_key, with_key


@dataclass(frozen=True, slots=True)
class Releasing:
    """A pipeline that releases something."""

    file: Path
    name: str
    sign: Mapping[str, Json] = field(default_factory=dict)


def releasing(files: Iterable[Path], name: str) -> Releasing | None:
    """The pipeline that releases that name, of these files.

    Only the section is read: no kind of the project is imported for it, and nothing is trusted.

    Raises:
        PipelineError: none of them does, but one cannot be read: it might, and ask for a signature.
    """
    broken: MlbuildError | None = None
    for file in files:
        try:
            found = _read(file)
        except MlbuildError as error:
            broken = broken or error
            continue
        if found and found.name == name:
            return found
    if broken:
        raise broken
    return None


def signer_of(sign: Mapping[str, Json], root: Path) -> Signer | None:
    """Whose signature `release: sign:` makes; None where it does not tell.

    Raises:
        DataError: the public key cannot be read.
        UsageError: it is not told without a parameter of the pipeline.
    """
    for key, value in sign.items():
        if isinstance(value, str) and "${{" in value:
            what = f"`release: sign: {key}:` depends on a parameter: {value}"
            raise UsageError(Problem(what, hint="name the public key itself: --key"))
    if path := sign.get("public_key"):
        return with_key(public_key(root / str(path)), str(path))
    identity, issuer = sign.get("identity"), sign.get("issuer")
    if sign.get("keyless") and identity and issuer:
        return WithIdentity(str(identity), str(issuer))
    return None


def _read(file: Path) -> Releasing | None:
    document, problems = load(file), Problems()
    document.problems.raise_any()  # a key twice: which one is meant?
    root = document.root
    pipeline = pipeline_name(root, file, problems)
    params = root.get("params")
    released = read_released(
        root.get("release"), pipeline, plain(params) if isinstance(params, Mapped) else {}, problems
    )
    if released is None:
        return None
    problems.raise_any()
    sign = released.section.get("sign")
    return Releasing(file, released.name, plain(sign) if isinstance(sign, Mapped) else {})
