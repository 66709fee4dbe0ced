"""`.dvcignore`: what DVC leaves out of folders, and so do we.

The rules are DVC's (gitignore's patterns, as `pathspec` reads them): those of a folder hold below
it, after those from above; the last one that matches decides.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from mlbuild.errors import DataError
from mlbuild.store.files import explain

_NAME = ".dvcignore"
_NAME_OF_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/")
_GROUP = re.compile(r"\(\?P<\w+>")  # pathspec names groups; two patterns in one must not


class _Test(NamedTuple):
    pattern: re.Pattern[str]
    ignores: bool
    only_folders: bool


class Rules:
    """What holds for the entries of one folder."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        self._tests = _compiled(patterns)

    def ignore(self, path: str, is_folder: bool) -> bool:
        """Whether they leave something out.

        Args:
            path: relative to the root, with '/'; nothing above it is left out.
            is_folder: whether it is a folder.
        """
        for test in self._tests:
            if test.only_folders and not is_folder:
                continue
            if test.pattern.match(path) or (is_folder and test.pattern.match(path + "/")):
                return test.ignores
        return False


class Ignore:
    """The rules of a project.

    Args:
        root: the project.
        look: asked whether a file is there that may say something, before it is read.
    """

    def __init__(self, root: str, look: Callable[[str], bool] = os.path.lexists) -> None:
        self._root, self._look = root, look
        self._rules: dict[str, Rules | None] = {}

    def relative(self, folder: str) -> str:
        """A folder of the project from its root, with a '/' behind it; "" is the root."""
        return f"{folder[len(self._root) + 1 :]}/" if folder != self._root else ""

    def below(self, folder: str) -> bool:
        """Whether the rules count in a folder: it lies in the project, and is not left out itself.

        DVC cannot track what it is told to ignore; what a stage reads counts all the same.
        """
        if folder != self._root and not folder.startswith(self._root + "/"):
            return False
        parts = self.relative(folder).split("/")[:-1]
        rules = self.rules(folder.rpartition("/")[0]) if parts else None
        paths = ("/".join(parts[: n + 1]) for n in range(len(parts)))
        return rules is None or not any(rules.ignore(path, True) for path in paths)

    def rules(self, folder: str) -> Rules | None:
        """What holds for the entries of a folder of the project; None where nothing does."""
        if folder not in self._rules:
            top = folder == self._root
            above = None if top else self.rules(folder.rpartition("/")[0])
            relative = self.relative(folder)
            file = f"{folder}/{_NAME}"
            lines: list[str] = []
            there = self._look(file)
            if there and not (above and above.ignore(relative + _NAME, False)):
                lines = [_below(line, relative) for line in _lines(file)]
            known = above.patterns if above else ()
            self._rules[folder] = Rules((*known, *lines)) if lines else above
        return self._rules[folder]


def _lines(file: str) -> list[str]:
    try:
        text = Path(file).read_text("utf-8")
    except UnicodeDecodeError as error:
        message = f"{file} is not text: DVC reads it as UTF-8"
        raise DataError(message, hint="correct or remove it") from error
    except OSError as error:
        raise explain(error, "reading", Path(file)) from error
    stripped = map(str.strip, text.split("\n"))
    return [line for line in stripped if line and not line.startswith("#")]


def _below(rule: str, folder: str) -> str:
    """A rule of a folder as one of the root: the same places, written from there."""
    if not folder:
        return rule
    negated, rule = ("!", rule[1:]) if rule.startswith("!") else ("", rule)
    anchored = "/" in rule[:-1] and not rule.startswith("**/")
    rule = rule.removeprefix("/") if anchored else rule.removeprefix("**/")
    rule = rule.removeprefix("\\")
    return f"{negated}/{folder}{rule}" if anchored else f"{negated}/{folder}**/{rule}"


def _compiled(patterns: Sequence[str]) -> list[_Test]:
    """Tests in the order in which they are asked: the last one first."""
    read = [(*known, text.endswith("/")) for text in patterns if (known := _regex(text))]
    tests = []
    for (ignores, only_folders), group in groupby(read, key=lambda item: item[1:]):
        regexes = [regex for regex, _, _ in group]
        tests.append(_Test(re.compile("|".join(regexes)), ignores, only_folders))
    return tests[::-1]


def _regex(text: str) -> tuple[str, bool] | None:
    if _NAME_OF_FOLDER.fullmatch(text):  # the one that every new project has
        return rf"^(?:.+/)?{re.escape(text[:-1])}/", True
    # Lazy: it comes with DVC, and is needed only where somebody wrote a pattern.
    try:
        from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern as Pattern
    except ImportError:  # pathspec < 1
        from pathspec.patterns import GitWildMatchPattern as Pattern  # type: ignore[attr-defined]
    try:
        regex, ignores = Pattern.pattern_to_regex(text)
    except ValueError as error:
        message = f"{_NAME}: pattern {text!r} cannot be read: {error}"
        raise DataError(message, hint="https://git-scm.com/docs/gitignore") from error
    if regex is None or ignores is None:
        return None
    return _GROUP.sub("(?:", regex), ignores
