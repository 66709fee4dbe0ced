"""Reading package indexes: which files there are of one distribution (PEP 503, PEP 691)."""

from __future__ import annotations

import http.client
import json
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from mlbuild.datasets.transport import Transport
from mlbuild.toolchains.addresses import local_path, redact_address
from mlbuild.toolchains.packageindex import PackageIndex
from mlbuild.toolchains.pins import normalized

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


@dataclass(frozen=True, slots=True)
class Distribution:
    """One file that an index offers."""

    filename: str
    url: str
    name: str
    version: Version
    sha256: str | None = None

    @property
    def rank(self) -> tuple[int, str]:
        """Lower is better, and the same on every platform: the data inside is what counts."""
        if not self.filename.endswith(".whl"):
            return (2, self.filename)
        return (0 if self.filename.endswith("-none-any.whl") else 1, self.filename)


def distributions(
    name: str, index: PackageIndex, transport: Transport, *, offline: bool, trouble: list[str]
) -> list[Distribution]:
    """All files of one project, find-links first.

    Args:
        name: the project.
        index: where to look.
        transport: opens connections.
        offline: only places on this machine are asked.
        trouble: what could not be reached is appended, one line each.
    """
    name = normalized(name)
    pages = [*index.find_links, *(f"{url.rstrip('/')}/{name}/" for url in index.sources())]
    found: list[Distribution] = []
    for page in pages:
        if offline and local_path(page) is None:
            continue
        try:
            links = list(_links(page, transport))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in (404, 410):
                trouble.append(f"{redact_address(page)}: HTTP {error.code} {error.reason}")
            continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            trouble.append(f"{redact_address(page)}: {reason}")
            continue
        found += [d for url, sha256 in links if (d := _parsed(url, sha256)) and d.name == name]
    return found


def _links(page: str, transport: Transport) -> Iterator[tuple[str, str | None]]:
    """(address, sha256) of each file that a page or a folder lists."""
    path = local_path(page)
    if path is not None:
        yield from _local_links(path)
        return
    with transport.open(page, {"Accept": _ACCEPT}) as response:
        text = response.read().decode("utf-8", "replace")
        base = response.geturl()
        if "json" in response.headers.get("Content-Type", ""):
            for file in json.loads(text)["files"]:
                yield urljoin(base, file["url"]), file.get("hashes", {}).get("sha256")
        else:
            yield from _html_links(text, base)


def _local_links(path: Path) -> Iterator[tuple[str, str | None]]:
    path = path.absolute()
    page = path if path.suffix == ".html" else path / "index.html"
    if page.is_file():
        yield from _html_links(page.read_text("utf-8", "replace"), path.as_uri() + "/")
    elif path.is_dir():
        for file in sorted(path.iterdir()):
            yield file.as_uri(), None
    elif path.is_file():
        yield path.as_uri(), None


def _html_links(text: str, base: str) -> Iterator[tuple[str, str | None]]:
    anchors = _Anchors()
    anchors.feed(text)
    for href in anchors.found:
        url, fragment = urldefrag(urljoin(base, href))
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        yield url, sha256


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps the address of each link."""
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.found.append(href)


def _parsed(url: str, sha256: str | None) -> Distribution | None:
    filename = unquote(urlsplit(url).path.rpartition("/")[2])
    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None
    return Distribution(filename, url, str(name), version, sha256)
