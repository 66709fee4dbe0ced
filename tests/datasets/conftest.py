"""A loopback web server that can misbehave, and datasets in few words."""

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlbuild.datasets import Fetched, fetch
from mlbuild.records import Dataset, Json


class Web:
    """What the server offers and what it was asked."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.files: dict[str, bytes] = {}
        self.etag: str | None = '"one"'
        self.ranges = True
        self.break_after: list[int] = []  # bytes sent before each of the next connections ends
        self.statuses: list[int] = []  # of the next answers, before all is well
        self.redirects: dict[str, str] = {}
        self.login: str | None = None
        self.content_type = "text/html"
        self.asked: list[tuple[str, str | None]] = []  # (path, Range)

    def url(self, name: str) -> str:
        return f"{self.base}/{name}"


def _handler(web: Callable[[], Web]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None: ...

        def do_GET(self) -> None:
            site, name = web(), self.path.lstrip("/")
            site.asked.append((name, self.headers.get("Range")))
            if site.statuses:
                return self._empty(site.statuses.pop(0))
            if site.login and self.headers.get("Authorization") != site.login:
                return self._empty(401)
            if name in site.redirects:
                return self._empty(302, Location=site.redirects[name])
            if name not in site.files:
                return self._empty(404)
            return self._send(site, site.files[name])

        def _empty(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, site: Web, data: bytes) -> None:
            start, asked = 0, self.headers.get("Range")
            if asked and site.ranges and self.headers.get("If-Range") == site.etag:
                start = int(asked.removeprefix("bytes=").partition("-")[0])
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if site.etag:
                self.send_header("ETag", site.etag)
            self.send_header("Content-Type", site.content_type)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            body = data[start:]
            if site.break_after:
                body = body[: site.break_after.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

    return Handler


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setattr("mlbuild.datasets.download._PAUSE_SECONDS", 0.0)
    box: list[Web] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(lambda: box[0]))
    box.append(Web(server.server_address[1]))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield box[0]
    server.shutdown()
    thread.join()
    server.server_close()


class Getter:
    """Fetches datasets into a cache of the test's own."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache = root / "project", root / "cache"
        self.root.mkdir()
        self.heard: list[str] = []

    def __call__(
        self,
        scheme: str,
        location: str,
        *,
        offline: bool = False,
        frozen: dict[str, Json] | None = None,
        **options: Json,
    ) -> Fetched:
        return fetch(
            Dataset("photos", scheme, location, options),
            root=self.root,
            cache=self.cache,
            offline=offline,
            progress=lambda done, total, text: self.heard.append(text),
            frozen=frozen,
        )


@pytest.fixture
def get(tmp_path: Path) -> Getter:
    return Getter(tmp_path)


@pytest.fixture
def only_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip is configured to use this folder and nothing else."""
    folder = tmp_path / "links"
    folder.mkdir()
    for variable in [v for v in os.environ if v.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder
