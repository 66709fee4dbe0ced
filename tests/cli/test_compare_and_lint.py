"""`mlbuild compare` and `mlbuild lint`; what the jobs find is in tests/coreml.

Each row of the table is a process that loads torch: one for each way through the command line.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Done

Run = Callable[..., Done]


def the_text_names_sigmoid(done: Done) -> None:
    assert done.code == 0, done.err
    assert "guilty: iOS17.sigmoid" in done.out


def the_json_accuses_the_input(done: Done) -> None:
    assert done.code == 0, done.err
    assert json.loads(done.out)["guilty"]["cause"] == "input"


def the_wrong_shape_is_told_whole(done: Done) -> None:
    assert done.code == 1
    assert done.err.endswith(
        "input 'x': an array of the wrong shape\n  got: [3, 8]\n  allowed: [2, 8]\n"
    ), done.err
    assert "Traceback" not in done.err


def nothing_is_found(done: Done) -> None:
    assert (done.code, done.out) == (0, "nothing found\n"), done.err


def newer_operators_are_an_error(done: Done) -> None:
    assert done.code == 1
    assert "error: function main: its operators are those of iOS17" in done.out


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("real_cache")
@pytest.mark.parametrize(
    ("command", "holds"),
    [
        pytest.param(
            "compare right.pt Wrong.mlpackage --trust",
            the_text_names_sigmoid,
            id="the operator that is another one is named",
        ),
        pytest.param(
            "compare folder Exchanged.mlpackage --json",
            the_json_accuses_the_input,
            id="a torch models folder needs no trust and says how pictures become its input",
        ),
        pytest.param(
            "compare right.pt Right.mlpackage --trust --samples three.npz",
            the_wrong_shape_is_told_whole,
            id="samples that do not fit",
        ),
        pytest.param("lint Right.mlpackage --strict", nothing_is_found, id="a sound model"),
        pytest.param(
            "lint Right.mlpackage --strict --target iOS16",
            newer_operators_are_an_error,
            id="a model for newer systems",
        ),
    ],
)
def test_in_the_real_toolchain(
    made: Path, mlbuild: Run, command: str, holds: Callable[[Done], None]
) -> None:
    inside = {path.name for path in made.iterdir()}
    words = [f"{made}/{word}" if word in inside else word for word in command.split()]
    holds(mlbuild(*words))


@pytest.mark.parametrize("end", [".pt", ".pt2", ".pth", ".h5", ".pkl", ".pickle", ".joblib"])
def test_a_file_that_may_run_code_is_loaded_only_when_trusted(
    project: Path, mlbuild: Run, end: str
) -> None:
    (project / f"net{end}").touch()
    done = mlbuild("compare", f"net{end}", "Net.mlpackage")
    assert done.code == 2
    assert done.err == (
        f"net{end}: a file of this kind may run code when it is loaded\n"
        "  hint: add --trust if you know where it comes from\n"
    )


def test_a_saved_model_may_run_code_too(project: Path, mlbuild: Run) -> None:
    (project / "net").mkdir()
    (project / "net" / "saved_model.pb").touch()
    done = mlbuild("compare", "net", "Net.mlpackage")
    assert done.code == 2
    assert "net: a file of this kind may run code when it is loaded" in done.err


def test_a_reference_that_cannot_be_read_is_refused(project: Path, mlbuild: Run) -> None:
    (project / "net.txt").touch()
    done = mlbuild("compare", "net.txt", "Net.mlpackage")
    assert done.code == 2
    assert done.err == (
        "net.txt: not a reference that can be read\n"
        "  allowed: a torch model's folder, a Keras SavedModel, .pt, .pt2, .onnx, .h5, .keras, "
        ".pkl, .joblib, .mlpackage, .mlmodel\n"
    )


def test_a_candidate_that_is_not_there_is_told(project: Path, mlbuild: Run) -> None:
    (project / "net.onnx").touch()
    done = mlbuild("compare", "net.onnx", "Net.mlpackage")
    assert (done.code, done.err) == (
        2,
        "there is no model at Net.mlpackage\n  hint: name an .mlpackage or .mlmodel\n",
    )


def test_samples_of_a_comparison_that_are_not_there_are_told(project: Path, mlbuild: Run) -> None:
    (project / "net.onnx").touch()
    (project / "Net.mlmodel").touch()
    done = mlbuild("compare", "net.onnx", "Net.mlmodel", "--samples", "photos")
    assert (done.code, done.err) == (
        2,
        "--samples photos: there is no such file or folder\n  hint: or give a number\n",
    )


def test_samples_that_are_not_there_are_told(project: Path, mlbuild: Run) -> None:
    done = mlbuild("lint", "Net.mlpackage", "--samples", "photos")
    assert done.code == 2
    assert "--samples photos: there is no such file or folder" in done.err
