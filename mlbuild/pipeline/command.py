"""Shell commands: values are put into them so that the shell reads them as plain words.

``${{ params.x }}`` may stand bare, or inside the user's own quotes, or in a here-document; in each
place it is quoted as that place asks for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from enum import Enum

from mlbuild.pipeline.nodes import scalar_text
from mlbuild.pipeline.substitute import HOLE
from mlbuild.records import Json

MENTION = re.compile(r"\$\{\{\s*(inputs|outputs)\.([\w-]+)\s*\}\}")


class Context(Enum):
    """What the shell is reading."""

    BARE = "bare"
    DOUBLE = "double quotes"
    SINGLE = "single quotes"
    HERE = "here-document"
    HERE_RAW = "here-document with a quoted delimiter"


# What changes the context, in each of them.
_STEPS = {
    Context.BARE: re.compile(
        r"\$\{\{.*?\}\}|\\.|'|\"|\$\(|\(|\)|\n|(?:(?<=\s)|^)#[^\n]*|<<<|<<-?\s*(\S+)", re.DOTALL
    ),
    Context.DOUBLE: re.compile(r"\$\{\{.*?\}\}|\\.|\"|\$\(", re.DOTALL),
    Context.SINGLE: re.compile(r"\$\{\{.*?\}\}|'", re.DOTALL),
}


_QUOTES = {"'": Context.SINGLE, '"': Context.DOUBLE}


def contexts(command: str) -> Iterator[tuple[re.Match[str], Context]]:
    """Each ``${{ }}`` of a command with what the shell is reading there."""
    stack, position = [Context.BARE], 0
    waiting: list[tuple[str, bool]] = []  # here-documents whose bodies begin on the next line
    while found := _STEPS[stack[-1]].search(command, position):
        token, position = found[0], found.end()
        if token.startswith("${{"):
            hole = HOLE.match(command, found.start())
            assert hole is not None
            yield hole, stack[-1]
        elif token in ("$(", "("):
            stack.append(Context.BARE)
        elif token == ")":
            if len(stack) > 1:
                stack.pop()
        elif token in _QUOTES:
            if stack[-1] is _QUOTES[token]:
                stack.pop()
            else:
                stack.append(_QUOTES[token])
        elif token == "\n" and waiting:
            for word, raw in waiting:
                end = _end_of_body(command, position, word)
                context = Context.HERE_RAW if raw else Context.HERE
                yield from ((h, context) for h in HOLE.finditer(command, position, end))
                position = end
            waiting = []
        elif token.startswith("<<") and token != "<<<":
            word = found[1].rstrip(";|&)")
            waiting.append((word.strip("'\"\\"), word[:1] in "'\"\\"))


def _end_of_body(command: str, start: int, word: str) -> int:
    end = re.compile(rf"^\t*{re.escape(word)}$", re.MULTILINE).search(command, start)
    return end.end() if end else len(command)


def quote(value: Json, context: Context) -> str:
    """A value, or a list of them, as the shell must find it in ``context``."""
    words = [scalar_text(v) for v in value] if isinstance(value, list) else [scalar_text(value)]
    if context is Context.BARE:
        return " ".join(shlex.quote(word) for word in words)
    text = " ".join(words)
    if context is Context.SINGLE:
        return text.replace("'", "'\\''")
    if context is Context.DOUBLE:
        return re.sub(r'([\\"$`])', r"\\\1", text)
    return re.sub(r"([\\$`])", r"\\\1", text) if context is Context.HERE else text


def mentions(command: str) -> set[tuple[str, str]]:
    """Each ``("inputs", role)`` and ``("outputs", name)`` that the command names."""
    return {(found[1], found[2]) for found in MENTION.finditer(command)}


def mentioned_outputs(command: str) -> set[str]:
    """The outputs that the command itself names, and so writes where it is told to."""
    return {name for space, name in mentions(command) if space == "outputs"}


def render(command: str, inputs: Mapping[str, str | list[str]], outputs: Mapping[str, str]) -> str:
    """The command with its inputs and outputs put in, quoted for the shell.

    Raises:
        KeyError: the command names an input or output that is not given.
    """
    values = {"inputs": inputs, "outputs": outputs}
    parts: list[str] = []
    end = 0
    for hole, context in contexts(command):
        found = MENTION.fullmatch(hole[0])
        if found is None:
            raise KeyError(hole[0])
        parts += [command[end : hole.start()], quote(values[found[1]][found[2]], context)]
        end = hole.end()
    return "".join([*parts, command[end:]])


def only_mentions(command: str) -> bool:
    """Whether nothing but inputs and outputs is left to put in."""
    return "${{" not in MENTION.sub("", command)
