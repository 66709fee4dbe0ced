"""Downloading one file: resumed where it broke off, verified, tried again."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from mlbuild.datasets.transport import Transport
from mlbuild.errors import DataError, Problem
from mlbuild.records import Json, Progress
from mlbuild.toolchains.addresses import local_path, redact_address

_CHUNK = 1 << 18
_ATTEMPTS = 5  # in a row without a single new byte
_PAUSE_SECONDS = 0.5  # doubled after each of them
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
Digests = dict[str, str]


class _BrokenError(Exception):
    """The connection ended early; what arrived is good."""


def download(
    url: str,
    target: Path,
    *,
    expected: Mapping[str, str],
    label: str,
    progress: Progress,
    transport: Transport,
) -> Digests:
    """Fetches ``url`` into ``target``.

    What has arrived is kept beside it as ``.part`` and continued, also by a later process.

    Args:
        url: http, https or file.
        target: the file to write.
        expected: algorithm (sha256, md5) -> hexadecimal digest.
        label: what messages call it.
        progress: told of bytes.
        transport: opens connections.

    Returns:
        sha256 and md5 of the file.

    Raises:
        DataError: unreachable, or its digest is another one; the file is then deleted.
    """
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    wrong: tuple[str, str, str] | None = None
    for _ in range(2):
        resumed = _fetch(url, part, label, progress, transport)
        digests = file_digests(part)
        wrong = _wrong(expected, digests)
        if wrong is None:
            part.replace(target)
            _notes(part).unlink(missing_ok=True)
            return digests
        part.unlink()
        _notes(part).unlink(missing_ok=True)
        if not resumed:  # a file put together of two versions deserves a second try
            break
    assert wrong is not None
    algorithm, want, got = wrong
    problem = Problem(
        f"{label}: {redact_address(url)} is not what was expected",
        got=f"{algorithm} {got}",
        allowed=(f"{algorithm} {want}",),
        hint="the file was deleted; if it was changed on purpose, write the new digest down",
    )
    raise DataError(problem)


def file_digests(path: Path) -> Digests:
    """The sha256 and md5 of a file."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return {"sha256": sha256.hexdigest(), "md5": md5.hexdigest()}


def _wrong(expected: Mapping[str, str], got: Digests) -> tuple[str, str, str] | None:
    for algorithm, digest in expected.items():
        if got[algorithm] != digest.lower():
            return algorithm, digest.lower(), got[algorithm]
    return None


def _fetch(
    url: str,
    part: Path,
    label: str,
    progress: Progress,
    transport: Transport,
) -> bool:
    """Completes ``part``; whether some of it came from an earlier connection."""
    local = local_path(url)
    if local is not None:
        _copy(local, part, label)
        return False
    failures, resumed = 0, False
    while True:
        before = _size(part)
        try:
            return _continue(url, part, label, progress, transport) or resumed
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _TRANSIENT:
                what = _unreachable(label, url, f"HTTP {error.code} {error.reason}")
                raise DataError(what) from error
            reason = f"HTTP {error.code} {error.reason}"
        except (_BrokenError, http.client.HTTPException, urllib.error.URLError) as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        except (TimeoutError, ConnectionError) as error:
            reason = str(error) or type(error).__name__
        arrived = _size(part) > before
        resumed = resumed or arrived
        failures = 1 if arrived else failures + 1
        if failures >= _ATTEMPTS:
            raise DataError(_unreachable(label, url, reason))
        progress(float(_size(part)), None, f"{label}: {reason}, trying again")
        time.sleep(_PAUSE_SECONDS * 2 ** (failures - 1))


def _continue(url: str, part: Path, label: str, progress: Progress, transport: Transport) -> bool:
    """One connection; whether the server continued what was there."""
    have, known = _size(part), _known(part, url)
    headers = {"Accept-Encoding": "identity"}
    if have and known.get("validator"):
        headers |= {"Range": f"bytes={have}-", "If-Range": str(known["validator"])}
    if have and known.get("total") == have:
        return True
    try:
        response = transport.open(url, headers)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        part.unlink(missing_ok=True)  # there is less than we have: it is another file now
        raise _BrokenError("the file on the server changed") from error
    with response:
        start = have if response.status == 206 and _start(response) == have else 0
        if response.status == 206 and not start:
            part.unlink(missing_ok=True)
            raise _BrokenError("the server sent another range than was asked for")
        total = _total(response, start)
        _require_space(part.parent, label, (total or 0) - start)
        _note(part, url, response, total)
        _receive(response, part, start, total, label, progress)
    return bool(start)


def _receive(
    response: IO[bytes], part: Path, start: int, total: int | None, label: str, progress: Progress
) -> None:
    done = start
    with part.open("ab" if start else "wb") as file:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(float(done), None if total is None else float(total), label)
    if total is not None and done < total:
        raise _BrokenError(f"the connection ended after {done} of {total} bytes")


def _start(response: http.client.HTTPResponse) -> int | None:
    text = response.headers.get("Content-Range", "").removeprefix("bytes").strip()
    first = text.partition("-")[0]
    return int(first) if first.isdigit() else None


def _total(response: http.client.HTTPResponse, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _note(part: Path, url: str, response: http.client.HTTPResponse, total: int | None) -> None:
    """Remembers what makes it safe to continue: the version of the file on the server."""
    etag = response.headers.get("ETag", "")
    strong = etag if etag and not etag.startswith("W/") else None
    validator = strong or response.headers.get("Last-Modified")
    data = {"url": redact_address(url), "validator": validator, "total": total}
    _notes(part).write_text(json.dumps(data), "utf-8")


def _known(part: Path, url: str) -> dict[str, Json]:
    try:
        data = json.loads(_notes(part).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(data, dict) or data.get("url") != redact_address(url):
        return {}
    return data


def _notes(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _copy(source: Path, target: Path, label: str) -> None:
    if not source.is_file():
        raise DataError(_unreachable(label, f"file://{source}", "no such file"))
    _require_space(target.parent, label, _size(source))
    shutil.copyfile(source, target)
    os.chmod(target, 0o644)  # noqa: PTH101


def _require_space(folder: Path, label: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        got = f"{free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB needed"
        hint = "free the disk, or move the cache with MLBUILD_CACHE_DIR"
        raise DataError(Problem(f"{label}: not enough space in {folder}", got=got, hint=hint))


def _unreachable(label: str, url: str, reason: str) -> Problem:
    what = f"{label}: {redact_address(url)} could not be downloaded"
    hint = "check the address"
    if urlsplit(url).scheme != "file" and "HTTP 4" not in reason:
        hint = "try again: what has arrived is kept and continued"
    return Problem(what, got=redact_address(reason), hint=hint)
