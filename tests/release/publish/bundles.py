"""Releases to publish, and the patience of a test."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from mlbuild.release.publish.protocol import Bundle, Patience

COMMIT = "1" * 40
OTHER_COMMIT = "2" * 40
_WEIGHTS = "artifacts/model/Dogs.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
FILES = {
    "README.md": b"---\ntags: [coreml]\n---\n# dogs 1.2.0\n",
    "NOTES.md": b"# Notes\n",
    "card.html": b"<html></html>\n",
    "provenance.json": b"{}\n",
    "artifacts/model/Dogs.mlpackage/Manifest.json": b"{}\n",
    "artifacts/model/Dogs.mlpackage/Data/com.apple.CoreML/model.mlmodel": b"\x08\x09" * 50,
    "artifacts/model/Dogs.mlpackage/Data/com.apple.CoreML/weights/weight.bin": bytes(range(256))
    * 9,
    "artifacts/bundle/dogs-1.2.0.ota": b"OTA" * 40,
}


def write_release(
    top: Path,
    version: str = "1.2.0",
    *,
    name: str = "dogs",
    commit: str = COMMIT,
    signature: bytes | None = b"signed once",
    **changed: bytes | None,
) -> Bundle:
    """A release folder; in ``changed`` a file's path has '/' and '.' as '__' and '_'."""
    folder = top / name / f"v{version}"
    files: dict[str, bytes] = dict(FILES)
    for key, data in changed.items():
        path = next((p for p in files if p.replace("/", "__").replace(".", "_") == key), None)
        assert path, key
        if data is None:
            del files[path]
        else:
            files[path] = data
    return write_files(folder, files, version, name=name, commit=commit, signature=signature)


def write_files(
    folder: Path,
    files: dict[str, bytes],
    version: str = "1.2.0",
    *,
    name: str = "dogs",
    commit: str = COMMIT,
    signature: bytes | None = b"signed once",
) -> Bundle:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    listed = [
        {"path": p, "size": len(d), "sha256": hashlib.sha256(d).hexdigest()}
        for p, d in sorted(files.items())
    ]
    said = {"version": 1, "name": name, "release": version, "commit": commit, "files": listed}
    (folder / "manifest.json").write_text(json.dumps(said, indent=2, sort_keys=True) + "\n")
    if signature is not None:
        (folder / "model.sig").write_bytes(signature)
    return Bundle(folder, name, version, f"{name}@v{version}", commit, f"# {name} {version}\n")


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 1_700_000_000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def patience(self) -> Patience:
        return Patience(sleep=self.sleep, now=lambda: self.now, connect=5, answer=5, digest=5)


def tree(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
