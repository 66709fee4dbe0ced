"""The object cache: bytes by their MD5, laid out as DVC does, and the links out of it.

An object is made from a private copy that is hashed itself, so that its name is right whatever
happens to the file meanwhile; and it is hashed again whenever it is copied out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mlbuild.errors import DataError
from mlbuild.fingerprint import file_md5, listing_md5
from mlbuild.lazily import lazily
from mlbuild.records import Digest
from mlbuild.store.copying import UMASK, can_share, clone, materialize, materialize_all, tried
from mlbuild.store.files import checkpoint, explained, remove
from mlbuild.store.ignoring import Ignore
from mlbuild.store.meter import UNHEARD, Meter
from mlbuild.store.reading import content_md5, has_content
from mlbuild.store.small import bring, read, write
from mlbuild.store.twins import Twins
from mlbuild.store.walking import walk
from mlbuild.store.workers import MANY, spread

if TYPE_CHECKING:
    from concurrent import futures
else:
    futures = lazily("concurrent.futures")  # with logging: 7 ms

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")
_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")
_PARALLEL_FILES = 64
_STALE_SECONDS = 3600  # another machine may share the cache: its process numbers say nothing here


class ObjectMissingError(DataError):
    """An object is not in the local cache, or was found corrupt there and taken out."""


class Ingested(NamedTuple):
    """What was put into the cache: its digest and, of a folder, relative path -> MD5."""

    digest: Digest
    listing: dict[str, str] | None


class Objects:
    """One cache folder.

    Args:
        folder: what DVC calls the cache directory; objects lie in ``files/md5`` below it.
        links: how files are brought out of it, best first: reflink, hardlink, symlink, copy.
    """

    def __init__(self, folder: Path, links: tuple[str, ...] = ("reflink", "copy")) -> None:
        self.folder = folder
        self._files = str(folder / "files" / "md5")
        self._links = links
        self._made: set[str] = set()
        self._sharing: bool | None = None  # not known yet
        self.twins: Twins | None = None  # what is known of large contents, where somebody keeps it

    @property
    def linked(self) -> bool:
        """Whether outputs share their file with the cache."""
        return any(kind in ("hardlink", "symlink") for kind in self._links)

    def path(self, md5: str) -> Path:
        """Where the object of that digest lies, or would."""
        return Path(self._files, md5[:2], md5[2:])

    def has(self, md5: str) -> bool:
        """Whether one object is there; of a folder, its listing only."""
        return os.path.exists(f"{self._files}/{md5[:2]}/{md5[2:]}")  # noqa: PTH110 - hot

    def complete(self, md5: str) -> bool:
        """Whether the object and, of a folder, all that it lists are there."""
        if not self.has(md5):
            return False
        if not md5.endswith(".dir"):
            return True
        listing = self.listing(md5)
        return listing is not None and all(self.has(m) for m in set(listing.values()))

    def missing(self, md5: str) -> set[str]:
        """The objects that ``complete`` misses, as far as they are known."""
        if not self.has(md5):
            return {md5}
        listing = self.listing(md5) if md5.endswith(".dir") else {}
        return {md5} if listing is None else {m for m in listing.values() if not self.has(m)}

    def objects_of(self, md5: str) -> set[str]:
        """The object itself and, of a folder whose listing is here, what it lists."""
        listing = self.listing(md5) if md5.endswith(".dir") else None
        return {md5, *(listing or {}).values()}

    def listing(self, md5: str) -> dict[str, str] | None:
        """A folder's files: relative path -> MD5. A corrupt listing is removed: None."""
        path = self.path(md5)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        with contextlib.suppress(ValueError, KeyError, TypeError):
            listing = {entry["relpath"]: entry["md5"] for entry in json.loads(raw)}
            # The bytes are what the name promises only if they are DVC's own form of the list.
            # Nothing in it may lead out of the folder that is made of it, or out of the cache.
            safe = all(map(_inside, listing)) and all(map(is_digest, listing.values()))
            if safe and listing_md5(listing.items())[0] == md5:
                return listing
        remove(path)
        return None

    def put(self, path: Path, ignore: Ignore | None = None, place: Path | None = None) -> Ingested:
        """Puts a file or folder that nobody else writes into the cache.

        Links in it are replaced by what they point to: an output must not change because
        something else does.

        Args:
            path: where it lies now.
            ignore: the project's rules for what does not count in a folder.
            place: where it will lie, which is what such rules speak of.
        """
        with explained("storing a result", path):
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                materialize(path)
                found = os.lstat(path)
            if not stat.S_ISDIR(found.st_mode):
                md5, size, isexec = self._put_file(str(path))
                return Ingested(Digest(md5, size, isexec=isexec), None)
            return self._put_folder(str(path), ignore, place)

    def put_listed(self, files: Iterable[tuple[Path | str, str]], meter: Meter = UNHEARD) -> None:
        """Puts files whose digests are known; those that are there already are not read."""
        jobs = {md5: str(path) for path, md5 in files if not self.has(md5)}
        wanted: list[tuple[str, str | None]] = [(name, md5) for md5, name in jobs.items()]
        every = contextlib.closing(self._put_all(wanted, meter))
        with explained("storing data", self.folder), every as found:
            for (name, md5), (got, _, _) in zip(wanted, found, strict=True):
                if got != md5:
                    raise DataError(f"{name} changed while it was stored", hint="run again")

    def put_tree(
        self, path: Path, md5: str, listing: dict[str, str], meter: Meter = UNHEARD
    ) -> None:
        """Puts a file or folder whose digests are known; ``meter`` is told of what is copied."""
        if not md5.endswith(".dir"):
            self.put_listed([(path, md5)], meter)
            return
        self.put_listed(((f"{path}/{rel}", inner) for rel, inner in listing.items()), meter)
        self.put_bytes(*listing_md5(listing.items()))

    def put_bytes(self, md5: str, data: bytes) -> None:
        """Puts bytes whose digest is known, e.g. a folder's listing."""
        if self.has(md5):
            return
        temporary = self._temporary()
        with explained("storing data", Path(temporary)):
            Path(temporary).write_bytes(data)
            self._name(temporary, md5)

    def take(self, md5: str, fill: Callable[[Path], object]) -> bool:
        """Puts what somebody else sends under the name of what it should be.

        Args:
            md5: the object's digest.
            fill: writes its bytes to a path where nothing is.

        Returns:
            False, and nothing is kept, where these are not the object's bytes.
        """
        temporary = self.temporary()
        with explained("storing data", temporary):
            try:
                fill(temporary)
                if file_md5(str(temporary)) != md5.removesuffix(".dir"):
                    return False
                self._name(str(temporary), md5)
            finally:
                temporary.unlink(missing_ok=True)
        return not md5.endswith(".dir") or self.listing(md5) is not None

    def checkout(self, digest: Digest, to: Path) -> Ingested:
        """Brings an object to ``to``, where nothing is, verified.

        Raises:
            ObjectMissingError: not there, or corrupt (it is removed, so that it can be had again).
        """
        with explained("restoring", to):
            to.parent.mkdir(parents=True, exist_ok=True)
            if not digest.md5.endswith(".dir"):
                self._out(digest.md5, str(to), digest.isexec)
                return Ingested(digest, None)
            listing = self.listing(digest.md5)
            if listing is None:
                raise _missing(digest.md5, to)
            to.mkdir()
            for folder in sorted({rel.rpartition("/")[0] for rel in listing} - {""}):
                (to / folder).mkdir(parents=True, exist_ok=True)
            self._out_all([(md5, f"{to}/{rel}", False) for rel, md5 in listing.items()])
            return Ingested(digest, listing)

    def sweep(self) -> None:
        """Removes what killed processes left half-written."""
        folder = self.folder / "files" / ".mlbuild"
        for entry in folder.iterdir() if folder.is_dir() else ():
            with contextlib.suppress(OSError):
                old = time.time() - entry.stat().st_mtime > _STALE_SECONDS
                if old and not _alive(entry.name.partition("-")[0]):
                    entry.unlink()

    def _put_folder(self, top: str, ignore: Ignore | None, place: Path | None) -> Ingested:
        materialize_all(top)
        names = walk(top, ignore, str(place or top)).names
        found = list(self._put_all([(f"{top}/{name}", None) for name in names]))
        listing = {name: got[0] for name, got in zip(names, found, strict=True)}
        md5, data = listing_md5(listing.items())
        self.put_bytes(md5, data)  # last: a listing promises its files
        return Ingested(Digest(md5, sum(got[1] for got in found), nfiles=len(listing)), listing)

    def _put_all(
        self, jobs: list[tuple[str, str | None]], meter: Meter = UNHEARD
    ) -> Generator[tuple[str, int, bool], None, None]:
        """Puts many files, in order; by processes where there are very many small ones."""

        def long_way(job: tuple[str, str | None]) -> tuple[str, int, bool]:
            with explained("storing data", Path(job[0])):
                return self._put_file(*job, meter)

        if len(jobs) < MANY or self._shares():
            yield from _each(jobs, long_way)
            return
        prefix = self._temporary()
        answers = spread("keep", jobs, lambda part: (self._files, f"{prefix}-{part}-"))
        with contextlib.closing(answers) as parts:
            for job, got in zip(jobs, chain.from_iterable(parts), strict=True):
                meter.add(got[1] if got else 0)
                yield got or long_way(job)

    def _put_file(
        self, name: str, expected: str | None = None, meter: Meter = UNHEARD
    ) -> tuple[str, int, bool]:
        found = os.stat(name)  # noqa: PTH116
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{name} is neither a file nor a folder: it cannot be an output")
        temporary = self._temporary()
        try:
            md5, size = self._copied(name, temporary, expected, meter)
            self._name(temporary, md5)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise
        return md5, size, bool(found.st_mode & 0o111)

    def temporary(self) -> Path:
        """A path beside the objects where nothing is, for what is on its way to them."""
        return Path(self._temporary())

    def _temporary(self) -> str:
        folder = f"{self.folder}/files/.mlbuild"  # not among the objects: `dvc gc` lists those
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            self._made.add(folder)
        return f"{folder}/{os.getpid()}-{os.urandom(8).hex()}"

    def _name(self, temporary: str, md5: str) -> None:
        folder = f"{self._files}/{md5[:2]}"
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            self._made.add(folder)
        with contextlib.suppress(PermissionError):  # some filesystems know no modes
            os.chmod(temporary, 0o444)  # noqa: PTH101
        checkpoint("object")
        os.replace(temporary, f"{folder}/{md5[2:]}")  # noqa: PTH105

    def _copied(
        self, name: str, temporary: str, expected: str | None, meter: Meter
    ) -> tuple[str, int]:
        """A private copy that is hashed itself; small ones are written from what was hashed."""
        small = None if self._shares() else read(name)
        if small is not None:
            data = small[0]
            if write(temporary, data, 0o444):
                meter.add(len(data))
                return hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data)
        clone(name, temporary, meter.add)
        size = os.stat(temporary).st_size  # noqa: PTH116
        if expected and has_content(temporary, expected, self.twins):
            return expected, size
        return content_md5(temporary, self.twins), size

    def _shares(self) -> bool:
        """Whether copies cost nothing here, since the filesystem shares what is equal."""
        if self._sharing is None:
            self._sharing = can_share(self._temporary(), self._temporary())
        return self._sharing

    def _out_all(self, jobs: list[tuple[str, str, bool]]) -> None:
        """Brings many objects out; by processes where there are very many small ones."""
        copies = next((kind for kind in self._links if kind != "reflink"), "copy") == "copy"
        if len(jobs) < MANY or not copies or self._shares():
            for _ in _each(jobs, lambda job: self._out(*job)):
                pass
            return
        with contextlib.closing(spread("bring", jobs, lambda part: (self._files,))) as parts:
            for job, done in zip(jobs, chain.from_iterable(parts), strict=True):
                if not done:
                    self._out(*job)

    def _out(self, md5: str, to: str, isexec: bool) -> None:
        source = f"{self._files}/{md5[:2]}/{md5[2:]}"
        if not os.path.exists(source):  # noqa: PTH110
            raise _missing(md5, Path(to))
        for kind in self._links:
            if kind == "hardlink" and tried(lambda: os.link(source, to)):
                break
            if kind == "symlink" and tried(lambda: os.symlink(source, to)):  # noqa: PTH211
                break
            if kind in ("reflink", "copy"):
                if not self._shares() and bring(self._files, [(md5, to, isexec)])[0]:
                    return  # a small one, verified on the way
                clone(source, to)
                os.chmod(to, (0o777 if isexec else 0o666) & ~UMASK)  # noqa: PTH101
                break
        if not has_content(to, md5, self.twins):
            os.unlink(to)  # noqa: PTH108
            if file_md5(source) != md5:
                os.unlink(source)  # noqa: PTH108
            raise _missing(md5, Path(to), corrupt=True)


def _missing(md5: str, to: Path, corrupt: bool = False) -> ObjectMissingError:
    how = "is corrupt and was removed" if corrupt else "is missing"
    return ObjectMissingError(
        f"{to.name} cannot be restored: object {md5} {how}",
        hint="`dvc pull` fetches it if a remote has it; otherwise run the stage again",
    )


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def is_digest(md5: str) -> bool:
    """Whether that can be an object's name: of a file or, with ``.dir``, of a folder."""
    return bool(_DIGEST.fullmatch(md5))


def _inside(rel: str) -> bool:
    return bool(rel) and not rel.startswith("/") and ".." not in rel.split("/")


def _each(jobs: list[_Job], work: Callable[[_Job], _Result]) -> Iterator[_Result]:
    """Does many jobs, in order; on threads where there are enough of them."""
    if len(jobs) < _PARALLEL_FILES:
        yield from map(work, jobs)
        return
    with futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(work, jobs)
