"""What the pipeline needs of the registry, which stands above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mlbuild.api import Kind


class LoadedKind(Protocol):
    """A kind whose spec has been read."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...


class Kinds(Protocol):
    """All kinds by name."""

    def names(self) -> list[str]: ...

    def get(self, name: str) -> LoadedKind: ...
