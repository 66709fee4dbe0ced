"""Facts in which every text that a user or a model gives tries to be something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mlbuild.release.facts import DatasetFacts, GateFacts, ReleaseFacts, StageFacts
from tests.release.card_of import change
from tests.release.dogs import md5, share
from tests.release.facts_of import released

NAMES = (
    "a|b",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "two\nlines\n---\n# no heading",
    "```\ncode",
    "`tick`",
    '"><img src=x onerror=alert(1)>',
    "*bold* _em_ ~~gone~~ $x$",
    "key: value # comment",
    "</svg><script>",
    "\u202egnp.exe",
    "nul \x00 and \x1b[31m",
    "\\| \\",
    "&lt;b&gt; &#60;",
)
TEXT = "\n\n".join(["1. no list", "- no item\nrest", "# no heading", "> no quote", *NAMES])


def hostile(folder: Path) -> ReleaseFacts:
    """The facts, over real artifacts."""
    facts = released(folder)
    metrics: dict[str, Any] = {f"recall.{name}": share(3, 4) for name in NAMES}
    metrics |= {f"precision.{name}": share(3, 4) for name in NAMES} | {"a|b<i>": 1.5}
    stage = StageFacts(
        name=f"judge[x={NAMES[3]}|<b>]",
        kind="validate/accuracy",
        command=None,
        key="k",
        parts={},
        toolchain="<t|c>",
        inputs={"samples": {"from": f"datasets.{NAMES[1]}", "md5": md5("x")}},
        outputs={},
        metrics=metrics,
        meanings={"a|b<i>": {"description": TEXT, "unit": "<u|>"}},
    )
    gate = GateFacts(stage.name, "a|b<i>", {"min": 2}, 1.5, None, False, TEXT, waiver=TEXT)
    main = facts.artifacts[0]
    model = {
        **(main.model or {}),
        "class_labels": list(NAMES),
        "inputs": [{"name": name, "kind": "image", "type": name} for name in NAMES],
        "weights": [
            {"layer": name, "value": name, "bytes": 9, "bits": 8, "compression": [name]}
            for name in NAMES
        ],
    }
    row = {"stage": NAMES[0], "name": NAMES[1], "before": NAMES[3], "after": list(NAMES)}
    return replace(
        facts,
        params=dict.fromkeys(NAMES, TEXT),
        sets=NAMES,
        profiles=NAMES,
        repository="https://git.example.org/a b<c>\"'|(x)",
        reason=TEXT,
        stages=(*facts.stages, stage),
        gates=(*facts.gates, gate),
        datasets=tuple(
            DatasetFacts(name, "url", f"https://x.org/{name}", md5(name), 1) for name in NAMES
        ),
        toolchains={
            name: {"python": name, "digest": name, "packages": {"p": name}} for name in NAMES
        },
        artifacts=(replace(main, model=model), *facts.artifacts[1:]),
        change=replace(
            change(), why=NAMES, interface=NAMES, params=(row,), labels_added=NAMES, code=(row,)
        ),
        card={
            "title": NAMES[1],
            "licence": NAMES[8],
            "tags": list(NAMES),
            "language": ["no", "en"],
            "authors": list(NAMES),
            "contact": TEXT,
            **dict.fromkeys(("summary", "intended_use", "out_of_scope", "limits", "ethics"), TEXT),
        },
    )
