"""A self-test: the runtime's recorded answers, held against Core ML's own on a Mac.

It is a recording turned round. ``selftest.json`` says which model it is about and how far Core ML
may lie from what was recorded; ``recording/`` holds samples and answers in the format of
``folder``. A self-test carries a copy of this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import CoreMLError, ExecutionError, InputError, ModelFileError
from .folder import Golden, Values, open_golden, sha256
from .judging import EQUAL_DB, Finding, judge
from .mac import UNITS, Open, core_ml, this_system
from .tolerances import Tolerance

FORMAT, VERSION = "mlbuild-selftest", 1
FACTS, RECORDING, RECORDED = "selftest.json", "recording", "reference"


@dataclass(frozen=True, slots=True)
class SelfTest:
    """One that was opened and found whole."""

    folder: Path
    name: str
    model: Mapping[str, Any]  # file, included, files: SHA-256 by path
    tolerances: Mapping[str, Tolerance]  # by compute unit
    golden: Golden


def digests(model: Path) -> dict[str, str]:
    """SHA-256 of every file of a model: of a package by path, of a file by its name."""
    if model.is_file():
        return {model.name: sha256(model)}
    files = sorted(p for p in model.rglob("*") if p.is_file())
    return {p.relative_to(model).as_posix(): sha256(p) for p in files}


def open_selftest(folder: str | Path) -> SelfTest:
    """Open a self-test and check that it is whole.

    Raises:
        ModelFileError: it is none, damaged, or of a newer version.
    """
    folder = Path(folder)
    file = folder / FACTS
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot be read: {error}", place=str(file)) from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ModelFileError(f"not of the format {FORMAT}", place=str(file))
    version = facts.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ModelFileError(
            "a newer version than is known here",
            place=str(file),
            got=str(version),
            allowed=(f"up to {VERSION}",),
        )
    try:
        tolerances = {
            unit: Tolerance(float(limit["psnr_db"]), str(limit["reason"]))
            for unit, limit in sorted(
                facts["tolerances"].items(), key=lambda pair: UNITS.index(pair[0])
            )
        }
        name, model = str(facts["name"]), dict(facts["model"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"is damaged: {error!r}", place=str(file)) from error
    return SelfTest(folder, name, model, tolerances, open_golden(folder / RECORDING))


def _place(limit: tuple[str, Any]) -> int:
    """Units in the order in which Core ML names them."""
    return UNITS.index(limit[0])


def run_selftest(
    folder: str | Path,
    *,
    model: str | Path | None = None,
    units: Sequence[str] = (),
    other_model: bool = False,
    opened: Open | None = None,
    system: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Ask Core ML and compare with what was recorded.

    Args:
        folder: Of the self-test.
        model: Where the model lies, if not in the folder.
        units: Compute units; by default those of the self-test.
        other_model: Also accept a model that is not the recorded one, file by file.
        opened: Opens a model on a compute unit; by default Core ML itself (macOS only).
        system: What answered; by default this machine.

    Returns:
        Plain data: ``within``, ``margin_db``, ``findings`` by unit and output, ``system``.

    Raises:
        ModelFileError: the self-test is damaged, or the model missing or another one.
        UnsupportedError: this is no Mac.
        InputError: an unknown unit.
        ExecutionError: Core ML refused the model or a sample.
    """
    test = open_selftest(folder)
    if unknown := sorted(set(units) - set(test.tolerances)):
        raise InputError(
            "the self-test has no such compute unit",
            got=", ".join(unknown),
            allowed=tuple(test.tolerances),
        )
    opened = opened or core_ml()
    path = _model(test, None if model is None else Path(model), other_model)
    recorded, inputs = test.golden.answers(RECORDED), test.golden.inputs()
    findings: list[Finding] = []
    for unit in units or tuple(test.tolerances):
        theirs = _answers(opened, path, unit, inputs)
        findings += judge(unit, test.golden.samples, theirs, recorded, test.tolerances[unit])
    return {
        "version": VERSION,
        "name": test.name,
        "samples": len(inputs),
        "system": dict(system if system is not None else this_system()),
        "within": all(finding.within for finding in findings),
        "margin_db": min((_margin(finding) for finding in findings), default=0.0),
        "findings": [{**asdict(finding), "within": finding.within} for finding in findings],
    }


def _answers(opened: Open, path: Path, unit: str, inputs: Sequence[Values]) -> list[Values]:
    try:
        predict = opened(path, unit)
        return [dict(predict(values)) for values in inputs]
    except CoreMLError:
        raise
    except Exception as error:  # coremltools raises plain ones for whatever Core ML says
        raise ExecutionError(
            f"Core ML did not answer: {error}", place=f"{path.name} on {unit}"
        ) from error


def _model(test: SelfTest, given: Path | None, other_model: bool) -> Path:
    path = given or test.folder / str(test.model["file"])
    if not path.exists():
        hint = None if given else "say where the model lies: --model PATH"
        raise ModelFileError("the model is not here", place=str(path), hint=hint)
    found, recorded = digests(path), dict(test.model["files"])
    if path.is_file():  # whatever it is called now
        found = dict.fromkeys(recorded, next(iter(found.values())))
    if found != recorded and not other_model:
        apart = sorted(n for n in {*found, *recorded} if found.get(n) != recorded.get(n))
        raise ModelFileError(
            "this is not the model that was recorded",
            place=str(path),
            got=f"other bytes in {', '.join(apart)}",
            hint="take the model that came with the self-test, or ask for the comparison all the "
            "same: --other-model",
        )
    return path


def _margin(finding: Finding) -> float:
    """How much closer than the tolerance, dB; -200 where labels, shapes or names differ."""
    if finding.why and finding.psnr_db == 0.0:
        return -EQUAL_DB
    return finding.psnr_db - finding.least_db
