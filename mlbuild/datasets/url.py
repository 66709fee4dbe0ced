"""Datasets at an address: ``url: https://...`` with ``sha256`` or ``md5``."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlbuild.datasets import archives
from mlbuild.datasets.cached import Facts
from mlbuild.datasets.contents import place
from mlbuild.datasets.download import download
from mlbuild.datasets.transport import Transport
from mlbuild.errors import PipelineError, Problem
from mlbuild.records import Dataset, Progress
from mlbuild.toolchains.packageindex import redact_address

OPTIONS = ("sha256", "md5", "extract", "files")
_LENGTHS = {"sha256": 64, "md5": 32}


def check(dataset: Dataset) -> None:
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
    if dataset.options.get("files") is not None and not _unpacked(dataset):
        what = f"dataset '{dataset.name}': 'files' chooses out of an archive"
        got = f"{file_name(dataset)} is not unpacked"
        allowed = archives.SUFFIXES
        raise PipelineError(Problem(what, dataset.place, got=got, allowed=allowed))


def expected(dataset: Dataset) -> dict[str, str]:
    """Algorithm -> digest, as the pipeline file gives them."""
    options = dataset.options
    return {a: str(options[a]).lower() for a in _LENGTHS if options.get(a) is not None}


def make(
    dataset: Dataset, content: Path, downloads: Path, *, frozen: Facts, progress: Progress
) -> Facts:
    """Fetches the file and unpacks it into ``content`` where it is an archive."""
    label = f"dataset '{dataset.name}'"
    known = {"sha256": str(frozen["sha256"])} if frozen.get("sha256") else {}
    name = file_name(dataset)
    unpacked = _unpacked(dataset)
    file = (downloads if unpacked else content) / name
    arriving = downloads / name
    digests = download(
        dataset.location,
        arriving,
        expected=known | expected(dataset),
        label=label,
        progress=progress,
        transport=Transport(),
    )
    facts: Facts = {"sha256": digests["sha256"], "size": arriving.stat().st_size}
    if not unpacked:
        arriving.rename(file)
        return facts | {"single": name}
    held = archives.members(file, label)
    names = {name: name for name, member in held.items() if member.kind != "folder"}
    places, single = place(dataset, names)
    archives.unpack(file, content, places, held, label=label, progress=progress)
    return facts | ({"single": single} if single else {})


def _unpacked(dataset: Dataset) -> bool:
    return archives.is_archive(file_name(dataset)) and dataset.options.get("extract") is not False


def file_name(dataset: Dataset) -> str:
    """What the address calls its file."""
    name = unquote(urlsplit(dataset.location).path).rpartition("/")[2]
    return "data" if name in ("", ".", "..") or "\0" in name else name
