"""A model's report as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlbuild.records import Json
from mlbuild.report import words
from mlbuild.report.comparison import describe_comparison
from mlbuild.report.summary.built_page import size_difference
from mlbuild.report.summary.figures import difference, shown
from mlbuild.report.summary.model import Model, Version, fresh
from mlbuild.report.summary.page import Cell, Page, Section, Tone, table

_TONES = {"error": Tone.BAD, "warning": Tone.DOUBT, "note": Tone.PLAIN}
_SHOWN = 20  # labels or findings that are listed; `--format json` has all
_COUNTS = ("parameters", "weight_bytes", "multiply_adds", "peak_bytes")


def page(model: Model) -> Page:
    """What changed and what is wrong at once, the rest folded."""
    told = (_overview(model), _interface(model), _labels(model), _findings(model))
    folded = (_operators(model), _comparison(model), _old_findings(model))
    return Page(
        f"mlbuild: {model.name}",
        f"mlbuild-report: {model.path}",
        _verdict(model),
        tuple(_notes(model)),
        tuple(section for section in (*told, *folded) if section is not None),
    )


def _verdict(model: Model) -> Cell:
    facts = [words.size(model.now.facts["size_bytes"])]
    if model.psnr_db is not None:
        facts.insert(0, f"{shown(model.psnr_db, 'dB')} to its source")
    counts = {s: sum(f["severity"] == s for f in model.now.findings) for s in _TONES}
    found = ", ".join(f"{n} {s}{'s' if n != 1 else ''}" for s, n in counts.items() if n)
    facts.append(found or ("nothing found" if not model.now.refused else "not run"))
    if model.failed:
        return Cell(", ".join(facts), Tone.BAD)
    doubtful = counts["error"] or counts["warning"] or model.now.refused
    return Cell(", ".join(facts), Tone.DOUBT if doubtful else Tone.GOOD)


def _notes(model: Model) -> Iterator[Cell]:
    if model.against:
        yield Cell(f"compared with {model.against}")
    if model.source:
        assert model.comparison is not None
        yield Cell(f"source: {model.source}, {model.comparison['samples']} samples")
    yield from (Cell(note, Tone.DOUBT) for note in model.notes)
    yield from (Cell(sentence, Tone.BAD) for sentence in model.failed)
    if model.now.refused and not model.failed:
        yield Cell(f"it cannot be run: {model.now.refused}", Tone.DOUBT)
    why = (model.beside or {}).get("why")
    if why:
        yield Cell(f"the two versions could not be asked the same: {why}", Tone.DOUBT)


def _overview(model: Model) -> Section:
    now, before = model.now.facts, model.before.facts if model.before else None
    rows = [_size(now, before)]
    if model.psnr_db is not None:
        rows.append(_row("likeness to its source", shown(model.psnr_db, "dB")))
    if model.psnr_before_db is not None:
        rows.append(_row("likeness to the version before", shown(model.psnr_before_db, "dB")))
    if model.agreement is not None:
        rows.append(_row("agreement with the version before", shown(model.agreement)))
    for name in ("type", "spec_version", "target", "opset"):
        if now.get(name) is not None:
            rows.append(_fact(name.replace("_", " "), now, before, name))
    for name in _COUNTS:
        if name in now:
            rows.append(_count(name, now, before))
    columns = ("", "now", "before", "change")
    return Section("", table(columns, rows, ("now", "before", "change")))


def _row(name: str, now: str, before: str = "", change: Cell | None = None) -> tuple[Cell, ...]:
    return (Cell(name), Cell(now), Cell(before), change or Cell(""))


def _size(now: Mapping[str, Json], before: Mapping[str, Json] | None) -> tuple[Cell, ...]:
    old = before["size_bytes"] if before else None
    text = words.size(old) if old is not None else ""
    return _row(
        "size", words.size(now["size_bytes"]), text, size_difference(old, now["size_bytes"])
    )


def _fact(
    shown_as: str, now: Mapping[str, Json], before: Mapping[str, Json] | None, name: str
) -> tuple[Cell, ...]:
    old = before.get(name) if before else None
    changed = before is not None and old != now[name]
    change = Cell("changed", Tone.DOUBT) if changed else Cell("=" if before else "")
    return _row(shown_as, str(now[name]), "" if old is None else str(old), change)


def _count(
    name: str, now: Mapping[str, Json], before: Mapping[str, Json] | None
) -> tuple[Cell, ...]:
    old = before.get(name) if before else None
    if name.endswith("_bytes"):
        label = {"weight_bytes": "weights", "peak_bytes": "memory of values at its peak"}[name]
        text = words.size(old) if old is not None else ""
        return _row(label, words.size(now[name]), text, size_difference(old, now[name]))
    better = "min" if name == "multiply_adds" else "none"
    return _row(
        name.replace("_", "-"),
        f"{now[name]:,}",
        f"{old:,}" if old is not None else "",
        difference(old, now[name], better),
    )


def _interface(model: Model) -> Section | None:
    """Inputs and outputs: whatever uses the model must be changed with them."""
    rows = []
    for role in ("inputs", "outputs"):
        now = {f["name"]: f["type"] for f in model.now.facts[role]}
        before = now
        if model.before:
            before = {f["name"]: f["type"] for f in model.before.facts[role]}
        for name in dict.fromkeys((*now, *before)):
            rows.append(_feature(role[:-1], name, now.get(name), before.get(name), model.before))
    if not rows:
        return None
    changed = any(row[-1].tone is Tone.BAD for row in rows)
    title = "Inputs and outputs" + (" changed" if changed else "")
    columns = ("", "name", "now", "before", "change")
    return Section(title, table(columns, rows), folded=not changed)


def _feature(
    role: str, name: str, now: str | None, before: str | None, old: Version | None
) -> tuple[Cell, ...]:
    if old is None or now == before:
        return (Cell(role), Cell(name), Cell(now or ""), Cell(""), Cell(""))
    what = "new" if before is None else "gone" if now is None else "changed"
    return (Cell(role), Cell(name), Cell(now or ""), Cell(before or ""), Cell(what, Tone.BAD))


def _labels(model: Model) -> Section | None:
    if model.before is None:
        return None
    now, old = model.now.labels, model.before.labels
    came = [label for label in now if label not in set(old)]
    went = [label for label in old if label not in set(now)]
    lines = []
    if went:
        lines.append(Cell(f"gone: {_listed(went)}", Tone.BAD))
    if came:
        lines.append(Cell(f"new: {_listed(came)}", Tone.DOUBT))
    if not (came or went) and now != old:
        lines.append(Cell("the same labels in another order", Tone.DOUBT))
    return Section("Labels", lines=tuple(lines)) if lines else None


def _listed(names: Sequence[str]) -> str:
    shown_ = ", ".join(names[:_SHOWN])
    return shown_ if len(names) <= _SHOWN else f"{shown_} and {len(names) - _SHOWN} more"


def _findings(model: Model) -> Section | None:
    """Those that are new where there is a version before, else all."""
    if model.before is None:
        return _finding_rows("Findings", model.now.findings)
    came, went = fresh(model.now.findings, model.before.findings)
    section = _finding_rows("Findings that are new", came)
    gone = tuple(
        Cell(f"gone: {f['severity']} {f['rule']}: {f['place']}", Tone.GOOD) for f in went[:_SHOWN]
    )
    if section is None:
        return Section("Findings", lines=gone) if gone else None
    return Section(section.title, section.table, gone)


def _old_findings(model: Model) -> Section | None:
    if model.before is None:
        return None
    came, _ = fresh(model.now.findings, model.before.findings)
    old = [finding for finding in model.now.findings if finding not in came]
    return _finding_rows("Findings that were there before", old, folded=True)


def _finding_rows(
    title: str, findings: Sequence[Mapping[str, str]], folded: bool = False
) -> Section | None:
    if not findings:
        return None
    rows = [
        (
            Cell(f["severity"], _TONES[f["severity"]]),
            Cell(f["place"]),
            Cell(f["what"]),
            Cell(f["remedy"]),
        )
        for f in findings[:_SHOWN]
    ]
    more = len(findings) - len(rows)
    lines = (Cell(f"and {more} more"),) if more else ()
    return Section(title, table(("", "place", "what", "remedy"), rows), lines, folded)


def _operators(model: Model) -> Section | None:
    now = model.now.facts.get("operators")
    if not now:
        return None
    before = (model.before.facts.get("operators") or {}) if model.before else now
    names = sorted(now.keys() | before.keys(), key=lambda n: (-now.get(n, 0), n))
    rows = [
        (
            Cell(name),
            Cell(f"{now.get(name, 0):,}"),
            Cell(f"{before.get(name, 0):,}" if model.before else ""),
            Cell("changed" if now.get(name) != before.get(name) else ""),
        )
        for name in names
    ]
    changed = any(row[-1].text for row in rows)
    title = "Operators" + (" (changed)" if changed else "")
    columns = ("operator", "now", "before", "change")
    return Section(title, table(columns, rows, ("now", "before")), folded=True)


def _comparison(model: Model) -> Section | None:
    """What `mlbuild compare` says of model and source."""
    if model.comparison is None:
        return None
    told = describe_comparison(model.comparison, 0).splitlines()
    bad = Tone.BAD if model.comparison["guilty"] else Tone.PLAIN
    lines = tuple(
        Cell(line.strip(), bad if line.startswith("guilty") else Tone.PLAIN)
        for line in told
        if line.strip()
    )
    return Section("Comparison with its source", lines=lines, folded=not model.comparison["guilty"])
