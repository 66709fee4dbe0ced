"""A client for bundles, written from docs/ota.md: it does what the page says a client does.

Standard library and cryptography only; nothing of the stage that makes bundles. What Core ML does
on a device, to compile and to load, is a function that the caller gives.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .wire import (
    Refusal,
    bound,
    bucket,
    checked,
    derived,
    expanded,
    older,
    opened,
    parsed,
    patched,
    verify,
)

LONGEST_SIGNATURE, LONGEST_MANIFEST = 4096, 1 << 20
PIECE = 1 << 16


@dataclass
class State:
    """What is remembered between calls."""

    newest: int = 0
    newest_digest: str | None = None
    current: int | None = None
    good: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    starts: int = 0
    displaced: bool = False

    def fall_back(self) -> None:
        if self.current is not None:
            self.failed = sorted({*self.failed, self.current})
        self.good = [number for number in self.good if number not in self.failed]
        self.current = self.good[-1] if self.good else None
        self.starts = 0


@dataclass
class Client:
    """An installation of an app."""

    url: str
    name: str
    pinned: Sequence[bytes]
    folder: Path
    load: Callable[[Path], None]  # compiles and loads; whatever it raises is a failure
    master_keys: Sequence[bytes] = ()
    app: str = "1.0"
    system: tuple[str, str] = ("iOS", "17.0")
    largest: int = 1 << 30
    attempts: int = 3
    shipped: Path | None = None
    identity: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    overcome: list[Refusal] = field(default_factory=list)  # what whole files made good
    fetched: list[tuple[str, int]] = field(default_factory=list)  # what was asked for, from where

    def __post_init__(self) -> None:
        for part in ("versions", "parts"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        known = self.folder / "installation"
        if not self.identity:
            self.identity = known.read_text() if known.exists() else str(uuid.uuid4())
            known.write_text(self.identity)

    # The story, in the order of the page.

    def update(self) -> str:
        """``up-to-date``, or the version that was installed; refusals are raised."""
        lines = self._text("bundle.sig", LONGEST_SIGNATURE)
        signed = self._text("bundle.json", LONGEST_MANIFEST)
        verify(lines, signed, self.pinned)
        manifest = parsed(signed)
        state = self.state()
        self._identity(manifest, signed, state)
        self._remember(manifest, signed, state)
        if state.current == manifest["sequence"]:
            return "up-to-date"
        self._eligible(manifest, state)
        master = self._master(manifest)
        made = Path(tempfile.mkdtemp(dir=self.folder, prefix="staging-"))
        try:
            for file in manifest["files"]:
                self._bring(file, manifest, master, made)
            try:
                self.load(made / manifest["model"]["file"])
            except Exception as error:  # whatever a model does when it is loaded
                raise Refusal("cannot-load", str(error)) from error
            place = self.place(manifest["sequence"])
            shutil.rmtree(place, ignore_errors=True)
            made.rename(place)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        state.current, state.starts, state.displaced = manifest["sequence"], 0, False
        self._save(state)
        self._tidy(state)
        return str(manifest["version"])

    def model(self) -> Path | None:
        """What a start of the app loads: the newest version that works."""
        while (version := self._begin()) is not None:
            try:
                (model,) = (p for p in self.place(version).iterdir() if p.suffix.startswith(".ml"))
                self.load(model)
                return model
            except Exception:  # it fails, or is here no more
                state = self.state()
                state.fall_back()
                self._save(state)
        return None

    def confirm(self) -> None:
        state = self.state()
        if state.current is not None:
            state.starts = 0
            state.good = [*(n for n in state.good if n != state.current), state.current]
            self._save(state)

    def state(self) -> State:
        file = self.folder / "state.json"
        return State(**json.loads(file.read_text())) if file.exists() else State()

    def place(self, sequence: int) -> Path:
        return self.folder / "versions" / str(sequence)

    # Its steps.

    def _identity(self, manifest: dict[str, Any], signed: bytes, state: State) -> None:
        if manifest["name"] != self.name:
            raise Refusal("other-model", f"it is of {manifest['name']}")
        if manifest["expires"] is not None:
            try:
                moment = datetime.strptime(manifest["expires"], "%Y-%m-%dT%H:%M:%S%z")
            except ValueError as error:
                raise Refusal("malformed", f"{manifest['expires']} is no moment") from error
            if not self.now() < moment:
                raise Refusal("expired", f"at {manifest['expires']}")
        if manifest["sequence"] < state.newest:
            raise Refusal("downgrade", f"{manifest['sequence']} after {state.newest}")
        same = hashlib.sha256(signed).hexdigest() == state.newest_digest
        if manifest["sequence"] == state.newest and not same:
            raise Refusal("same-sequence", f"two manifests are number {state.newest}")

    def _remember(self, manifest: dict[str, Any], signed: bytes, state: State) -> None:
        state.newest = manifest["sequence"]
        state.newest_digest = hashlib.sha256(signed).hexdigest()
        state.failed = sorted({*state.failed, *manifest["revoked"]})
        state.good = [number for number in state.good if number not in state.failed]
        if state.current in manifest["revoked"]:
            state.fall_back()
            state.displaced = True
        self._save(state)

    def _eligible(self, manifest: dict[str, Any], state: State) -> None:
        if manifest["sequence"] in state.failed:
            raise Refusal("failed-before", f"number {manifest['sequence']}")
        system, version = self.system
        oldest = manifest["minimum_os"].get(system)
        if oldest is None or older(version, oldest):
            raise Refusal("system-too-old", f"{system} {version}, wanted {oldest}")
        wanted = manifest["minimum_app"]
        if wanted is not None and older(self.app, wanted):
            raise Refusal("app-too-old", f"{self.app} is older than {wanted}")
        part = bucket(self.identity, manifest["name"], manifest["version"])
        if not state.displaced and part >= manifest["rollout"]:
            raise Refusal("not-in-rollout", f"{part} of {manifest['rollout']}")
        total = sum(file["size"] + file["transport"]["size"] for file in manifest["files"])
        if total > self.largest:
            raise Refusal("too-large", f"{total} of {self.largest} bytes")

    def _master(self, manifest: dict[str, Any]) -> bytes | None:
        if manifest["encryption"] is None:
            return None
        wanted = manifest["encryption"]["key"]
        for key in self.master_keys:
            if derived(key, None, b"mlbuild-ota/1 key", 8).hex() == wanted:
                return key
        raise Refusal("unknown-encryption-key", f"the bundle is for the key {wanted}")

    def _bring(
        self, file: dict[str, Any], manifest: dict[str, Any], master: bytes | None, made: Path
    ) -> None:
        target = made / file["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        held = self._held()
        if file["sha256"] in held:
            shutil.copyfile(held[file["sha256"]], target)
            return
        usable = [patch for patch in file["patches"] if patch["base"] in held]
        if usable:
            best = min(usable, key=lambda patch: patch["transport"]["size"])
            try:
                kind = f"patch {best['base']}"
                patch = self._unpacked(best["transport"], bound(manifest, kind, file), master)
                data = patched(held[best["base"]].read_bytes(), patch, file["size"])
                target.write_bytes(checked(data, file))
                return
            except Refusal as refusal:
                if refusal.reason == "unreachable":
                    raise
                self.overcome.append(refusal)
        data = self._unpacked(file["transport"], bound(manifest, "full", file), master)
        target.write_bytes(checked(data, file))

    def _unpacked(self, transport: dict[str, Any], context: bytes, master: bytes | None) -> bytes:
        part = self._file(transport)
        data = part.read_bytes()
        if master is not None:
            data = opened(data, master, bytes.fromhex(transport["salt"]), context)
        data = expanded(data, transport["compression"], transport["unpacked"])
        part.unlink()
        return data

    def _held(self) -> dict[str, Path]:
        places = [self.folder / "versions", *([self.shipped] if self.shipped else [])]
        files = (p for place in places for p in sorted(place.rglob("*")) if p.is_file())
        return {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in files}

    def _begin(self) -> int | None:
        state = self.state()
        if state.starts >= self.attempts:
            state.fall_back()
        if state.current is not None:
            state.starts += 1
        self._save(state)
        return state.current

    def _tidy(self, state: State) -> None:
        kept = {str(state.current), *map(str, state.good[-1:])}
        for version in (self.folder / "versions").iterdir():
            if version.name not in kept:
                shutil.rmtree(version)

    def _save(self, state: State) -> None:
        beside = self.folder / "state.json.new"
        beside.write_text(json.dumps(asdict(state)))
        beside.rename(self.folder / "state.json")

    # Over the network.

    def _text(self, name: str, longest: int) -> bytes:
        with self._asked(name, 0) as answer:
            data: bytes = answer.read(longest + 1)
        if len(data) > longest:
            raise Refusal("too-large", name)
        return data

    def _file(self, transport: dict[str, Any]) -> Path:
        part = self.folder / "parts" / transport["file"]
        size = part.stat().st_size if part.exists() else 0
        if size != transport["size"]:
            self._grow(part, size if size < transport["size"] else 0, transport)
        if hashlib.sha256(part.read_bytes()).hexdigest() != transport["file"]:
            part.unlink()
            raise Refusal("wrong-digest", transport["file"])
        return part

    def _grow(self, part: Path, start: int, transport: dict[str, Any]) -> None:
        with self._asked(f"files/{transport['file']}", start) as answer:
            going_on = answer.status == 206
            if going_on and not answer.headers["Content-Range"].startswith(f"bytes {start}-"):
                raise Refusal("unreachable", "another part than asked for")
            with part.open("r+b" if going_on else "wb") as out:
                out.seek(start if going_on else 0)
                out.truncate()
                for piece in pieces(answer):
                    if out.tell() + len(piece) > transport["size"]:
                        raise Refusal("wrong-size", f"more than {transport['size']} bytes")
                    out.write(piece)
        if part.stat().st_size != transport["size"]:
            raise Refusal("wrong-size", f"{part.stat().st_size} of {transport['size']} bytes")

    def _asked(self, name: str, start: int) -> Any:
        request = urllib.request.Request(self.url + name)
        if start:
            request.add_header("Range", f"bytes={start}-")
        self.fetched.append((name, start))
        try:
            return urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            error.close()
            raise Refusal("unreachable", f"{name}: status {error.code}") from None
        except OSError as error:
            raise Refusal("unreachable", f"{name}: {error}") from error


def pieces(answer: Any) -> Iterator[bytes]:
    """What comes, as long as it comes: a cut connection ends it."""
    while True:
        try:
            piece = answer.read1(PIECE)
        except OSError:
            return
        if not piece:
            return
        yield piece
