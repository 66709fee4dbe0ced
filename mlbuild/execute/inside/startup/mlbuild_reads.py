"""Notes which files of the project a Python process opens, in a file that the engine reads later.

Imported before a stage's program, so it imports next to nothing. Each read is one short line that
is appended in one call, so that many processes can do it at once and a killed one loses nothing;
no descriptor stays open, since a program may close, count or inherit them. It knows only what
keeps the notes short: the engine decides what was declared.
"""

# Neither typing nor __future__ is imported, which would cost more than all the rest: annotations
# that Python 3.8 cannot evaluate are text.
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

VARIABLE = "WATCHED_BY_MLBUILD"
READ, LISTED = b"r", b"l"

_KINDS = {READ: stat.S_IFREG, LISTED: stat.S_IFDIR}
_OURS = (".git", ".dvc", ".mlbuild")
# Who lists folders to find modules, or to remove them, does not read them.
_LOOKUPS = ("/importlib/", "/importlib_metadata/", "/pkg_resources/", "/pkgutil.py")


def begin(facts: str) -> None:
    """Watches this process from now on, and those that it forks.

    Args:
        facts: where to note reads, the project as it is named and as it is after following links,
            and what of it need not be noted, relative to it; each after a colon.
    """
    notes, root, real, *unwatched = facts.split(":")
    sys.addaudithook(_hook(Notes(notes, (root, real), (*unwatched, *_OURS))))


class Notes:
    """What this process read of the project."""

    def __init__(self, file: str, roots: "tuple[str, ...]", unwatched: "tuple[str, ...]") -> None:
        self.file = file
        self.prefixes = tuple(root.rstrip("/") + "/" for root in roots)
        self.skipped = {prefix + name for prefix in self.prefixes for name in unwatched}
        self.skipped |= {os.path.dirname(file), *self._environment()}
        self.shortest = min(len(prefix) for prefix in self.prefixes)
        self.seen: set[str] = set()

    def _environment(self) -> "set[str]":
        """The interpreter's own files, where they lie in the project."""
        inside: set[str] = set()
        for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
            if prefix.startswith(self.prefixes):
                inside.add(prefix)
            elif prefix + "/" in self.prefixes:
                inside |= {prefix + "/" + name for name in ("lib", "lib64", "bin", "pyvenv.cfg")}
        return inside

    def add(self, what: bytes, name: "Any", folder: str = "") -> None:
        """Notes a file or folder, once, if it is the project's and is there."""
        path = os.fsdecode(name)
        if path[:1] != "/":
            path = os.path.join(folder or os.getcwd(), path)
            if path[:1] != "/":  # a folder that is itself relative
                path = os.path.join(os.getcwd(), path)
        if "/." in path or "//" in path or path[-1:] == "/":
            path = os.path.normpath(path)
        if not path.startswith(self.prefixes) or path in self.seen:
            return
        above = path
        while len(above) > self.shortest:
            if above in self.skipped:
                return
            above = above[: above.rfind("/")]
        self._write(what, path)

    def _write(self, what: bytes, path: str) -> None:
        self.seen.add(path)
        path = source(path)
        found = os.stat(path)
        if stat.S_IFMT(found.st_mode) != _KINDS[what]:
            return
        line = b"%b%d:%b\0" % (what, found.st_ctime_ns, os.fsencode(path))
        target = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.write(target, line)
        finally:
            os.close(target)


def source(path: str) -> str:
    """The source that a compiled file stands for, where there is one."""
    if not path.endswith(".pyc"):
        return path
    prefix = getattr(sys, "pycache_prefix", None)
    folder, _, name = path.rpartition("/")
    if prefix and path.startswith(prefix + "/"):
        folder = folder[len(prefix) :]
    elif folder.endswith("/__pycache__"):
        folder = folder[: -len("/__pycache__")]
    found = folder + "/" + name.partition(".")[0] + ".py"
    return found if os.path.exists(found) else path


def _hook(notes: Notes) -> "Callable[[str, tuple[Any, ...]], None]":
    handlers = _handlers(notes.add)

    def hook(event: str, args: "tuple[Any, ...]") -> None:
        handler = handlers.get(event)
        if handler is None:
            return
        try:
            handler(args)
        except Exception:  # whatever is odd about a name: no program may fail by being watched
            return

    return hook


def _handlers(
    add: "Callable[..., None]",
    # Of its own: a program that ends has lost the names of modules before its last open().
    unread: int = os.O_TRUNC | os.O_EXCL,
    mode: int = os.O_ACCMODE,
    writing: int = os.O_WRONLY,
) -> "dict[str, Callable[[tuple[Any, ...]], None]]":
    def opened(args: "tuple[Any, ...]") -> None:
        path, _, flags = args
        if type(path) is not int and flags & mode != writing and not flags & unread:
            add(READ, path)

    def first(args: "tuple[Any, ...]") -> None:
        add(READ, args[0])

    def listed(args: "tuple[Any, ...]") -> None:
        code = sys._getframe(2).f_code  # of who asked; 1 is the hook
        # None stands for the current folder, and also for one that was opened before.
        if args[0] is not None and not _looks_up(code.co_filename, code.co_name):
            add(LISTED, args[0])

    def imported(args: "tuple[Any, ...]") -> None:
        if args[1] is not None:  # a compiled extension; all others are opened
            add(READ, args[1])

    def connected(args: "tuple[Any, ...]") -> None:
        name = os.fsdecode(args[0])
        add(READ, name[len("file:") :].partition("?")[0] if name[:5] == "file:" else name)

    def loaded(args: "tuple[Any, ...]") -> None:
        if args[0] and "/" in os.fsdecode(args[0]):  # others are looked up
            add(READ, args[0])

    def started(args: "tuple[Any, ...]") -> None:
        if "/" in os.fsdecode(args[0]):
            add(READ, args[0], "" if args[2] is None else os.fsdecode(args[2]))

    return {
        "open": opened,
        "cpython.run_file": first,
        "os.listdir": listed,
        "os.scandir": listed,
        "import": imported,
        "sqlite3.connect": connected,
        "ctypes.dlopen": loaded,
        "subprocess.Popen": started,
        "os.exec": first,
        "os.posix_spawn": first,
    }


def _looks_up(file: str, function: str) -> bool:
    """Whether a folder is listed to find modules in it or to remove it, and not to read it."""
    if file.startswith("<frozen importlib") or any(part in file for part in _LOOKUPS):
        return True
    return file.endswith("/shutil.py") and function.startswith("_rmtree")
