"""What all services have in common: where tokens go, what is waited for, how much is in memory."""

import http.server
import ssl
import subprocess
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mlbuild.release.publish.http import Client
from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import PublishError
from tests.release.publish.bundles import Clock, write_files
from tests.release.publish.double import Double, Said, demand, serving
from tests.release.publish.github_double import TOKEN, GitHubDouble

SECRET = {"X-Token": "SecretSecret"}


class Service(Double):
    """Anything; the token must come along exactly where it should."""

    def __init__(self) -> None:
        super().__init__()
        self.target = ""
        self.route("GET", "/here", lambda asked: self.told(asked, "x-token" in asked.headers))
        self.route("GET", "/there", lambda asked: self.told(asked, "x-token" not in asked.headers))
        self.route("GET", "/away", lambda asked: Said(302, headers={"Location": self.target}))
        self.route("POST", "/away", lambda asked: Said(307, headers={"Location": self.target}))
        self.route("POST", "/here", lambda asked: self.told(asked, "x-token" in asked.headers))

    def told(self, asked: object, good: bool) -> Said:
        demand(good, "the token is where it should not be, or not where it should")
        return Said(200, {"well": True})


@pytest.fixture
def service() -> Iterator[Service]:
    double = Service()
    with serving(double):
        yield double
    assert double.wrong == []


@pytest.fixture
def client(service: Service, clock: Clock) -> Client:
    return Client("the service", (service.address,), SECRET, clock.patience())


def _elsewhere(service: Service) -> str:
    return service.address.replace("127.0.0.1", "localhost")


def test_a_redirect_on_the_same_server_keeps_the_token(service: Service, client: Client) -> None:
    service.target = "/here"
    assert client.ask("GET", f"{service.address}/away").json == {"well": True}


def test_a_redirect_to_another_server_loses_the_token(service: Service, client: Client) -> None:
    service.target = f"{_elsewhere(service)}/there"
    assert client.ask("GET", f"{service.address}/away").json == {"well": True}


def test_what_changes_something_follows_on_the_same_server_only(
    service: Service, client: Client
) -> None:
    service.target = "/here"
    assert client.ask("POST", f"{service.address}/away", json={}).json == {"well": True}
    service.target = f"{_elsewhere(service)}/here"
    with pytest.raises(PublishError) as caught:
        client.ask("POST", f"{service.address}/away", json={})
    assert caught.value.render() == (
        f"the service: refused the redirect of {service.address}/away to "
        f"{_elsewhere(service)}/here\n"
        "  hint: it may have been renamed: give its address of today"
    )


def test_redirects_without_end_are_ended(service: Service, client: Client) -> None:
    service.target = "/away"
    with pytest.raises(PublishError, match="redirects without end"):
        client.ask("GET", f"{service.address}/away")


def test_a_signed_address_is_told_without_its_signature(service: Service, client: Client) -> None:
    service.target = f"{_elsewhere(service)}/there?X-Signature=abc123"
    service.fail("GET", "there", Said(400, {"message": "expired"}))
    with pytest.raises(PublishError) as caught:
        client.ask("GET", f"{service.address}/away")
    assert "there was refused" in caught.value.render()
    assert "abc123" not in caught.value.render()


def test_a_list_that_goes_on_elsewhere_is_not_followed(service: Service, client: Client) -> None:
    link = {"Link": '<https://evil.example.com/2>; rel="next"'}
    service.fail("GET", "here", Said(200, [1], headers=link))
    with pytest.raises(PublishError, match=r"refused to go on at https://evil\.example\.com/2"):
        list(client.pages(f"{service.address}/here"))


def test_a_service_that_stays_away_is_told_after_the_last_try(
    service: Service, client: Client, clock: Clock
) -> None:
    service.fail("GET", "here", Said(503, {"message": "maintenance"}), times=9)
    with pytest.raises(PublishError) as caught:
        client.ask("GET", f"{service.address}/here")
    assert caught.value.render() == (
        f"the service: no answer\n  got: {service.address}/here: 503 maintenance\n"
        "  hint: run it again: it goes on from there"
    )
    assert clock.slept == [1.0, 2.0, 4.0, 8.0]


def test_a_service_may_say_how_long_it_is_away(
    service: Service, client: Client, clock: Clock
) -> None:
    header = {"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"}  # 30 s after the test's clock
    service.fail("GET", "here", Said(503, headers=header))
    client.ask("GET", f"{service.address}/here")
    assert clock.slept == [30.0]


def test_what_might_have_been_done_is_not_simply_repeated(service: Service, client: Client) -> None:
    service.fail("POST", "here", after=True)
    with pytest.raises(PublishError, match="no answer"):
        client.ask("POST", f"{service.address}/here", json={})
    assert service.count("POST") == 1


@pytest.mark.parametrize("said", ["<html>busy</html>", "[]", '"text"', "\xff"])
def test_a_complaint_in_another_form_is_no_traceback(
    service: Service, client: Client, said: str
) -> None:
    service.fail("GET", "here", Said(400, data=said.encode("latin-1")))
    with pytest.raises(PublishError) as caught:
        client.ask("GET", f"{service.address}/here")
    assert caught.value.problems[0].got == "400"


def test_a_page_in_place_of_an_answer_is_not_taken_for_nothing(
    service: Service, client: Client
) -> None:
    service.fail("GET", "here", Said(200, data=b"<html>Please log in to this hotel</html>"))
    with pytest.raises(PublishError) as caught:
        client.ask("GET", f"{service.address}/here")
    assert caught.value.render() == (
        f"the service: {service.address}/here answered no JSON\n"
        "  hint: is its address right? a proxy may have answered in its place"
    )


def test_something_else_in_place_of_a_list_is_told(service: Service, client: Client) -> None:
    service.fail("GET", "here", Said(200, {"message": "no list"}))
    with pytest.raises(PublishError, match="here answered no list"):
        list(client.pages(f"{service.address}/here"))


def test_what_is_read_back_is_asked_for_again_while_the_service_is_away(
    service: Service, client: Client, clock: Clock
) -> None:
    service.fail("GET", "here", Said(502))
    service.fail("GET", "here", Said(200, data=b"half"))
    size, _ = client.digest(f"{service.address}/here", {})
    assert (size, clock.slept) == (4, [1.0])
    service.fail("GET", "here", Said(404, {"message": "gone"}))
    with pytest.raises(PublishError, match="was refused"):
        client.digest(f"{service.address}/here", {})


def test_a_body_that_breaks_off_is_no_answer(clock: Clock) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"
    served = [cut, cut, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]

    class Cut(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(served.pop(0))
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with _running(Cut) as address:
        client = Client("it", (address,), SECRET, clock.patience())
        assert client.ask("GET", f"{address}/here").json == {}
    assert clock.slept == [1.0, 2.0]


def test_nobody_there_is_told_in_words(clock: Clock) -> None:
    client = Client("the service", ("http://127.0.0.1:9",), SECRET, clock.patience())
    with pytest.raises(PublishError) as caught:
        client.ask("GET", "http://127.0.0.1:9/here")
    assert caught.value.problems[0].got == "http://127.0.0.1:9/here: the connection broke"


def test_a_proxy_of_the_environment_is_used(
    service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with _running(Proxy) as address:
        monkeypatch.setenv("HTTP_PROXY", address)
        monkeypatch.setenv("http_proxy", address)
        client = Client("it", ("http://api.example.com",), SECRET, clock.patience())
        client.ask("GET", "http://api.example.com/here")
    assert seen == ["http://api.example.com/here"]


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a certificate of its own, and that certificate."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-keyout", str(key), "-out", str(cert), "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/away" else 200)
            self.send_header("Location", "http://localhost:9/open")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with _running(Page, context) as address:
        yield address.replace("http://127.0.0.1", "https://localhost"), cert


def test_a_certificate_must_be_trusted_and_the_user_may_say_which_are(
    secure: tuple[str, Path], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, cert = secure
    client = Client("it", (address,), SECRET, replace(clock.patience(), tries=1))
    with pytest.raises(PublishError) as caught:
        client.ask("GET", f"{address}/here")
    assert caught.value.render() == (
        f"it: no safe connection to {address}/here: its certificate is not trusted\n"
        "  hint: set REQUESTS_CA_BUNDLE to your certificates, HTTPS_PROXY to your proxy"
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
    assert client.ask("GET", f"{address}/here").json == {}


def test_a_redirect_from_https_to_http_is_refused(
    secure: tuple[str, Path], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, cert = secure
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
    client = Client("it", (address,), SECRET, clock.patience())
    with pytest.raises(PublishError) as caught:
        client.ask("GET", f"{address}/away")
    assert caught.value.problems[0].message == (
        f"it: refused the redirect of {address}/away to http://localhost:9/open"
    )


@contextmanager
def _running(
    handler: type[http.server.BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[str]:
    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that would not trust us."""

    server = Server(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_large_asset_is_never_in_memory_as_a_whole(tmp_path: Path, clock: Clock) -> None:
    release = write_files(tmp_path / "v", {"README.md": b"x"})
    (release.folder / "artifacts/model").mkdir(parents=True)
    with (release.folder / "artifacts/model/weights.bin").open("wb") as file:
        file.truncate(96 << 20)
    told: list[tuple[float, float | None]] = []
    double = GitHubDouble()
    with serving(double):
        (place,) = open_publishers(
            [{"github": "owner/dogs", "api_url": double.address}],
            tmp_path,
            {"GITHUB_TOKEN": TOKEN},
            progress=lambda done, total, text: told.append((done, total)),
            patience=clock.patience(),
        )
        tracemalloc.start()
        place.stage(release)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert double.wrong == []
    assert max(a["size"] for a in double.assets.values()) > 96 << 20
    assert peak < 12 << 20  # pieces of 1 MiB on both sides, and what the interpreter needs
    assert told[-1][0] == told[-1][1]
    assert len(told) > 96
