from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.toolchain
COLOURED = {
    "name": "data",
    "kind": "image",
    "colour": "BGR",
    "scale": 0.5,
    "bias": [-3.0, -2.0, -1.0],
}
NET = (
    (Path(__file__).parent / "conftest.py").read_text("utf-8").split('NET = """')[1].split('"""')[0]
)


def converted(run_kind: Any, folder: Path, tmp_path: Path, **params: Any) -> Any:
    return run_kind("convert/coreml", params=params, inputs={"model": folder}, tmp_path=tmp_path)


def spec_of(package: Path) -> Any:
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    spec.ParseFromString((package / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    return spec


def test_labels_beside_the_net_make_a_classifier(run_kind: Any, net: Any, tmp_path: Path) -> None:
    folder = net(labels=("cat", "dog", "owl"))
    ran = converted(run_kind, folder, tmp_path, precision="float32", inputs=[COLOURED])
    assert ran.ok, ran.error
    spec = spec_of(ran.outputs["model"])
    assert list(spec.neuralNetworkClassifier.stringClassLabels.vector) == ["cat", "dog", "owl"]
    scaler = spec.neuralNetworkClassifier.preprocessing[0].scaler
    assert scaler.channelScale == 0.5
    assert (scaler.blueBias, scaler.greenBias, scaler.redBias) == (-3.0, -2.0, -1.0)
    assert ran.json("report")["labels"] == ["cat", "dog", "owl"]
    assert ran.metrics["operators"] == 6  # one of them flattens


def test_equal_nets_are_equal_packages(run_kind: Any, net: Any, tmp_path: Path) -> None:
    one, two = (converted(run_kind, net(), tmp_path).outputs["model"] for _ in range(2))
    files = [sorted(p for p in m.rglob("*") if p.is_file()) for m in (one, two)]
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]]


def test_float16_halves_the_weights(run_kind: Any, net: Any, tmp_path: Path) -> None:
    whole = converted(run_kind, net(), tmp_path, precision="float32")
    half = converted(run_kind, net(), tmp_path, precision="float16")
    layers = {n: spec_of(r.outputs["model"]).neuralNetwork.layers[0].convolution.weights
              for n, r in (("whole", whole), ("half", half))}  # fmt: skip
    stored = np.frombuffer(layers["half"].float16Value, np.float16)
    np.testing.assert_array_equal(stored, np.array(layers["whole"].floatValue, np.float16))
    assert not layers["half"].floatValue


def test_the_reference_prepares_pictures_as_the_package_does(
    run_kind: Any, net: Any, tmp_path: Path
) -> None:
    """OpenCV's answer against the net computed by hand."""
    folder = net()
    pixels = np.random.RandomState(1).randint(0, 256, (8, 8, 3)).astype(np.uint8)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(pixels).save(tmp_path / "pictures" / "a.png")
    wanted = {"height": 8, "width": 8, "colour": "BGR", "mean": [6.0, 4.0, 2.0], "std": [2.0] * 3}
    ran = run_kind(
        "predict/outputs", params={"pictures": wanted}, tmp_path=tmp_path,
        inputs={"model": folder, "samples": tmp_path / "pictures"},
    )  # fmt: skip
    assert ran.ok, ran.error
    with np.load(ran.outputs["predictions"] / "arrays.npz") as data:
        assert data.files == ["prob"]  # the result's name, not the layer's
        said = data["prob"].reshape(-1)
    given = (pixels[:, :, ::-1].astype(float) - wanted["mean"]) / 2
    np.testing.assert_allclose(said, by_hand(given.transpose(2, 0, 1)), atol=1e-5)


def by_hand(image: np.ndarray) -> np.ndarray:
    """Shape [3, 8, 8] -> [3]."""
    random = np.random.RandomState(0)
    kernel, bias = random.uniform(-1, 1, (4, 3, 3, 3)), random.uniform(-1, 1, 4)
    matrix, offset = random.uniform(-1, 1, (3, 64)), random.uniform(-1, 1, 3)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    found = np.zeros((4, 8, 8))
    for y in range(8):
        for x in range(8):
            found[:, y, x] = (kernel * padded[None, :, y : y + 3, x : x + 3]).sum((1, 2, 3)) + bias
    pooled = np.maximum(found, 0).reshape(4, 4, 2, 4, 2).max((2, 4))
    scores = matrix @ pooled.reshape(-1) + offset
    return np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()


def test_a_mean_picture_goes_into_the_package_and_is_subtracted_by_the_reference(
    run_kind: Any, net: Any, tmp_path: Path
) -> None:
    mean = np.random.RandomState(2).uniform(0, 200, (3, 8, 8)).astype(np.float32)
    folder = net(mean=mean)
    ran = converted(run_kind, folder, tmp_path, precision="float32")
    assert ran.ok, ran.error
    kinds = {
        p.WhichOneof("preprocessor"): p
        for p in spec_of(ran.outputs["model"]).neuralNetwork.preprocessing
    }
    stored = np.array(kinds["meanImage"].meanImage.meanImage, np.float32)
    np.testing.assert_allclose(stored, mean.reshape(-1), rtol=1e-6)
    pixels = np.random.RandomState(1).randint(0, 256, (8, 8, 3)).astype(np.uint8)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(pixels).save(tmp_path / "pictures" / "a.png")
    asked = {"model": folder, "samples": tmp_path / "pictures"}
    answers = run_kind("predict/outputs", inputs=asked, tmp_path=tmp_path)
    assert answers.ok, answers.error
    with np.load(answers.outputs["predictions"] / "arrays.npz") as data:
        given = pixels[:, :, ::-1].astype(float).transpose(2, 0, 1) - mean
        np.testing.assert_allclose(data["prob"].reshape(-1), by_hand(given), atol=1e-5)


def test_a_mean_of_another_size_is_told_with_its_channels(
    run_kind: Any, net: Any, tmp_path: Path
) -> None:
    folder = net(mean=np.stack([np.full((9, 9), value) for value in (10.0, 20.0, 30.0)]))
    ran = converted(run_kind, folder, tmp_path)
    assert ran.error == "mean.binaryproto is [3, 9, 9], pictures are [3, 8, 8]"
    assert ran.hint == (
        "leave it out and say its means: bias: [-10.000, -20.000, -30.000] "
        "(in the order of the channels)"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("layer {", "layers {"), "deploy.prototxt is of an old form: its layers stand under "
         "`layers`, not `layer`"),
        (('type: "Input"', 'type: "Data"'), "deploy.prototxt is for training: it reads its data "
         "with a layer Data"),
        (('type: "Softmax"', 'type: "SoftmaxWithLoss"'), "deploy.prototxt is for training: it "
         "ends in a layer SoftmaxWithLoss"),
        (("input_param", "other_param"), None),
        (('type: "ReLU"', 'type: "Unheard"'), None),
    ],
)  # fmt: skip
def test_a_net_that_cannot_be_deployed_is_told(
    run_kind: Any, net: Any, tmp_path: Path, change: tuple, message: Any
) -> None:
    ran = converted(run_kind, net(text=NET.replace(*change)), tmp_path)
    assert not ran.ok
    assert ran.kind == "failure", ran.error
    if message is not None:
        assert ran.error == message


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"labels": ["cat", "dog"]}, "the net has 3 scores, there are 2 labels"),
        ({"inputs": [{**COLOURED, "name": "image"}]}, "inputs: the net has no input 'image'"),
        ({"inputs": [{**COLOURED, "colour": "GRAY", "bias": 0.0}]},
         "input 'data' has 3 channels, which GRAY does not"),
        ({"inputs": [{**COLOURED, "scale": [1.0, 1.0, 0.5]}]},
         "input 'data': channels have different scales, which Core ML has no place for"),
        ({"softmax": "add"}, "softmax: does nothing for a Caffe net"),
        ({"output": "classifier"}, "output: classifier needs labels"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_are_told(
    run_kind: Any, net: Any, tmp_path: Path, params: dict, message: str
) -> None:
    assert converted(run_kind, net(), tmp_path, **params).error == message


def test_a_folder_without_weights_is_told(run_kind: Any, net: Any, tmp_path: Path) -> None:
    folder = net()
    (folder / "small.caffemodel").unlink()
    ran = converted(run_kind, folder, tmp_path)
    assert ran.error == f"{folder.name} must hold one .caffemodel file, found: none"


def test_old_lines_of_input_are_understood(run_kind: Any, net: Any, tmp_path: Path) -> None:
    layer = NET[NET.index("layer") : NET.index('layer { name: "conv1"')]
    lines = 'input: "data"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 8\ninput_dim: 8\n'
    ran = converted(run_kind, net(text=NET.replace(layer, lines)), tmp_path)
    assert ran.ok, ran.error
    assert ran.json("report")["inputs"][0]["type"] == "image"
