"""`mlbuild golden`: record what Core ML answers on a Mac; check it anywhere."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import click

from mlbuild.cli import modeljob, options
from mlbuild.errors import EXIT_OK, EXIT_STAGE, DataError, Problem, UsageError


@click.group(
    "golden", epilog="Example: mlbuild golden check golden/Dogs", invoke_without_command=False
)
def command() -> None:
    """Core ML's own answers: recorded on a Mac, checked against the reference runtime anywhere."""


@command.command(
    "record",
    epilog="Example: mlbuild golden record golden --model Dogs.mlpackage --samples photos",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "models",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="A model, or a folder of models; may be repeated.",
)
@click.option(
    "--samples",
    type=click.Path(path_type=Path),
    required=True,
    help="Pictures, or .npz files with an array for each input; below a folder named as the "
    "model, where there are several models.",
)
@click.option(
    "--unit",
    "units",
    type=click.Choice(["CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL"]),
    multiple=True,
    help="A compute unit to ask; all of them by default.",
)
@options.JSON
def record(
    folder: Path, models: tuple[Path, ...], samples: Path, units: tuple[str, ...], as_json: bool
) -> int:
    """Ask Core ML itself and write inputs, answers, system and model digest into FOLDER.

    Only macOS has Core ML: elsewhere this refuses.
    """
    if platform.system() != "Darwin":
        hint = "record on a Mac, keep the folder in version control, and check it here"
        message = "golden answers are Core ML's own, which only macOS has"
        raise UsageError(Problem(message, got=platform.system(), hint=hint))
    if not samples.exists():
        raise UsageError(Problem(f"there are no samples at {samples}"))
    params = {
        "folder": str(folder.resolve()),
        "samples": str(samples.resolve()),
        "units": list(units),
    }
    for model in _models(models):
        answer = modeljob.answer("golden_record", model, params)
        if as_json:
            click.echo(json.dumps(answer, ensure_ascii=False))
            continue
        units_told = ", ".join(answer["runs"])
        click.echo(f"{answer['folder']}: {len(answer['samples'])} samples on {units_told}")
    return EXIT_OK


@command.command("check", epilog="Example: mlbuild golden check golden --json")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Where the model lies now; by default where it lay, seen from FOLDER.",
)
@click.option("--min-psnr", type=float, help="In place of the tolerance of the model's kind, dB.")
@options.JSON
def check(folder: Path, model: Path | None, min_psnr: float | None, as_json: bool) -> int:
    """Hold every recording in FOLDER against the reference runtime, on any system.

    Exit codes: 0 all answers are within their tolerance; 1 one is not; 4 a recording is damaged,
    or the model is not the one that was recorded.
    """
    params = {
        "model": str(model.resolve()) if model is not None else None,
        "min_psnr_db": min_psnr,
    }
    answer = modeljob.answer("golden_check", folder, params)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _print(answer)
    if answer["errors"]:
        raise DataError(*(Problem(error) for error in answer["errors"]))
    return EXIT_OK if answer["within"] else EXIT_STAGE


def _models(given: tuple[Path, ...]) -> list[Path]:
    """Models, and those that lie in folders of them."""
    found: list[Path] = []
    for path in given:
        inside = [p for end in ("*.mlpackage", "*.mlmodel") for p in sorted(path.glob(end))]
        found += inside or [path]
    return found


def _print(answer: dict[str, Any]) -> None:
    for checked in answer["recordings"]:
        system = checked["system"]
        told = ", ".join(str(system[k]) for k in ("os", "device", "coremltools") if k in system)
        click.echo(f"{checked['folder']}: {checked['samples']} samples, {told}")
        for found in checked["findings"]:
            mark = "ok  " if found["within"] else "FAIL"
            click.echo(
                f"  {mark} {found['unit']:<11} {found['output']}: {found['psnr_db']:.1f} dB "
                f"(at least {found['least_db']:g}), largest difference {found['max_abs']:.3g}"
                + ("" if found["within"] else f" in {found['worst']}: {found['why']}")
            )
        for reason in dict.fromkeys(found["reason"] for found in checked["findings"]):
            click.echo(f"  tolerance: {reason}")
