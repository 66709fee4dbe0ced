"""The job behind `mlbuild compare`, through the real worker, in this process.

tests/cli/test_compare_and_lint.py is about the command line; here is what the job does with each
kind of reference, without a process for each.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = [
    pytest.mark.toolchain,
    # Traced programs are what users have; torch tells them to make other ones.
    pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning"),
]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def compared(tmp_path):
    """Compare as the command does: the answer, or the message of the failure."""
    from mlbuild.execute.worker import run_job

    def go(reference, candidate, samples="4"):
        answer = tmp_path / "answer.json"
        job = {
            "version": 1,
            "stage": "compare",
            "root": str(tmp_path),
            "stages_root": str(ROOT / "mlbuild" / "cli" / "jobs"),
            "folder": "model/compare",
            "run": "run.py",
            "coreml": str(ROOT / "mlbuild" / "coreml"),
            "params": {
                "reference": str(reference),
                "samples": str(samples),
                "limit": 8,
                "stages": str(ROOT / "stages"),
            },
            "inputs": {"model": str(candidate)},
            "outputs": {"answer": str(answer)},
            "metrics": str(tmp_path / "metrics.json"),
            "scratch": str(tmp_path / "scratch"),
        }
        events = []
        if run_job(job, events.append):
            return json.loads(answer.read_text())
        assert events[-1]["kind"] == "failure", events[-1]["traceback"]
        return events[-1]["message"]

    return go


@pytest.fixture(scope="module")
def made(ct, tmp_path_factory):
    """Right conversions and wrong ones, with what they are conversions of."""
    folder = tmp_path_factory.mktemp("made")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _softmax_and_sigmoid(ct, folder)
        _pictures(ct, folder)
        _estimator(ct, folder)
    return folder


def _softmax_and_sigmoid(ct, folder):
    torch.manual_seed(0)
    linear = torch.nn.Linear(8, 4)
    right = torch.nn.Sequential(linear, torch.nn.Softmax(-1)).eval()
    wrong = torch.nn.Sequential(linear, torch.nn.Sigmoid()).eval()
    x = torch.zeros(2, 8)
    for name, module in {"Right": right, "Wrong": wrong}.items():
        ct.convert(
            torch.jit.trace(module, x),
            inputs=[ct.TensorType("x", (2, 8))],
            minimum_deployment_target=ct.target.iOS17,
        ).save(f"{folder}/{name}.mlpackage")
    torch.jit.trace(right, x).save(f"{folder}/right.pt")
    torch.export.save(torch.export.export(right, (x,)), f"{folder}/right.pt2")
    np.savez(folder / "z.npz", z=np.zeros((2, 8)))


def _pictures(ct, folder):
    """A described torch model of pictures, and a conversion with red and blue exchanged."""
    sys.path.insert(0, str(ROOT / "stages"))
    from _shared.torch_model.architectures import build
    from _shared.torch_model.model_file import Description, Preprocessing, save

    torch.manual_seed(0)
    net = build("small-cnn", {"channels": [8]}, 3).eval()
    net.head.weight.data *= 20
    labels = ("ash", "beech", "fir")
    described = Description("small-cnn", {"channels": [8]}, labels, Preprocessing(32, 32))
    save(net, described, folder / "folder")
    x = torch.zeros(1, 3, 32, 32)
    traced = torch.jit.trace(torch.nn.Sequential(net, torch.nn.Softmax(-1)), x)
    for name, colours in {"Colours": ct.colorlayout.RGB, "Exchanged": ct.colorlayout.BGR}.items():
        picture = ct.ImageType(
            "image", x.shape, scale=1 / 128, bias=[-127 / 128] * 3, color_layout=colours
        )
        ct.convert(
            traced,
            inputs=[picture],
            classifier_config=ct.ClassifierConfig(list(labels)),
            minimum_deployment_target=ct.target.iOS17,
        ).save(f"{folder}/{name}.mlpackage")


def _estimator(ct, folder):
    """An estimator, and a conversion of it with other means."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.random.default_rng(0).normal(size=(60, 3))
    scale = StandardScaler().fit(rows)
    last = LogisticRegression(multi_class="ovr").fit(scale.transform(rows), rows.sum(1) > 0)
    last.classes_ = np.array([0, 1])
    estimator = Pipeline([("scale", scale), ("last", last)])
    (folder / "rows.pkl").write_bytes(pickle.dumps(estimator))
    (folder / "data.pkl").write_bytes(pickle.dumps({"rows": rows}))
    scale.mean_ = scale.mean_ + 1
    ct.converters.sklearn.convert(estimator, "input", "target").save(f"{folder}/Rows.mlmodel")


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        pytest.param("right.pt", "Right.mlpackage", id="a traced program"),
        pytest.param("right.pt2", "Right.mlpackage", id="an exported program"),
        pytest.param("Right.mlpackage", "Right.mlpackage", id="a Core ML model"),
        # The conversion scales pictures inside, as the folder says; nothing is to be told twice.
        pytest.param("folder", "Colours.mlpackage", id="a folder that describes its pictures"),
    ],
)
def test_a_right_conversion_is_accused_of_nothing(compared, made, reference, candidate):
    assert compared(made / reference, made / candidate)["guilty"] is None


@pytest.mark.parametrize("reference", ["right.pt", "right.pt2", "Right.mlpackage"])
def test_the_operator_that_is_another_one_is_named(compared, made, reference):
    guilty = compared(made / reference, made / "Wrong.mlpackage")["guilty"]
    assert (guilty["operator"]["opset"], guilty["operator"]["type"]) == ("iOS17", "sigmoid")


def test_exchanged_colours_are_the_inputs_fault(compared, made):
    guilty = compared(made / "folder", made / "Exchanged.mlpackage")["guilty"]
    assert guilty["cause"] == "input"


def test_an_estimators_sub_model_is_named(compared, made):
    operator = compared(made / "rows.pkl", made / "Rows.mlmodel")["guilty"]["operator"]
    assert (operator["type"], operator["index"]) == ("scaler", 0)
    assert operator["outputs"] == ["0/__feature_vector__"]


def test_a_sample_of_another_name_is_told_whole(compared, made):
    told = compared(made / "right.pt", made / "Right.mlpackage", made / "z.npz")
    assert told == f"{made}/z.npz: a sample lacks an input: x\n  got: z"


def test_a_pickle_without_an_estimator_is_told_whole(compared, made):
    told = compared(made / "data.pkl", made / "Rows.mlmodel")
    assert told == "data.pkl holds no estimator but a dict"
