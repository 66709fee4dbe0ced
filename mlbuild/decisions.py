"""Decisions by stage, where most stages stand and are only looked at if somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from mlbuild.records import StageRecord


class Decided(Protocol):
    """As much of a decision as is needed here."""

    @property
    def record(self) -> StageRecord | None: ...


T = TypeVar("T", bound=Decided)


class Decisions(dict[str, T]):
    """A dictionary into which stages that stand come when they are asked for."""

    def __init__(self, as_it_stands: Callable[[str], T]) -> None:
        super().__init__()
        self._as_it_stands = as_it_stands
        self.standing: Collection[str] = ()

    def __missing__(self, name: str) -> T:
        if name not in self.standing:
            raise KeyError(name)
        self[name] = found = self._as_it_stands(name)
        return found

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.standing

    def get(self, name: str, default: Any = None) -> Any:
        """The decision on a stage."""
        try:
            return self[name]
        except KeyError:
            return default


class Records(Mapping[str, StageRecord]):
    """The records of stages that are in place."""

    def __init__(self, decided: Mapping[str, Decided], names: Sequence[str]) -> None:
        self._decided, self._names = decided, dict.fromkeys(names)

    def __getitem__(self, name: str) -> StageRecord:
        record = self._decided[name].record if name in self._names else None
        if record is None:
            raise KeyError(name)
        return record

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
