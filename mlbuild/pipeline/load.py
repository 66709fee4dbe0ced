"""Reads a pipeline file into a tree with places; refuses what no pipeline file can be."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import PipelineError, Place, Problem, did_you_mean
from mlbuild.pipeline.compose import compose
from mlbuild.pipeline.nodes import Mapped, Source
from mlbuild.pipeline.problems import Problems, fatal

MAX_BYTES = 64 * 1024 * 1024
# What YAML does not allow anywhere. https://yaml.org/spec/1.2.2/#51-character-set
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


@dataclass(frozen=True, slots=True)
class Document:
    """A pipeline file as it stands: nothing is merged, substituted or checked yet.

    ``problems`` holds what was wrong and did not stop the reading (duplicate keys, tags);
    ``resolve`` tells it together with everything else.
    """

    path: Path
    text: str
    root: Mapped
    source: Source
    problems: Problems


def load(path: Path | str) -> Document:
    """Reads a pipeline file.

    Args:
        path: as the user gave it; messages name the file so.

    Raises:
        PipelineError: there is no such file, or it is not one YAML map.
    """
    path = Path(path)
    text = _text(path)
    source = Source(str(path), tuple(text.splitlines()))
    _refuse_unprintable(text, source)
    problems = Problems()
    root = compose(text, source, problems)
    if root is None:
        raise fatal(source.place(0, 0), "the file is empty", hint=_START)
    if not isinstance(root, Mapped):
        problems.add(root, f"a pipeline file is a map, not {root.what}", hint=_START)
        problems.raise_any()
    assert isinstance(root, Mapped)
    return Document(path, text, root, source, problems)


_START = "it begins with 'version: 1', 'name: ...' and 'stages:'"


def _text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise PipelineError(Problem(f"{path}: is {what}", hint=_yaml_hint(path)))
        if status.st_size > MAX_BYTES:
            limit = MAX_BYTES // 1024**2
            raise PipelineError(Problem(f"{path}: larger than {limit} MB, that is no pipeline"))
        data = path.read_bytes()
    except FileNotFoundError as error:
        hint = _yaml_hint(path)
        raise PipelineError(Problem(f"{path}: there is no such file", hint=hint)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PipelineError(Problem(f"{path}: cannot be read: {reason}")) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, data, error) from error


def _not_utf8(path: Path, data: bytes, error: UnicodeDecodeError) -> PipelineError:
    before = data[: error.start]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    text = data.split(b"\n")[line - 1][:200].decode("utf-8", "replace")
    text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    place = Place(str(path), line, column, text)
    return fatal(place, "not UTF-8", hint="save the file as UTF-8")


def _refuse_unprintable(text: str, source: Source) -> None:
    found = _UNPRINTABLE.search(text)
    if found is None:
        return
    before = text[: found.start()].splitlines(keepends=True) or [""]
    line, column = len(before) - 1, len(before[-1])
    if before[-1].endswith(("\n", "\r")):
        line, column = line + 1, 0
    shown = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", source.place(line, column).text or "")
    message = f"character U+{ord(found.group()):04X} is not allowed: this is not a text file"
    raise fatal(Place(source.name, line + 1, column + 1, shown), message)


def _yaml_hint(path: Path) -> str | None:
    folder = path if path.is_dir() else path.parent
    try:
        files = [p.name for p in sorted(folder.iterdir())[:1000]]
    except OSError:
        return None
    names = [n for n in files if n.endswith((".yaml", ".yml"))]
    return did_you_mean(path.name, names) or (
        f"there are {', '.join(names[:5])} in {folder}" if names else None
    )
