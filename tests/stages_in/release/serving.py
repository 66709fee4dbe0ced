"""A static server on the loopback that can be told to misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_ENDLESS = 1 << 22  # more than any text may have


class Server:
    """Serves a folder; each request is kept as (path, range)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.change: dict[str, Callable[[bytes], bytes]] = {}
        self.endless: set[str] = set()
        self.cut_after: int | None = None  # bytes of a payload, once
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def content(self, name: str) -> bytes | None:
        file = self.folder / name
        if not file.is_file():
            return None
        return self.change.get(name, lambda data: data)(file.read_bytes())


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # a connection that closes ends the answer

        def do_GET(self) -> None:
            name, asked = self.path.lstrip("/"), self.headers["Range"]
            server.asked.append((name, asked))
            data = server.content(name)
            if data is None:
                self.send_error(404)
            elif name in server.endless:
                self._answer(200, {}, b" " * _ENDLESS)
            else:
                self._file(name, data, asked if server.ranges else None)

        def _file(self, name: str, data: bytes, asked: str | None) -> None:
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            headers = {"Content-Length": str(len(data) - start)}
            if asked:
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            sent = data[start:]
            if server.cut_after is not None and name.startswith("files/"):
                sent, server.cut_after = sent[: server.cut_after], None
            self._answer(206 if asked else 200, headers, sent)

        def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # the client has seen enough
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    return Handler
