"""`mlbuild compare` with ONNX and Keras references, each in a toolchain of its own.

The toolchains take gigabytes: `pytest -m campaign tests/cli/test_compare_references.py`.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.toolchains import Toolchains
from tests.conftest import Done

Run = Callable[..., Done]

pytestmark = [pytest.mark.campaign, pytest.mark.toolchain, pytest.mark.slow]

ONNX = """
import sys
import coremltools as ct, torch

torch.manual_seed(0)
layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2, 2), torch.nn.Flatten()]
right = torch.nn.Sequential(*layers, torch.nn.Linear(200, 4), torch.nn.Softmax(-1)).eval()
wrong = torch.nn.Sequential(*right[:5], torch.nn.Sigmoid()).eval()
x = torch.zeros(1, 3, 12, 12)
torch.onnx.export(right, (x,), sys.argv[1] + "/right.onnx", dynamo=False, input_names=["x"])
for name, module in {"Right": right, "Wrong": wrong}.items():
    traced = torch.jit.trace(module, x)
    model = ct.convert(
        traced, inputs=[ct.TensorType("x", x.shape)], minimum_deployment_target=ct.target.iOS17
    )
    model.save(f"{sys.argv[1]}/{name}.mlpackage")
"""

KERAS = """
import os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import coremltools as ct, keras as keras3, numpy as np, tf_keras as keras

def network(last):
    return keras.Sequential([
        keras.layers.Input((12, 12, 3)),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.MaxPool2D(2),
        keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(6, activation="tanh")]),
        keras.layers.Dense(5, activation=last),
    ])

keras.utils.set_random_seed(0)
right, wrong = network("softmax"), network("sigmoid")
wrong.set_weights(right.get_weights())
for name in ("right.h5", "right.keras", "right"):
    right.save(f"{sys.argv[1]}/{name}")
for name, model in {"Right": right, "Wrong": wrong}.items():
    model = ct.convert(
        model, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS17
    )
    model.save(f"{sys.argv[1]}/{name}.mlpackage")

newer = keras3.Sequential([keras3.layers.Input((4,)), keras3.layers.Dense(2)])
newer.save(sys.argv[1] + "/newer.keras")
class Own(keras.Model):
    def call(self, x):
        return x
own = Own()
own(np.zeros((1, 4), "float32"))
own.save(sys.argv[1] + "/own")
"""


def make(toolchain: str, script: str, folder: Path, cache: Path) -> Path:
    python = Toolchains(folder, {}, cache).ensure(toolchain, lambda done, total, text: None)
    subprocess.run([python, "-c", script, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def onnx(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("onnx", ONNX, tmp_path_factory.mktemp("onnx"), cache)


@pytest.fixture(scope="module")
def keras(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("tensorflow", KERAS, tmp_path_factory.mktemp("keras"), cache)


def found(mlbuild: Run, *arguments: str) -> dict[str, object]:
    done = mlbuild("compare", *arguments, "--json")
    assert done.code == 0, done.err
    answer: dict[str, object] = json.loads(done.out)
    return answer


@pytest.mark.usefixtures("real_cache")
def test_an_onnx_file_is_compared_value_by_value(onnx: Path, mlbuild: Run) -> None:
    right = found(mlbuild, f"{onnx}/right.onnx", f"{onnx}/Right.mlpackage")
    assert right["guilty"] is None
    assert right["matched"] == right["values"]
    wrong = found(mlbuild, f"{onnx}/right.onnx", f"{onnx}/Wrong.mlpackage")
    assert wrong["guilty"]["operator"]["type"] == "sigmoid"  # type: ignore[index]


@pytest.mark.usefixtures("real_cache")
@pytest.mark.parametrize("name", ["right.h5", "right.keras", "right"])
def test_keras_models_are_compared_layer_by_layer(keras: Path, mlbuild: Run, name: str) -> None:
    right = found(mlbuild, f"{keras}/{name}", f"{keras}/Right.mlpackage", "--trust")
    assert right["guilty"] is None
    assert right["matched"] == right["values"]
    wrong = found(mlbuild, f"{keras}/{name}", f"{keras}/Wrong.mlpackage", "--trust")
    assert wrong["guilty"]["operator"]["type"] == "sigmoid"  # type: ignore[index]


@pytest.mark.usefixtures("real_cache")
def test_a_model_of_keras_3_is_read_and_another_shape_told(keras: Path, mlbuild: Run) -> None:
    done = mlbuild("compare", f"{keras}/newer.keras", f"{keras}/Right.mlpackage")
    assert done.code != 0
    assert "an array of the wrong size for the reference" in done.err


@pytest.mark.usefixtures("real_cache")
def test_a_keras_model_without_a_graph_is_refused(keras: Path, mlbuild: Run) -> None:
    done = mlbuild("compare", f"{keras}/own", f"{keras}/Right.mlpackage", "--trust")
    assert done.code != 0
    assert "a Keras model that shows no layers' outputs" in done.err
    assert "hint: export it to ONNX (tf2onnx) and compare with that" in done.err
