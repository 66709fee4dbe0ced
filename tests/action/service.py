"""A double of GitHub's service: the two addresses that comments have, held to the documented form.

Source: https://docs.github.com/en/rest/issues/comments.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Service:
    """The two addresses that comments have, with what was asked of them."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, dict[str, Any] | None]] = []
        self.faults: list[str] = []
        self.refuse = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                status, answer = service.answer(self.command, self.path, self.headers, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do  # noqa: N815 - as the base class calls them

            def log_message(self, *arguments: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def answer(
        self, method: str, path: str, headers: Any, body: dict[str, Any] | None
    ) -> tuple[int, Any]:
        self.asked.append((method, urlsplit(path).path, body))
        wanted = {
            "Accept": "application/vnd.github+json",
            "Authorization": "Bearer secret-token",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self.faults += [f"{k}: {headers.get(k)}" for k, v in wanted.items() if headers.get(k) != v]
        if not headers.get("User-Agent"):
            self.faults.append("no User-Agent")
        if self.refuse:
            return self.refuse, {"message": "Resource not accessible by integration"}
        if body is not None and (body.keys() != {"body"} or len(body["body"]) > 65536):
            self.faults.append(f"body: {list(body)}")
        one = re.fullmatch(r"/repos/ann/dogs/issues/comments/(\d+)", urlsplit(path).path)
        if method == "PATCH" and one and body:
            (comment,) = [c for c in self.comments if c["id"] == int(one[1])]
            comment["body"] = body["body"]
            return 200, comment
        if urlsplit(path).path != "/repos/ann/dogs/issues/17/comments":
            return 404, {"message": "Not Found"}
        if method == "POST" and body:
            self.add("github-actions[bot]", body["body"])
            return 201, self.comments[-1]
        asked = parse_qs(urlsplit(path).query)
        size, page = int(asked["per_page"][0]), int(asked["page"][0])
        return 200, self.comments[(page - 1) * size : page * size]

    def add(self, author: str, body: str) -> None:
        self.comments.append(
            {"id": 1000 + len(self.comments), "user": {"login": author}, "body": body}
        )
