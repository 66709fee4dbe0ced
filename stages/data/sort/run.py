"""Sort files into a folder for each label."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ..._shared.files.copying import copy_file, files_below
from ..._shared.problem.problem import Problem, told

_TOLD = 10


@told
def run(job: Any) -> None:
    """Match each name, drop what is not wanted, copy the rest."""
    params = job.params
    files = files_below(job.inputs["files"])
    labelled, unmatched = _labelled(files, params)
    if unmatched and params.unmatched == "fail":
        named = ", ".join(unmatched[:_TOLD])
        raise Problem(f"{len(unmatched)} file names do not match {params.pattern}: {named}")
    counts = Counter(label for _, label in labelled)
    small = sorted(label for label, n in counts.items() if n < params.least)
    kept = [(path, label) for path, label in labelled if label not in small]
    if not kept:
        example = files[0].name
        raise Problem(
            f"no file name matches {params.pattern}", hint=f"a name is, for example, {example}"
        )
    _copy(job, kept)
    left = Counter(label for _, label in kept)
    report = {"labels": dict(sorted(left.items())), "unmatched": unmatched, "too_small": small}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.metric("files", len(kept))
    job.metric("labels", len(left))
    job.metric("unmatched", len(unmatched))


def _labelled(files: list[Path], params: Any) -> tuple[list[tuple[Path, str]], list[str]]:
    pattern = re.compile(params.pattern)
    found, unmatched = [], []
    for path in files:
        match = pattern.search(path.name)
        label = match["label"] if match else None
        if not label:
            unmatched.append(path.name)
            continue
        if params.case != "keep":
            label = label.lower() if params.case == "lower" else label.title()
        label = params.rename.get(label, label)
        if params.only is None or label in params.only:
            found.append((path, label))
        else:
            unmatched.append(path.name)
    return found, unmatched


def _copy(job: Any, kept: list[tuple[Path, str]]) -> None:
    taken: dict[str, Path] = {}
    for done, (path, label) in enumerate(kept):
        name = f"{label}/{path.name}"
        if "/" in label or label in (".", ".."):
            raise Problem(f"'{label}', the label of {path.name}, cannot name a folder")
        if name in taken:
            raise Problem(
                f"two files would become {name}: {taken[name].parent.name} and {path.parent.name} "
                "both hold one"
            )
        taken[name] = path
        copy_file(path, job.outputs["images"], name)
        job.progress(done + 1, len(kept), label)
