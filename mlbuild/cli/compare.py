"""`mlbuild compare`: where a converted model parts from its source, and which operator it is."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mlbuild.cli import modeljob, options
from mlbuild.errors import Problem, UsageError
from mlbuild.records import Json
from mlbuild.report.comparison import describe_comparison
from mlbuild.stages import folder

_PICKLES = {".pkl", ".pickle", ".joblib"}
_KERAS = {".h5", ".hdf5", ".keras"}
_MAY_RUN_CODE = {".pt", ".pt2", ".pth", ".h5", ".hdf5", *_PICKLES}
_KNOWN = {".mlpackage", ".mlmodel", ".onnx", *_MAY_RUN_CODE, *_KERAS}
_READABLE = (
    "a torch model's folder",
    "a Keras SavedModel",
    *(".pt", ".pt2", ".onnx", ".h5", ".keras", ".pkl", ".joblib", ".mlpackage", ".mlmodel"),
)


@click.command(
    "compare",
    epilog="Example: mlbuild compare build/dogs/model/model build/dogs/convert/Dogs.mlpackage "
    "--samples photos/",
)
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option(
    "--samples",
    default="4",
    show_default=True,
    metavar="DIR|FILE|N",
    help="A folder or file of pictures or .npz arrays by input name, or how many to draw at "
    "random.",
)
@click.option("--limit", type=click.IntRange(1), default=8, show_default=True, help="Files read.")
@click.option("--rows", type=click.IntRange(0), default=10, show_default=True, help="Rows shown.")
@click.option("--trust", is_flag=True, help="Load a file that may run code: .pt, .pkl, .h5.")
@options.JSON
def command(
    reference: Path,
    candidate: Path,
    samples: str,
    limit: int,
    rows: int,
    trust: bool,
    as_json: bool,
) -> int:
    """Compare CANDIDATE, a Core ML model, with REFERENCE, operator by operator.

    REFERENCE is a torch model's folder, a traced (.pt) or exported (.pt2) program, an .onnx file,
    a Keras model (.h5, .keras, SavedModel), a scikit-learn estimator (.pkl, .joblib), or another
    Core ML model. An operator is named if it makes something else of right inputs than the
    reference does; what rounding to float16 explains is told apart.
    """
    answer = compared(reference, candidate, samples, limit, trust)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        click.echo(describe_comparison(answer, rows))
    return 0


def compared(reference: Path, candidate: Path, samples: str, limit: int, trust: bool) -> Json:
    """What `--json` prints.

    Raises:
        UsageError: one of the two is not there, cannot be read, or may not be.
        StageError: the comparison failed.
    """
    _check(reference, candidate, trust)
    params = {
        "reference": str(reference.resolve()),
        "samples": samples if samples.isdigit() else _samples(samples),
        "limit": limit,
        "stages": str(folder()),
    }
    return modeljob.answer("compare", candidate, params, toolchain_of(reference))


def _check(reference: Path, candidate: Path, trust: bool) -> None:
    if not reference.exists():
        raise UsageError(Problem(f"there is no reference at {reference}"))
    end = reference.suffix.lower()
    saved = _is_saved_model(reference)
    if end not in _KNOWN and not saved and not (reference / "model.json").is_file():
        raise UsageError(
            Problem(f"{reference}: not a reference that can be read", allowed=_READABLE)
        )
    if (end in _MAY_RUN_CODE or saved) and not trust:
        raise UsageError(
            Problem(
                f"{reference}: a file of this kind may run code when it is loaded",
                hint="add --trust if you know where it comes from",
            )
        )
    if not candidate.exists():
        raise UsageError(
            Problem(f"there is no model at {candidate}", hint="name an .mlpackage or .mlmodel")
        )


def toolchain_of(reference: Path) -> str:
    """The toolchain that can read it."""
    end = reference.suffix.lower()
    if end == ".onnx":
        return "onnx"
    return "tensorflow" if end in _KERAS or _is_saved_model(reference) else "torch"


def _is_saved_model(path: Path) -> bool:
    return (path / "saved_model.pb").is_file()


def _samples(text: str) -> str:
    if not Path(text).exists():
        raise UsageError(
            Problem(f"--samples {text}: there is no such file or folder", hint="or give a number")
        )
    return str(Path(text).resolve())
