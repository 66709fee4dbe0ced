"""Whether every gate of a release held, or was waived with a reason."""

from __future__ import annotations

from collections.abc import Iterator

from mlbuild.records import Json
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.manifest_reading import NAME, Manifest, ManifestGate

# Ends of plain limits: what the value may not pass. The others need what the value was made of.
_LEAST, _MOST = "min", "max"


def check_gates(manifest: Manifest) -> Iterator[Finding]:
    """Gates as the manifest records them; plain limits are held against the value once more."""
    for number, gate in enumerate(manifest.gates):
        where = f"{NAME}: gates[{number}]"
        name = f"{gate.stage}.{gate.metric}"
        if not gate.ok and not (gate.waiver and gate.waiver.strip()):
            what = f"the gate on {name} did not hold, and nobody gave a reason to waive it"
            remedy = "such a release is not made: do not use it"
            yield Finding(About.GATE, where, what, found=gate.text, remedy=remedy)
        elif gate.ok and (limit := _passed(gate)):
            what = f"the gate on {name} is said to hold, and does not"
            remedy = "the manifest was rewritten: get the release again"
            yield Finding(About.GATE, where, what, limit, str(gate.value), remedy)
    yield from _waivers(manifest)


def _waivers(manifest: Manifest) -> Iterator[Finding]:
    """The list of waivers is that of the gates."""
    of_gates = [(f"{g.stage}.{g.metric}", g.waiver) for g in manifest.gates if g.waiver is not None]
    if of_gates != [(w.gate, w.reason) for w in manifest.waivers]:
        what = "the waivers are not those of the gates"
        remedy = "the manifest was rewritten: get the release again"
        told = ", ".join(w.gate for w in manifest.waivers) or "none"
        expected = ", ".join(name for name, _ in of_gates) or "none"
        yield Finding(About.GATE, f"{NAME}: waivers", what, expected, told, remedy)


def _passed(gate: ManifestGate) -> str | None:
    """The limit on the wrong side of which the value lies."""
    least, most = (_number(gate.limits.get(name)) for name in (_LEAST, _MOST))
    if gate.value is None:
        return None
    if least is not None and gate.value < least:
        return f"min {least:g}"
    if most is not None and gate.value > most:
        return f"max {most:g}"
    return None


def _number(value: Json) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
