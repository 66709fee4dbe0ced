"""An app with one version installed, and a server with the next; both can be tampered with."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.ota_client.client import Client
from tests.stages_in.release.serving import Server

SEED, OTHER_SEED, MASTER = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))


def public(seed: bytes) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def signed(manifest: bytes, seed: bytes = SEED, name: str | None = None) -> str:
    """bundle.sig, made by hand."""
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(b"mlbuild-ota/1\n" + manifest)
    name = name or hashlib.sha256(public(seed)).hexdigest()[:16]
    return f"ed25519 {name} {base64.b64encode(signature).decode()}\n"


@dataclass
class World:
    """What a test plays with."""

    server: Server
    client: Client
    broken: set[str]  # SHA-256 of weights that cannot be loaded

    @property
    def bundle(self) -> Path:
        return self.server.folder

    def serve(self, bundle: Path) -> None:
        shutil.rmtree(self.bundle, ignore_errors=True)
        shutil.copytree(bundle, self.bundle)

    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.bundle / "bundle.json").read_bytes()))

    def edit(self, change: Callable[[dict[str, Any]], object], seed: bytes | None = SEED) -> None:
        """Change the manifest; sign it again unless there is no key."""
        manifest = self.manifest()
        change(manifest)
        data = json.dumps(manifest).encode()
        (self.bundle / "bundle.json").write_bytes(data)
        if seed is not None:
            (self.bundle / "bundle.sig").write_text(signed(data, seed))

    def payload(self, data: bytes) -> dict[str, Any]:
        """Serve more bytes; the part of a transport that names them."""
        digest = hashlib.sha256(data).hexdigest()
        (self.bundle / "files" / digest).write_bytes(data)
        return {"file": digest, "size": len(data)}

    def installed(self) -> dict[str, bytes]:
        """Every file of every version, and which one is in use."""
        versions = self.client.folder / "versions"
        found = {
            p.relative_to(versions).as_posix(): p.read_bytes()
            for p in versions.rglob("*")
            if p.is_file()
        }
        return {**found, "current": str(self.client.state().current).encode()}


def world(folder: Path, bundle: Path, **facts: Any) -> World:
    """A server with a bundle and an app that has none yet."""
    served, broken = folder / "served", set[str]()
    shutil.copytree(bundle, served)
    server = Server(served)

    def load(model: Path) -> None:
        weights = (model / "Data/com.apple.CoreML/weights/weight.bin").read_bytes()
        if hashlib.sha256(weights).hexdigest() in broken:
            raise RuntimeError("the model cannot be loaded")

    client = Client(
        server.url, "Model", [public(SEED)], folder / "app", load, **{"app": "2.0", **facts}
    )
    return World(server, client, broken)
