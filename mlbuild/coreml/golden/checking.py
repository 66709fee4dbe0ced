"""Holds what Core ML answered against the reference runtime."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelFileError
from ..model import Model, load
from .digest import model_digest
from .folder import Golden, Values, open_golden
from .judging import Finding, judge
from .tolerances import Tolerance, tolerance


@dataclass(frozen=True, slots=True)
class Checked:
    """One recording, checked."""

    golden: Golden
    findings: tuple[Finding, ...]

    @property
    def within(self) -> bool:
        """Whether every output of every unit is."""
        return all(finding.within for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``mlbuild golden check --json`` prints it."""
        return {
            "folder": str(self.golden.folder),
            "model": dict(self.golden.model),
            "system": dict(self.golden.system),
            "samples": len(self.golden.samples),
            "within": self.within,
            "findings": [{**asdict(f), "within": f.within} for f in self.findings],
        }


def check(
    folder: str | Path, model: str | Path | None = None, min_psnr_db: float | None = None
) -> Checked:
    """Compare a recording with the reference runtime.

    Args:
        folder: Of the recording.
        model: Where the model lies now; by default where it lay, seen from the folder.
        min_psnr_db: In place of the tolerance of the model's kind.

    Raises:
        ModelFileError: the recording is damaged, or the model is missing or another one.
        UnsupportedError: the runtime cannot run the model.
    """
    golden = open_golden(folder)
    path = Path(model) if model is not None else golden.model_path
    digest = model_digest(path)
    if digest != golden.model.get("sha256"):
        raise ModelFileError(
            "this is not the model that was recorded",
            place=str(path),
            got=digest,
            allowed=(str(golden.model.get("sha256")),),
            hint="record anew on a Mac, or name the recorded model with --model",
        )
    loaded = load(path)
    half = any("fp16" in text for use in loaded.operators() for _, text in use.outputs)
    ours = [_predict(loaded, values) for values in golden.inputs()]
    findings: list[Finding] = []
    for unit in golden.runs:
        least = tolerance(loaded.description, unit, half)
        if min_psnr_db is not None:
            least = Tolerance(min_psnr_db, "given by hand")
        findings += judge(unit, golden.samples, golden.answers(unit), ours, least)
    return Checked(golden, tuple(findings))


def _predict(model: Model, values: Values) -> Values:
    state = model.body.make_state()
    return model.predict(values, state=state)
