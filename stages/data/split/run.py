"""Decide each item's part, copy, count."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from typing import Any

from ..._shared.problem.problem import Problem, told
from .items import Item, Source, read, write

PARTS = ("train", "validation", "test")
_TOLD = 10


@told
def run(job: Any) -> None:
    """The whole story."""
    source = read(job.inputs["data"], job.params)
    parts = (_exact if job.params.method == "exact" else _sticky)(source, job.params)
    _check(parts, job.params)
    for done, part in enumerate(PARTS):
        job.progress(done, len(PARTS), part)
        write(parts[part], source.columns, job.outputs[part])
    _report(job, parts)


def place(group: str, seed: int) -> float:
    """A number from 0 to 1 that depends on the group alone."""
    digest = hashlib.sha256(f"mlbuild-split-1\0{seed}\0{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _sticky(source: Source, params: Any) -> dict[str, list[Item]]:
    parts: dict[str, list[Item]] = {part: [] for part in PARTS}
    for item in source.items:
        at = place(item.group, params.seed)
        # Test comes first: changing the validation share moves no test item.
        if at < params.test:
            parts["test"].append(item)
        elif at < params.test + params.validation:
            parts["validation"].append(item)
        else:
            parts["train"].append(item)
    return parts


def _exact(source: Source, params: Any) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in source.items:
        groups[item.group].append(item)
    strata: dict[str, list[str]] = defaultdict(list)
    for group, items in groups.items():
        label = Counter(i.label for i in items).most_common(1)[0][0] if params.stratify else ""
        strata[label].append(group)
    chosen: dict[str, str] = {}
    for members in strata.values():
        members.sort(key=lambda group: (place(group, params.seed), group))
        total = sum(len(groups[g]) for g in members)
        chosen |= _fill(members, groups, total, params)
    parts: dict[str, list[Item]] = {part: [] for part in PARTS}
    for item in source.items:
        parts[chosen[item.group]].append(item)
    return parts


def _fill(
    members: list[str], groups: dict[str, list[Item]], total: int, params: Any
) -> dict[str, str]:
    """Test is filled first, then validation, each until its share is nearest."""
    wanted = {"test": round(total * params.test), "validation": round(total * params.validation)}
    chosen = {}
    for group in members:
        part = "train"
        for candidate in ("test", "validation"):
            # A group goes where more than half of it still fits.
            if wanted[candidate] * 2 >= len(groups[group]) and wanted[candidate] > 0:
                part = candidate
                wanted[candidate] -= len(groups[group])
                break
        chosen[group] = part
    return chosen


def _check(parts: dict[str, list[Item]], params: Any) -> None:
    shares = {"test": params.test, "validation": params.validation, "train": 1.0}
    for part, share in shares.items():
        if share > 0 and not parts[part]:
            count = sum(map(len, parts.values()))
            raise Problem(
                f"the {part} part is empty: {count} items in few groups are too few for a share "
                f"of {share:g}",
                hint="take a larger share, another seed, or method: exact",
            )


def _report(job: Any, parts: dict[str, list[Item]]) -> None:
    counts = {part: Counter(i.label for i in items) for part, items in parts.items()}
    labels = sorted({label for found in counts.values() for label in found})
    absent = [
        label
        for label in labels
        if (job.params.test and not counts["test"][label]) or not counts["train"][label]
    ]
    if absent:
        more = f" and {len(absent) - _TOLD} more" if len(absent) > _TOLD else ""
        job.log(f"not in both train and test: {', '.join(absent[:_TOLD])}{more}")
    report = {
        "parts": {part: len(items) for part, items in parts.items()},
        "labels": {label: {part: counts[part][label] for part in PARTS} for label in labels},
        "absent": absent,
    }
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    for part in PARTS:
        job.metric(part, len(parts[part]))
    job.metric("groups", len({item.group for items in parts.values() for item in items}))
