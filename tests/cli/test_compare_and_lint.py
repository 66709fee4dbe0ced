"""`mlbuild compare` and `mlbuild lint` in the real toolchain."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.places import cache_dir
from tests.conftest import Done

Run = Callable[..., Done]

# A right conversion, and one whose last operator is another one.
MAKE = """
import pathlib, pickle, sys
import coremltools as ct, numpy as np, torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

torch.manual_seed(0)
linear = torch.nn.Linear(8, 4)
right = torch.nn.Sequential(linear, torch.nn.Softmax(-1)).eval()
wrong = torch.nn.Sequential(linear, torch.nn.Sigmoid()).eval()
for name, module in {"Right": right, "Wrong": wrong}.items():
    traced = torch.jit.trace(module, torch.zeros(2, 8))
    model = ct.convert(
        traced, inputs=[ct.TensorType("x", (2, 8))], minimum_deployment_target=ct.target.iOS17
    )
    model.save(f"{sys.argv[1]}/{name}.mlpackage")
torch.jit.trace(right, torch.zeros(2, 8)).save(sys.argv[1] + "/right.pt")
torch.export.save(torch.export.export(right, (torch.zeros(2, 8),)), sys.argv[1] + "/right.pt2")
np.savez(sys.argv[1] + "/three.npz", x=np.zeros((3, 8)))
np.savez(sys.argv[1] + "/z.npz", z=np.zeros((2, 8)))
np.savez(sys.argv[1] + "/good.npz", x=np.arange(16.0).reshape(2, 8))

# A described torch model of pictures, and its conversion with red and blue exchanged.
sys.path.insert(0, sys.argv[2])
from _shared.torch_model.architectures import build
from _shared.torch_model.model_file import Description, Preprocessing, save
net = build("small-cnn", {"channels": [8]}, 3).eval()
net.head.weight.data *= 20
labels = ("ash", "beech", "fir")
described = Description("small-cnn", {"channels": [8]}, labels, Preprocessing(32, 32))
save(net, described, pathlib.Path(sys.argv[1]) / "folder")
traced = torch.jit.trace(torch.nn.Sequential(net, torch.nn.Softmax(-1)), torch.zeros(1, 3, 32, 32))
for name, colours in {"Colours": ct.colorlayout.RGB, "Exchanged": ct.colorlayout.BGR}.items():
    picture = ct.ImageType(
        "image", (1, 3, 32, 32), scale=1 / 128, bias=[-127 / 128] * 3, color_layout=colours
    )
    model = ct.convert(
        traced, inputs=[picture], classifier_config=ct.ClassifierConfig(list(labels)),
        minimum_deployment_target=ct.target.iOS17,
    )
    model.save(f"{sys.argv[1]}/{name}.mlpackage")

# An estimator, and a conversion of it with other means.
rows = np.random.default_rng(0).normal(size=(60, 3))
scale = StandardScaler().fit(rows)
last = LogisticRegression(multi_class="ovr").fit(scale.transform(rows), rows.sum(1) > 0)
last.classes_ = np.array([0, 1])
pickle.dump(Pipeline([("scale", scale), ("last", last)]), open(sys.argv[1] + "/rows.pkl", "wb"))
pickle.dump({"rows": rows}, open(sys.argv[1] + "/data.pkl", "wb"))
scale.mean_ = scale.mean_ + 1
estimator = Pipeline([("scale", scale), ("last", last)])
ct.converters.sklearn.convert(estimator, "input", "target").save(sys.argv[1] + "/Rows.mlmodel")
"""


@pytest.fixture(scope="module")
def cache() -> Path:
    return cache_dir()


@pytest.fixture(scope="module")
def made(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    python = Toolchains(folder, {}, cache).ensure("torch", lambda done, total, text: None)
    stages = Path(__file__).parents[2] / "stages"
    subprocess.run([python, "-c", MAKE, folder, stages], check=True, capture_output=True)
    return folder


@pytest.fixture
def _real_cache(project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolchain is big: it is the user's own, not one of this test."""
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(cache))


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_compare_names_the_operator_that_is_another_one(made: Path, mlbuild: Run) -> None:
    done = mlbuild("compare", f"{made}/right.pt", f"{made}/Wrong.mlpackage", "--trust")
    assert done.code == 0, done.err
    assert "guilty: iOS17.sigmoid" in done.out


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_compare_accuses_nobody_of_a_right_conversion(made: Path, mlbuild: Run) -> None:
    done = mlbuild("compare", f"{made}/right.pt", f"{made}/Right.mlpackage", "--trust", "--json")
    assert json.loads(done.out)["guilty"] is None


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_an_exported_program_is_compared(made: Path, mlbuild: Run) -> None:
    done = mlbuild("compare", f"{made}/right.pt2", f"{made}/Wrong.mlpackage", "--trust")
    assert done.code == 0, done.err
    assert "guilty: iOS17.sigmoid" in done.out


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_a_torch_models_folder_says_how_pictures_become_its_input(made: Path, mlbuild: Run) -> None:
    """The conversion scales pictures inside, as the folder says; nothing is to be told twice."""
    right = mlbuild("compare", f"{made}/folder", f"{made}/Colours.mlpackage", "--json")
    assert right.code == 0, right.err
    assert json.loads(right.out)["guilty"] is None
    wrong = mlbuild("compare", f"{made}/folder", f"{made}/Exchanged.mlpackage", "--json")
    assert json.loads(wrong.out)["guilty"]["cause"] == "input"


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_an_estimators_sub_model_is_named(made: Path, mlbuild: Run) -> None:
    done = mlbuild("compare", f"{made}/rows.pkl", f"{made}/Rows.mlmodel", "--trust")
    assert done.code == 0, done.err
    assert "guilty: scaler (makes 0/__feature_vector__; 0)" in done.out


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
@pytest.mark.parametrize(
    ("reference", "candidate", "samples", "told"),
    [
        pytest.param(
            "right.pt",
            "Right.mlpackage",
            "three.npz",
            "input 'x': an array of the wrong shape\n  got: [3, 8]\n  allowed: [2, 8]\n",
            id="another shape",
        ),
        pytest.param(
            "right.pt",
            "Right.mlpackage",
            "z.npz",
            "MADE/z.npz: a sample lacks an input: x\n  got: z\n",
            id="another name",
        ),
        pytest.param(
            "data.pkl",
            "Rows.mlmodel",
            "4",
            "data.pkl holds no estimator but a dict\n",
            id="no estimator",
        ),
    ],
)
def test_what_does_not_fit_is_told_whole(
    made: Path, mlbuild: Run, reference: str, candidate: str, samples: str, told: str
) -> None:
    samples = samples if samples.isdigit() else f"{made}/{samples}"
    done = mlbuild(
        "compare", f"{made}/{reference}", f"{made}/{candidate}", "--trust", "--samples", samples
    )
    assert done.code != 0
    assert done.err.endswith(told.replace("MADE", str(made))), done.err


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_lint_finds_nothing_in_a_sound_model(made: Path, mlbuild: Run) -> None:
    done = mlbuild("lint", f"{made}/Right.mlpackage", "--strict")
    assert (done.code, done.out) == (0, "nothing found\n"), done.err


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_lint_strict_fails_on_a_model_for_newer_systems(made: Path, mlbuild: Run) -> None:
    done = mlbuild("lint", f"{made}/Right.mlpackage", "--strict", "--target", "iOS16")
    assert done.code == 1
    assert "error: function main: its operators are those of iOS17" in done.out


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
