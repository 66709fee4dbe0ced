"""`pipelines/dogs.yaml --profile oxford` against a web server on this machine.

The archive has the layout of the Oxford-IIIT Pet photographs: one folder, dogs in lower case, cats
with a capital, and the stray `.mat` files that the real one holds.
"""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import ROOT, Done

Run = Callable[..., Done]

PHOTOS = ROOT.parent / "shared/data/dogs"
DOGS = ("beagle", "newfoundland", "pug", "samoyed")
CATS = {"Abyssinian": "boxer", "Egyptian_Mau": "keeshond"}  # cats' names over photographs of dogs
WRONG = "f" * 32

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.slow,
    pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs the photographs in ../shared/data/dogs"),
]


@dataclass
class Site:
    """One archive on the web, and the requests for it."""

    data: bytes
    address: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def md5(self) -> str:
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()

    def sets(self, md5: str | None = None) -> list[str]:
        """Arguments that point the pipeline at this archive instead of the real one."""
        sets = [f"datasets.photos.url={self.address}", f"datasets.photos.md5={md5 or self.md5}"]
        return [argument for pair in sets for argument in ("--set", pair)]


def _archive() -> bytes:
    files = {f"images/{p.name}": p.read_bytes() for d in DOGS for p in (PHOTOS / d).glob("*.jpg")}
    for cat, dog in CATS.items():
        photos = sorted((PHOTOS / dog).glob("*.jpg"))[:3]
        files |= {f"images/{cat}_{n}.jpg": p.read_bytes() for n, p in enumerate(photos, 1)}
        files[f"images/{cat}_100.mat"] = b"MATLAB 5.0 MAT-file"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    offered = Site(_archive())

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_GET(self) -> None:
            offered.asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(offered.data)))
            self.end_headers()
            self.wfile.write(offered.data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    offered.address = f"http://127.0.0.1:{server.server_address[1]}/pets/images.tar.gz"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield offered
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(with_torch: Path, mlbuild: Run) -> Run:
    """Runs the pipeline in the profile."""
    text = (ROOT / "pipelines/dogs.yaml").read_text(encoding="utf-8")
    (with_torch / "pipelines/dogs.yaml").write_text(text, encoding="utf-8")
    start = ("run", "pipelines/dogs.yaml", "--profile", "oxford", "--json")
    return lambda *arguments: mlbuild(*start, *arguments)


def test_dogs_are_fetched_sorted_trained_and_packaged_once(
    run: Run, site: Site, with_torch: Path
) -> None:
    first = run(*site.sets())
    assert first.code == 0, first.out + first.err
    assert site.asked == ["/pets/images.tar.gz"]

    build = with_torch / "build/dogs"
    sorted_ = json.loads((build / "sort/report.json").read_text())
    assert sorted_["labels"] == dict.fromkeys(DOGS, 7)
    assert {name.partition("_")[0] for name in sorted_["unmatched"]} == {"Abyssinian", "Egyptian"}
    assert json.loads((build / "model/model/model.json").read_text())["labels"] == list(DOGS)
    assert (build / "package/Dogs/Package.swift").is_file()
    assert (build / "archive/Dogs.mlpackage.zip").is_file()

    second = run(*site.sets())
    assert second.code == 0, second.out + second.err
    assert second.build["ran"] == 0
    assert len(site.asked) == 1


def test_an_archive_with_another_digest_is_refused_and_both_are_named(
    run: Run, site: Site, with_torch: Path
) -> None:
    done = run(*site.sets(md5=WRONG))
    assert done.code == 4
    assert WRONG in done.out + done.err
    assert site.md5 in done.out + done.err
    assert not (with_torch / "build/dogs/sort/images").exists()
