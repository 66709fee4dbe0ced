"""From the release of one bundle to that of the next: an app goes from one to the other."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.places import cache_dir
from tests.conftest import ROOT, Done
from tests.ota_client.client import Client

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]
SEED, MASTER = bytes(range(32)), bytes(range(1, 33))
KEYS = {
    "MLBUILD_OTA_SIGNING_KEY": base64.b64encode(SEED).decode(),
    "MLBUILD_OTA_KEY": base64.b64encode(MASTER).decode(),
}
PIPELINE = """
version: 1
name: birds
stages:
  package:
    uses: package/ota
    inputs: {model: ./Birds.mlpackage, previous: {all: [release.bundle]}}
    with: {encryption_key: MLBUILD_OTA_KEY}
    secrets: [MLBUILD_OTA_SIGNING_KEY, MLBUILD_OTA_KEY]
    gates: {update_ratio: {max: 1}}
release:
  name: birds
  artifacts: {bundle: package.bundle}
"""


@pytest.fixture(scope="session")
def release_toolchains() -> Path:
    """The user's folder of toolchains, with the one for releases in it."""
    Toolchains(ROOT, {}).ensure("release", lambda *_: None)
    return cache_dir() / "toolchains"


@pytest.fixture
def birds(release_toolchains: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a model and a pipeline that releases bundles of it."""
    cache = Path(os.environ["MLBUILD_CACHE_DIR"])
    cache.mkdir()
    (cache / "toolchains").symlink_to(release_toolchains)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    (project / "pipelines/birds.yaml").write_text(PIPELINE)
    (project / ".gitignore").write_text("/build/\n/releases/\n")
    return project


def write(project: Path, weights: bytes) -> None:
    """A package as converters write it; the stage reads no more of it than its version."""
    data = project / "Birds.mlpackage/Data/com.apple.CoreML"
    (data / "weights").mkdir(parents=True, exist_ok=True)
    (data / "model.mlmodel").write_bytes(b"\x08\x08" + b"a network" * 50)
    (data / "weights/weight.bin").write_bytes(weights)
    entries = {"M": {"path": "com.apple.CoreML/model.mlmodel"}}
    manifest = {"itemInfoEntries": entries, "rootModelIdentifier": "M"}
    (project / "Birds.mlpackage/Manifest.json").write_text(json.dumps(manifest))


def commit(project: Path) -> None:
    own = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)
    subprocess.run(["git", *own, "commit", "-qm", "x"], cwd=project, check=True)


def released(project: Path, mlbuild: Callable[..., Done], version: str) -> Path:
    """Build, commit, release; the bundle in the release's folder."""
    commit(project)
    built = mlbuild("run", "pipelines/birds.yaml")
    assert built.code == 0, built.out + built.err
    commit(project)
    done = mlbuild("release", "pipelines/birds.yaml")
    assert done.code == 0, done.out + done.err
    return project / f"releases/birds/v{version}/artifacts/bundle/Birds.ota"


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """``serve(folder) -> URL``."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Says nothing."""

    def start(folder: Path) -> str:
        http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=os.fspath(folder)))
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        running.append((http, thread))
        return f"http://127.0.0.1:{http.server_address[1]}/"

    yield start
    for http, thread in running:
        http.shutdown()
        http.server_close()
        thread.join()


def test_an_app_goes_from_one_release_to_the_next(
    birds: Path,
    mlbuild: Callable[..., Done],
    serve: Callable[[Path], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.com")
    weights = bytearray(os.urandom(60_000))
    write(birds, bytes(weights))
    first = released(birds, mlbuild, "1.0.0")
    weights[100:110] = b"ten others"
    write(birds, bytes(weights))
    second = released(birds, mlbuild, "1.1.0")

    public = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
    pinned = [public.public_bytes(Encoding.Raw, PublicFormat.Raw)]
    app = Client(serve(first), "Birds", pinned, tmp_path / "app", lambda _: None, [MASTER])
    assert app.update() == "1"
    app.url = serve(second)
    app.fetched.clear()
    assert app.update() == "2"
    files = [second / name for name, _ in app.fetched if name.startswith("files/")]
    assert sum(file.stat().st_size for file in files) < 500
    (model,) = (app.folder / "versions/2").iterdir()
    installed = model / "Data/com.apple.CoreML/weights/weight.bin"
    assert installed.read_bytes() == bytes(weights)

    again = mlbuild("run", "pipelines/birds.yaml", "--json")
    assert json.loads(again.out.splitlines()[-1])["ran"] == 0
    secrets = [value.encode() for value in KEYS.values()]
    written = (p for p in birds.rglob("*") if p.is_file())
    assert not [p for p in written if any(secret in p.read_bytes() for secret in secrets)]
