"""A double of what GitHub and GitLab offer for comments: it keeps them, and who wrote what."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Comments:
    """The comments on one request, and the calls that made them."""

    def __init__(self) -> None:
        self.held: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.address = ""

    def add(self, body: str, login: str = "github-actions[bot]") -> dict[str, Any]:
        made = {"id": 100 + len(self.held), "body": body, "user": {"login": login}}
        self.held.append(made)
        return made

    def page(self, query: str) -> list[dict[str, Any]]:
        asked = {key: int(value[0]) for key, value in parse_qs(query).items()}
        start = (asked["page"] - 1) * asked["per_page"]
        return self.held[start : start + asked["per_page"]]


@contextmanager
def serving() -> Iterator[Comments]:
    """The double, at an address of this machine."""
    comments = Comments()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(comments.page(urlsplit(self.path).query))

        def do_POST(self) -> None:
            self._answer(comments.add(self._body()))

        def do_PATCH(self) -> None:
            number = int(urlsplit(self.path).path.rpartition("/")[2])
            (comment,) = (c for c in comments.held if c["id"] == number)
            comment["body"] = self._body()
            self._answer(comment)

        def do_PUT(self) -> None:
            self.do_PATCH()

        def _body(self) -> str:
            body: str = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
            return body

        def _answer(self, held: Any) -> None:
            comments.calls.append((self.command, urlsplit(self.path).path))
            told = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
            comments.tokens.add(told)
            data = json.dumps(held).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    comments.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield comments
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
