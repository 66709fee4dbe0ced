"""Datasets on a model hub: ``hf: {repo: org/name, rev: v1}``, models and datasets alike.

Source: Hub API endpoints (huggingface.co/docs/hub/api): ``/api/models/REPO/revision/REV`` lists a
revision's commit and files, ``/REPO/resolve/COMMIT/PATH`` is a file. Files of large-file storage
are listed with their SHA-256, all others with the object's name in git, the SHA-1 over its content
with a header in front.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import urllib.error
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from mlbuild.datasets.cached import Facts
from mlbuild.datasets.contents import place
from mlbuild.datasets.download import download
from mlbuild.datasets.order import Order
from mlbuild.datasets.revision import known_commit
from mlbuild.datasets.transport import Transport
from mlbuild.errors import DataError, Problem
from mlbuild.records import Dataset
from mlbuild.toolchains.addresses import redact_address

_COMMIT = re.compile(r"[0-9a-f]{40}")
_FOLDERS = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    sha256: str | None  # of large files
    object: str | None  # in git, of all others


def commit(dataset: Dataset, frozen: Facts, *, offline: bool) -> str:
    """The commit that the dataset's revision means now, or meant when it was frozen."""
    shown = f"hf {dataset.location}"
    known = known_commit(dataset, frozen, forbidden=offline, shown=shown)
    return known or str(_ask(dataset, str(dataset.options["rev"]))["sha"])


def make(order: Order) -> Facts:
    """Fetches the chosen files of one commit, each verified by the digest that the hub lists."""
    dataset, wanted = order.dataset, str(order.frozen["commit"])
    if order.offline:
        raise order.forbidden(f"hf {dataset.location} at {dataset.options['rev']}")
    held = {file.path: file for file in _listed(dataset, wanted)}
    places, single = place(dataset, {path: path for path in held})
    for done, (member, path) in enumerate(sorted(places.items())):
        order.progress(float(done), float(len(places)), f"{order.label}: {member}")
        _fetch(order, wanted, held[member], order.content / path)
    return {"commit": wanted} | ({"single": single} if single else {})


def _fetch(order: Order, wanted: str, file: _File, target: Path) -> None:
    arrived = order.downloads / hashlib.sha256(file.path.encode()).hexdigest()[:16]
    url = f"{_base(order.dataset)}/resolve/{wanted}/{quote(file.path)}"
    download(
        url,
        arrived,
        expected={"sha256": file.sha256} if file.sha256 else {},
        label=order.label,
        progress=order.progress,
        transport=_transport(),
    )
    if file.sha256 is None and file.object is not None and _object(arrived) != file.object:
        got = _object(arrived)
        arrived.unlink()
        what = f"{order.label}: {redact_address(url)} is not what the hub lists"
        hint = "the file was deleted; run again to fetch it anew"
        raise DataError(Problem(what, got=f"git object {got}", allowed=(file.object,), hint=hint))
    target.parent.mkdir(parents=True, exist_ok=True)
    arrived.rename(target)


def _object(file: Path) -> str:
    """The name that git gives to the content."""
    digest = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as content:
        while chunk := content.read(1 << 18):
            digest.update(chunk)
    return digest.hexdigest()


def _listed(dataset: Dataset, wanted: str) -> list[_File]:
    found = []
    for item in _ask(dataset, wanted, "?blobs=true").get("siblings", []):
        path = str(item["rfilename"])
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            what = f"dataset '{dataset.name}': the hub lists a path that leads outside"
            raise DataError(Problem(what, dataset.place, got=repr(path)))
        found.append(_File(path, (item.get("lfs") or {}).get("sha256"), item.get("blobId")))
    return found


def _ask(dataset: Dataset, rev: str, query: str = "") -> dict[str, Any]:
    kind = str(dataset.options.get("type") or "model")
    url = f"{_endpoint()}/api/{kind}s/{dataset.location}/revision/{quote(rev, safe='')}{query}"
    try:
        with _transport().open(url, {"Accept": "application/json"}) as response:
            found = json.loads(response.read())
        if not isinstance(found, dict) or not _COMMIT.fullmatch(str(found.get("sha"))):
            raise ValueError("its answer names no commit")
        return found
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(_refused(dataset, url, error.code)) from error
    except (OSError, ValueError, KeyError) as error:
        what = f"dataset '{dataset.name}': the hub did not answer: {redact_address(url)}"
        reason = str(getattr(error, "reason", "") or error)
        raise DataError(Problem(what, dataset.place, got=reason)) from error


def _refused(dataset: Dataset, url: str, status: int) -> Problem:
    shown, rev = f"{dataset.location}", dataset.options["rev"]
    if status in (401, 403):
        what = f"dataset '{dataset.name}': the hub does not show {shown} to you"
        hint = "check its name; for a private one, put an access token into HF_TOKEN"
    elif status == 404:
        what = f"dataset '{dataset.name}': the hub has no revision '{rev}' of {shown}"
        hint = "check the name, and 'type' where it is no model"
    else:
        what = f"dataset '{dataset.name}': the hub refused {redact_address(url)}"
        hint = "try again later"
    return Problem(what, dataset.place, got=f"HTTP {status}", hint=hint)


def _base(dataset: Dataset) -> str:
    folder = _FOLDERS[str(dataset.options.get("type") or "model")]
    return f"{_endpoint()}/{folder}{dataset.location}"


def _endpoint() -> str:
    """The hub, or a mirror of it, under the name that its own tools use."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _transport() -> Transport:
    token = os.environ.get("HF_TOKEN")
    host = urlsplit(_endpoint()).hostname
    return Transport(tokens=((host, token),) if token and host else ())
