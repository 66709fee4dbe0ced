"""The object cache: bytes by their MD5, laid out as DVC does, and the links out of it.

An object is made from a private copy that is hashed itself, so that its name is right whatever
happens to the file meanwhile; and it is hashed again whenever it is copied out.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from mlbuild.errors import DataError
from mlbuild.fingerprint import file_md5, listing_md5
from mlbuild.records import Digest
from mlbuild.store.files import checkpoint, explained, remove

_FICLONE = 0x40049409
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

    def put(self, path: Path) -> Ingested:
        """Puts a file or folder that nobody else writes into the cache.

        Links in it are replaced by what they point to: an output must not change because
        something else does.
        """
        with explained("storing a result", path):
            if path.is_symlink():
                _materialize(path)
            if not path.is_dir():
                md5, size, isexec = self._put_file(str(path))
                return Ingested(Digest(md5, size, isexec=isexec), None)
            return self._put_folder(path)

    def put_listed(self, files: Iterable[tuple[Path, str]]) -> None:
        """Puts files whose digests are known; those that are there already are not read."""
        for path, md5 in files:
            if not self.has(md5):
                with explained("storing data", path):
                    got = self._put_file(str(path))[0]
                if got != md5:
                    raise DataError(f"{path} changed while it was stored", hint="run again")

    def put_tree(self, path: Path, md5: str, listing: dict[str, str]) -> None:
        """Puts a file or folder whose digests are known."""
        if not md5.endswith(".dir"):
            self.put_listed([(path, md5)])
            return
        self.put_listed((path / rel, inner) for rel, inner in listing.items())
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
            jobs = [(md5, f"{to}/{rel}") for rel, md5 in listing.items()]
            _each(jobs, lambda job: self._out(*job, False))
            return Ingested(digest, listing)

    def sweep(self) -> None:
        """Removes what killed processes left half-written."""
        folder = self.folder / "files" / ".mlbuild"
        for entry in folder.iterdir() if folder.is_dir() else ():
            with contextlib.suppress(OSError):
                old = time.time() - entry.stat().st_mtime > _STALE_SECONDS
                if old and not _alive(entry.name.partition("-")[0]):
                    entry.unlink()

    def _put_folder(self, path: Path) -> Ingested:
        names: list[tuple[str, str]] = []
        top = str(path)
        for folder, folders, files in os.walk(top):
            folders[:] = [f for f in folders if f not in (".git", ".hg", ".dvc")]
            for name in list(folders):
                inner = Path(folder, name)
                if inner.is_symlink():
                    _materialize(inner)
            for name in files:
                full = f"{folder}/{name}"
                if Path(full).is_symlink():
                    _materialize(Path(full))
                if name != ".git":
                    names.append((full[len(top) + 1 :], full))
        listing: dict[str, str] = {}
        sizes: list[int] = []

        def one(job: tuple[str, str]) -> None:
            md5, size, _ = self._put_file(job[1])
            listing[job[0]] = md5
            sizes.append(size)

        _each(names, one)
        md5, data = listing_md5(listing.items())
        self.put_bytes(md5, data)  # last: a listing promises its files
        return Ingested(Digest(md5, sum(sizes), nfiles=len(listing)), listing)

    def _put_file(self, name: str) -> tuple[str, int, bool]:
        found = os.stat(name)  # noqa: PTH116
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{name} is neither a file nor a folder: it cannot be an output")
        temporary = self._temporary()
        try:
            clone(name, temporary)
            md5 = file_md5(temporary)
            size = os.stat(temporary).st_size  # noqa: PTH116
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

    def _out(self, md5: str, to: str, isexec: bool) -> None:
        source = f"{self._files}/{md5[:2]}/{md5[2:]}"
        if not os.path.exists(source):  # noqa: PTH110
            raise _missing(md5, Path(to))
        for kind in self._links:
            if kind == "hardlink" and _try(os.link, source, to):
                break
            if kind == "symlink" and _try(os.symlink, source, to):
                break
            if kind in ("reflink", "copy"):
                clone(source, to)
                os.chmod(to, (0o777 if isexec else 0o666) & ~_UMASK)  # noqa: PTH101
                break
        if file_md5(to) != md5:
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


def clone(source: str, to: str) -> None:
    """Copies bytes to a new file; shares them where the filesystem can."""
    if sys.platform != "linux":
        shutil.copyfile(source, to)  # macOS: clones by itself
        return
    with open(source, "rb") as src, open(to, "xb") as dst:  # noqa: PTH123 - hot
        try:
            fcntl.ioctl(dst.fileno(), _FICLONE, src.fileno())
            return
        except OSError:
            pass  # no reflinks here
        try:
            while os.copy_file_range(src.fileno(), dst.fileno(), 1 << 30):
                pass
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            shutil.copyfileobj(src, dst)


def _materialize(link: Path) -> None:
    """Replaces a link by a copy of what it points to."""
    if not link.exists():
        raise DataError(
            f"{link} is a link to {str(link.readlink())!r}, which does not exist",
            hint="an output must hold its data itself",
        )
    target = link.resolve()
    link.unlink()
    if target.is_dir():
        shutil.copytree(target, link)
    else:
        shutil.copy2(target, link)


def _try(make: Callable[[str, str], None], source: str, to: str) -> bool:
    try:
        make(source, to)
    except OSError:
        return False
    return True


def _each(jobs: list[tuple[str, str]], work: Callable[[tuple[str, str]], None]) -> None:
    """Does many small jobs, on threads where there are enough of them."""
    if len(jobs) < _PARALLEL_FILES:
        for job in jobs:
            work(job)
        return
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for _ in pool.map(work, jobs):
            pass


_UMASK = os.umask(0o077)  # it can only be read by setting it, which threads must not do
os.umask(_UMASK)
