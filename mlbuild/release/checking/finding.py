"""What a check found to be wrong, and what it could not look at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from mlbuild.records import Json

_LONGEST = 1000


class About(StrEnum):
    """What a finding is about; also the order in which findings are told."""

    MANIFEST = "manifest"  # it cannot be read, or contradicts itself
    IDENTITY = "identity"  # it is another release than the one that was asked for
    SIGNATURE = "signature"
    FILE = "file"  # of the folder: missing, added, changed, a link
    ARTIFACT = "artifact"  # its bytes are not those that the ledger has
    GATE = "gate"
    PROVENANCE = "provenance"
    BOM = "bom"
    CARD = "card"
    TAG = "tag"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a fact, with what to do about it."""

    about: About
    where: str  # a path in the folder, or a path and a place in it: "manifest.json: gates[0]"
    what: str
    expected: str | None = None
    found: str | None = None
    remedy: str | None = None

    def event(self) -> dict[str, Json]:
        """As a line of `--json` tells it."""
        return {"event": "finding"} | asdict(self)

    def lines(self) -> list[str]:
        """As it is printed; nothing in it can steer a terminal."""
        told = [f"{self.about}: {shown(self.where)}: {shown(self.what)}"]
        for name in ("expected", "found", "remedy"):
            value = getattr(self, name)
            if value is not None:
                told.append(f"  {name:9} {shown(value)}")
        return told


def shown(text: str) -> str:
    """A text that nobody vouches for yet: short, with what a terminal would obey escaped."""
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
