"""`mlbuild predict` and `mlbuild inspect` on a small classifier, in the real toolchain."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Done

pytestmark = [pytest.mark.toolchain, pytest.mark.slow, pytest.mark.usefixtures("real_cache")]
Run = Callable[..., Done]


def test_predict_prints_the_best_labels_with_scores(made: Path, mlbuild: Run) -> None:
    picture = f"image={made}/green picture.png"
    done = mlbuild("predict", f"{made}/Mean.mlpackage", "--input", picture, "--top", "2")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "classLabel: green"
    scores = [line.split() for line in done.out.splitlines()[1:]]
    assert [label for _, label in scores] == ["green", "blue"]
    assert float(scores[0][0]) > 0.99


def test_predict_json_is_one_object(made: Path, mlbuild: Run) -> None:
    picture = f"image={made}/green picture.png"
    done = mlbuild("predict", f"{made}/Mean.mlpackage", "--input", picture, "--json")
    answer = json.loads(done.out)
    assert {o["name"] for o in answer["outputs"]} == {"classLabel", "classLabel_probs"}


def test_predict_refuses_an_input_that_the_model_does_not_have(made: Path, mlbuild: Run) -> None:
    picture = f"photo={made}/green picture.png"
    done = mlbuild("predict", f"{made}/Mean.mlpackage", "--input", picture)
    assert done.code == 1
    assert "the model has no input 'photo'; it has: image" in done.err
    assert "Traceback" not in done.err


def test_predict_tells_of_a_picture_that_is_none(made: Path, mlbuild: Run, project: Path) -> None:
    (project / "no.jpg").write_text("no picture")
    done = mlbuild("predict", f"{made}/Mean.mlpackage", "--input", "image=no.jpg")
    assert done.code == 1
    assert "not a readable picture" in done.err
    assert "Traceback" not in done.err


def test_predict_tells_of_a_model_that_is_not_there(mlbuild: Run, project: Path) -> None:
    (project / "a.jpg").touch()
    done = mlbuild("predict", "nothing.mlpackage", "--input", "image=a.jpg")
    assert done.code == 2
    assert "there is no model at nothing.mlpackage" in done.err


def test_inspect_tells_what_is_inside(made: Path, mlbuild: Run) -> None:
    done = mlbuild("inspect", f"{made}/Mean.mlpackage")
    assert done.code == 0, done.err
    assert done.out.startswith("mlProgram, specification version 7, needs iOS16")
    assert "input   image: image 8 x 8 RGB" in done.out
    assert "1 softmax" in done.out
