"""The converted model as a package, with its report and figures."""

from __future__ import annotations

import json
from typing import Any

from ..._shared.coreml_package.canonical import save, size_of
from .describe import check, describe, report
from .sources import Source


def write(job: Any, mlmodel: Any, source: Source, returns: str) -> None:
    """Describe, check, save, tell.

    Raises:
        Problem: it is not what was asked for.
    """
    describe(mlmodel, source, job.params, returns)
    facts = report(mlmodel, source, job.params)
    check(facts, source, job.params)
    job.progress(1, 2, "saving")
    package = save(mlmodel, job.outputs["model"])
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.metric("size_mb", size_of(package) / 1e6)
    job.metric("operators", sum(facts["operators"].values()))
    job.metric("specification_version", facts["specification_version"])
