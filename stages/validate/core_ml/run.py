"""Core ML itself against the reference runtime's recorded answers."""

from __future__ import annotations

import json
from typing import Any

from mlbuild.coreml import CoreMLError
from mlbuild.coreml.golden.selfcheck import run_selftest

from ..._shared.apple_tools.macos import needs_macos
from ..._shared.digests.tree import model_sha256
from ..._shared.problem.problem import Problem, told


@told
def run(job: Any) -> None:
    """Run the self-test, tell what it found."""
    needs_macos("validate/core-ml", "Core ML")
    folder, model = job.inputs["selftest"], job.inputs.get("model")
    try:
        found = run_selftest(folder, model=model, units=job.params.units or ())
    except CoreMLError as error:
        raise Problem(str(error)) from error
    findings = found["findings"]
    metrics = {
        "psnr_db": min(finding["psnr_db"] for finding in findings),
        "margin_db": found["margin_db"],
        "max_abs": max(finding["max_abs"] for finding in findings),
        "samples": found["samples"],
    }
    for name, value in metrics.items():
        job.metric(name, value)
    about = {} if model is None else {"model_sha256": model_sha256(model)}
    report = {**found, "kind": "validate/core-ml", **about, **metrics}
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    for finding in findings:
        if not finding["within"]:
            job.log(f"{finding['unit']} {finding['output']}: {finding['why']}")
