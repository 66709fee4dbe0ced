"""A service on the loopback that holds every request to the documented contract, and can fail.

What a request gets wrong is noted in `wrong` and answered 418, so that no test passes by luck.
"""

import contextlib
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SMALL = 1 << 20  # larger bodies are hashed and forgotten


@dataclass
class Body:
    """What arrived: its digest always, its bytes where it is small."""

    size: int = 0
    sha256: str = ""
    data: bytes = b""


@dataclass
class Asked:
    """A request, its path unquoted by segment."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in small letters
    body: Body = field(default_factory=Body)

    @property
    def json(self) -> Any:
        return json.loads(self.body.data)


@dataclass
class Said:
    """An answer."""

    status: int
    json: Any = None
    data: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Failure:
    """What goes wrong with the next requests that match."""

    method: str
    path: str  # a regular expression
    said: Said | None = None  # None: the connection is cut
    times: int = 1
    after: bool = False  # only once the request was carried out
    half: bool = False  # in the middle of the body


class ContractError(Exception):
    """The request is not as documented."""


Route = tuple[str, re.Pattern[str], Callable[..., Said]]


class Double:
    """The server; subclasses have routes."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self.wrong: list[str] = []
        self.failures: list[Failure] = []
        self.routes: list[Route] = []
        self.on_half: Callable[[Asked], None] = lambda asked: None
        self.lock = threading.Lock()
        self.address = ""

    def route(self, method: str, path: str, do: Callable[..., Said]) -> None:
        """Registers an endpoint; `:name` in its path is one segment."""
        pattern = re.sub(r":(\w+)", r"(?P<\1>[^/]+)", path)
        self.routes.append((method, re.compile(pattern), do))

    def count(self, *methods: str) -> int:
        return sum(r.method in methods for r in self.requests)

    def fail(self, method: str, path: str, said: Said | None = None, **more: Any) -> None:
        self.failures.append(Failure(method, path, said, **more))

    def check(self, asked: Asked) -> None:
        """What holds for every request."""

    def answer(self, asked: Asked, raw: str) -> Said:
        try:
            self.check(asked)
            for method, pattern, do in self.routes:
                found = pattern.fullmatch(raw)
                if method == asked.method and found:
                    return do(asked, **{k: unquote(v) for k, v in found.groupdict().items()})
            raise ContractError("no such endpoint")
        except ContractError as error:
            self.wrong.append(f"{asked.method} {asked.path}: {error}")
            return Said(418, {"message": str(error)})

    def failure(self, asked: Asked) -> Failure | None:
        with self.lock:
            for failure in self.failures:
                if failure.method == asked.method and re.search(failure.path, asked.path):
                    failure.times -= 1
                    if failure.times == 0:
                        self.failures.remove(failure)
                    return failure
        return None


def demand(condition: object, message: str) -> None:
    """Part of a contract."""
    if not condition:
        raise ContractError(message)


@contextmanager
def serving(double: Double) -> Iterator[None]:
    """Runs it on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 1 << 16

        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            headers = {k.lower(): v for k, v in self.headers.items()}
            query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=False))
            asked = Asked(self.command, unquote(parts.path), query, headers)
            with double.lock:
                double.requests.append(asked)
            failure = double.failure(asked)
            whole = self.read_body(asked, half=bool(failure and failure.half))
            if failure and not failure.after:
                if not whole:
                    double.on_half(asked)
                self.end(failure.said)
                return
            with double.lock:
                said = double.answer(asked, parts.path)
            self.end(failure.said if failure else said)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815

        def read_body(self, asked: Asked, *, half: bool) -> bool:
            length = int(asked.headers.get("content-length", 0))
            left = length // 2 if half else length
            sha, kept = hashlib.sha256(), b""
            while left:
                piece = self.rfile.read(min(left, 1 << 16))
                if not piece:
                    break
                left -= len(piece)
                sha.update(piece)
                asked.body.size += len(piece)
                if length <= SMALL:
                    kept += piece
            asked.body.sha256, asked.body.data = sha.hexdigest(), kept
            return asked.body.size == length

        def end(self, said: Said | None) -> None:
            if said is None:  # the cable is pulled
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                self.connection.close()
                return
            data = said.data
            if data is None:
                data = b"" if said.json is None else json.dumps(said.json).encode()
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if said.status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if said.status != 204:
                self.wfile.write(data)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def finish(self) -> None:
            with contextlib.suppress(ValueError, OSError):  # the cable is pulled
                super().finish()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that went away."""

    server = Server(("127.0.0.1", 0), Handler)
    double.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
