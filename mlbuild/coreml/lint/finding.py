"""One thing that is wrong, or may be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding.

    Attributes:
        severity: ``error`` gives wrong results or no run, ``warning`` may, ``note`` costs speed
            or size.
        rule: A short name: ``float16-overflow``.
        place: The operator or constant.
        what: What is the case, with figures.
        remedy: What to do about it.
    """

    severity: str
    rule: str
    place: str
    what: str
    remedy: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def ordered(findings: list[Finding]) -> list[Finding]:
    """The worst first, else as found."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
