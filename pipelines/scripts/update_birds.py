"""An app that has the first edition and fetches the second, from a server on the loopback.

usage: update_birds.py FIRST.ota SECOND.ota SECOND.mlpackage REPORT.json
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.ota_client.client import Client


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def pinned() -> bytes:
    """The public key; an app has it in its code."""
    given = os.environ["MLBUILD_OTA_SIGNING_KEY"]
    if given.startswith("-----BEGIN"):
        key = load_pem_private_key(given.encode(), password=None).public_key()
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(given)).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def load(model: Path) -> None:
    """What a device does is Core ML's; here the package must be whole."""
    manifest = json.loads((model / "Manifest.json").read_bytes())
    for item in manifest["itemInfoEntries"].values():
        if not (model / "Data" / item["path"]).exists():
            raise FileNotFoundError(item["path"])


def update(bundle: Path, app: Path) -> tuple[str, int]:
    """The version that was installed, and how many bytes were fetched of its files."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(bundle)))
    thread = threading.Thread(target=http.serve_forever, args=(0.05,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{http.server_address[1]}/"
        keys = [base64.b64decode(os.environ["MLBUILD_OTA_KEY"])]
        client = Client(url, "Birds", [pinned()], app, load, master_keys=keys)
        version = client.update()
        client.confirm()
        names = [name for name, _ in client.fetched if name.startswith("files/")]
        return version, sum((bundle / name).stat().st_size for name in names)
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def main(first: Path, second: Path, model: Path, report: Path) -> None:
    """Install one, update to the other, compare with what was packed."""
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder)
        told = [update(bundle, app) for bundle in (first, second)]
        (place,) = (app / "versions/2").iterdir()
        for file in (p for p in model.rglob("*") if p.is_file()):
            if (place / file.relative_to(model)).read_bytes() != file.read_bytes():
                raise SystemExit(f"{file.relative_to(model)} differs from what was packed")
    facts = [{"version": version, "bytes_fetched": size} for version, size in told]
    report.write_text(json.dumps({"updates": facts}, indent=1) + "\n", encoding="utf-8")
    for fact in facts:
        sys.stdout.write(f"{fact['version']}: {fact['bytes_fetched']} bytes fetched\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
