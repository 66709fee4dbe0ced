"""The way in. If nothing changed since the last success with these arguments, say so and end.

This file is what every call pays for: it uses ``sys``, ``os``, ``marshal`` and ``binascii`` and
nothing else. Whatever it does not know falls through to ``mlbuild.cli``.
"""

import marshal
import os
import sys
from binascii import crc32

from mlbuild import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:  # no `typing`: a third of a no-op's imports
    from collections.abc import Iterator

_FORMAT = 2  # of the record that mlbuild.store.noop writes
_HEAD = 8


def main() -> int | None:
    """The console script."""
    argv = sys.argv[1:]
    if argv and argv[0] == "run":
        text = unchanged(argv)
        if text is not None:
            return _told(text)
        from mlbuild.cli.again import run as again  # lazy: something changed, or is not known

        code = again(argv)
        if code is not None:
            return code
    from mlbuild.cli.main import main as cli  # the whole engine hangs on it

    return cli()


def _told(text: str) -> int:
    """Prints, whatever standard output is: closed, full, a pipe that nobody reads."""
    if sys.stdout is None:
        return 0
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains again when it ends
        if isinstance(error, BrokenPipeError):
            return 0
        sys.stderr.write(f"standard output: {error.strerror}\n")
        return 4
    return 0


def unchanged(argv: list[str]) -> str | None:
    """What to print if nothing changed; None if that is not known."""
    for folder, where, tty, name in places(argv):
        try:
            with open(f"{folder}/.mlbuild/noop/{name}", "rb") as stream:  # noqa: PTH123
                return _check(stream.read(), folder, (argv, where, tty))
        except OSError:
            pass
    return None


def places(argv: list[str]) -> "Iterator[tuple[str, str, bool, str]]":
    """Where records of a call may lie: here, or in a folder above.

    Yields:
        The folder, the caller's place seen from there, whether on a terminal, the record's name.
    """
    folder, where = os.getcwd(), "."  # noqa: PTH109 - pathlib would double the price of a no-op
    tty = sys.stdout is not None and sys.stdout.isatty()
    while True:
        yield folder, where, tty, record_name(argv, where, tty)
        parent, _, name = folder.rpartition("/")
        if not name:
            return
        folder, where = parent, name if where == "." else f"{name}/{where}"


def record_name(argv: list[str], where: str, tty: bool) -> str:
    """The record's file name: a digest of the arguments; the record itself holds them whole."""
    return f"{crc32(marshal.dumps((argv, where, tty), 2)):08x}"


def environment() -> dict[str, int]:
    """The variables that what a run does may depend on, as checksums: a value may be a secret."""
    secret = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")  # nothing depends on these
    ours = [n for n in os.environ if n.startswith("MLBUILD_") or n == "CI"]
    return {n: crc32(os.fsencode(os.environ[n])) for n in ours if not n.endswith(secret)}


def pack(facts: tuple[object, ...]) -> bytes:
    """The record as bytes. marshal trusts what it reads, so a checksum stands before it."""
    data = marshal.dumps((_FORMAT, *facts))  # type: ignore[arg-type]
    return b"%08x" % crc32(data) + data


def signature(path: str) -> tuple[int, int, int, int] | None:
    """The stat data by which a change is noticed; None where there is nothing."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _check(raw: bytes, root: str, called: tuple[list[str], str, bool]) -> str | None:
    data = raw[_HEAD:]
    if raw[:_HEAD] != b"%08x" % crc32(data):
        return None
    try:
        form, version, *rest = marshal.loads(data)
        argv, where, tty, env, groups, text = rest
    except (ValueError, EOFError, TypeError):
        return None
    if (form, version, (argv, where, tty), env) != (_FORMAT, __version__, called, environment()):
        return None
    return text if _same(root, groups) else None


def _same(root: str, groups: list[tuple[str, str, bytes | list[int]]]) -> bool:
    start, home = os.open(".", os.O_RDONLY), -1
    try:
        os.chdir(root)  # relative paths are shorter for the kernel, and survive a moved checkout
        home = os.open(".", os.O_RDONLY)
        for folder, names, fields in groups:
            if folder:
                os.fchdir(home)
                os.chdir(folder)
            values = memoryview(fields).cast("q") if isinstance(fields, bytes) else fields
            if names and not _unchanged(names.split("\0"), values):
                return False
        return True
    except OSError:  # a folder is gone
        return False
    finally:
        os.fchdir(start)
        os.close(start)
        if home >= 0:
            os.close(home)


def _unchanged(names: list[str], values: "memoryview | list[int]") -> bool:
    stat, numbers = os.stat, iter(values)
    for name, size, mtime, ctime, inode in zip(
        names, numbers, numbers, numbers, numbers, strict=False
    ):
        try:
            found = stat(name)
        except OSError:
            if inode == -1:
                continue
            return False
        if (
            found.st_mtime_ns != mtime
            or found.st_size != size
            or found.st_ctime_ns != ctime
            or found.st_ino != inode
        ):
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
