"""Collects everything that is wrong, so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlbuild.errors import PipelineError, Place, Problem, did_you_mean
from mlbuild.pipeline.nodes import Node, shorten

SHOWN = 20  # problems; more of them help nobody
_ALLOWED_SHOWN = 40  # names after "allowed:"


@dataclass(frozen=True, slots=True)
class _Noted:
    message: str
    node: Node | None
    got: str | None
    allowed: tuple[str, ...]
    hint: str | None
    word: str | None  # its nearest spelling is looked up only if the problem is shown

    @property
    def order(self) -> tuple[str, int, int]:
        """Sorts problems by place."""
        if self.node is None:
            return ("", 0, 0)
        # What was given on the command line ("--set") comes before the file.
        name = self.node.source.name
        return ("" if name.startswith("--") else name, self.node.line, self.node.column)


class Problems:
    """What is wrong so far."""

    def __init__(self) -> None:
        self._noted: dict[tuple[object, ...], _Noted] = {}
        self._nodes: set[int] = set()

    def copy(self) -> Problems:
        """What is wrong so far, to be added to without changing this one."""
        other = Problems()
        other._noted, other._nodes = dict(self._noted), set(self._nodes)
        return other

    def __len__(self) -> int:
        return len(self._noted)

    def add(
        self,
        node: Node | None,
        message: str,
        *,
        got: str | None = None,
        allowed: Iterable[str] = (),
        hint: str | None = None,
        word: str | None = None,
    ) -> None:
        """Notes a problem at ``node``; ``word`` asks for the nearest of ``allowed`` as a hint.

        The same problem at the same place counts once: variants share the text they come from.
        """
        self._nodes.add(id(node))
        noted = _Noted(message, node, got, tuple(allowed), hint, word)
        self._noted.setdefault((*noted.order, message, got), noted)

    def has(self, node: Node) -> bool:
        """Whether something is wrong at the node: what follows from it need not be told."""
        return id(node) in self._nodes

    def unknown(self, node: Node, what: str, word: str, allowed: Iterable[str]) -> None:
        """Notes a name that is not one of ``allowed``."""
        self.add(node, f"{what} '{shorten(word)}'", allowed=allowed, word=word)

    def shown(self) -> list[Problem]:
        """The problems, sorted by place; beyond twenty only their number."""
        ordered = sorted(self._noted.values(), key=lambda n: n.order)
        problems = [_problem(noted) for noted in ordered[:SHOWN]]
        if len(ordered) > SHOWN:
            problems.append(Problem(f"... and {len(ordered) - SHOWN} more problems"))
        return problems

    def raise_any(self) -> None:
        """Raises PipelineError if anything was noted."""
        if self._noted:
            raise PipelineError(*self.shown())


def fatal(place: Place | None, message: str, *, hint: str | None = None) -> PipelineError:
    """The error of a file that cannot be read any further."""
    return PipelineError(Problem(message, place, hint=hint))


def _problem(noted: _Noted) -> Problem:
    allowed, hint = noted.allowed, noted.hint
    if noted.word is not None and allowed:
        hint = did_you_mean(noted.word[:200], allowed) or hint
    if len(allowed) > _ALLOWED_SHOWN:
        allowed = (*allowed[:_ALLOWED_SHOWN], f"... ({len(allowed)} in all)")
    place = noted.node.place if noted.node else None
    return Problem(noted.message, place, noted.got, allowed, hint)
