"""convert/onnx, predict/outputs and convert/coreml in the onnx toolchain, against torch itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stages_in.torch_nets import LABELS, batch, network, write_model, write_pictures

pytestmark = pytest.mark.toolchain
HOW = ((127.0, 120.0, 110.0), (128.0, 64.0, 60.0))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "net")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "photos")


def _answers(ran: Any) -> Any:
    assert ran.ok, ran.error
    with np.load(ran.outputs["predictions"] / "arrays.npz") as data:
        return {name: data[name] for name in data.files}


def test_the_file_says_what_it_takes_and_answers_as_torch_does(
    model: Path, photos: Path, run_kind: Any, tmp_path: Path
) -> None:
    import onnx

    params = {"dynamic": {"image": {"0": "N"}}, "opset": 18}
    ran = run_kind("convert/onnx", inputs={"model": model}, params=params, tmp_path=tmp_path)
    assert ran.ok, ran.error
    written = onnx.load(str(ran.outputs["model"]))
    assert written.opset_import[0].version == 18
    assert [d.dim_param or d.dim_value for d in written.graph.input[0].type.tensor_type.shape.dim] \
        == ["N", 3, 16, 16]  # fmt: skip
    (said,) = [
        json.loads(p.value) for p in written.metadata_props if p.key == "mlbuild.description"
    ]
    assert said["labels"] == list(LABELS)
    assert said["inputs"][0]["shape"] == [None, 3, 16, 16]
    assert said["outputs"] == [{"name": "logits", "gives": "logits"}]
    asked = run_kind(
        "predict/outputs",
        inputs={"model": ran.outputs["model"], "samples": photos},
        tmp_path=tmp_path,
    )
    wanted = network(model)(batch(photos, *HOW))
    np.testing.assert_allclose(_answers(asked)["logits"][:, 0], wanted, rtol=1e-4, atol=1e-4)


def test_equal_networks_are_equal_bytes_without_paths(
    model: Path, run_kind: Any, tmp_path: Path
) -> None:
    first, second = (
        run_kind("convert/onnx", inputs={"model": model}, tmp_path=tmp_path) for _ in range(2)
    )
    data = first.outputs["model"].read_bytes()
    assert data == second.outputs["model"].read_bytes()
    assert b"site-packages" not in data and b"/stages/" not in data


def test_a_softmax_is_put_behind_and_core_ml_says_the_same_as_torch(
    model: Path, photos: Path, run_kind: Any, tmp_path: Path
) -> None:
    from PIL import Image

    from mlbuild.coreml import load

    written = run_kind(
        "convert/onnx", inputs={"model": model},
        params={"output": "probabilities", "dynamic": {"image": {"0": "N"}}}, tmp_path=tmp_path,
    )  # fmt: skip
    assert written.ok, written.error
    ran = run_kind(
        "convert/coreml", inputs={"model": written.outputs["model"]},
        params={"precision": "float32"}, tmp_path=tmp_path,
    )  # fmt: skip
    assert ran.ok, ran.error
    assert ran.json("report")["inputs"][0]["type"] == "image"
    assert ran.json("report")["labels"] == list(LABELS)
    logits = network(model)(batch(photos, *HOW)).astype(np.float64)
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    package = load(str(ran.outputs["model"]), precision="float32")
    for row, file in zip(wanted, sorted(photos.rglob("*.png"))):  # noqa: B905
        image = Image.open(file)
        side = min(image.size) * 0.875
        left, top = (image.size[0] - side) / 2, (image.size[1] - side) / 2
        box = (left, top, left + side, top + side)
        small = image.resize((16, 16), Image.Resampling.BICUBIC, box=box)
        scores = package.predict({"image": small})["classLabel_probs"]
        np.testing.assert_allclose([scores[label] for label in LABELS], row, atol=1e-5)


def _graph(operator: str, tmp_path: Path, shape: tuple[Any, ...] = (1, 4)) -> Path:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], name="odd")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, str(tmp_path / "net.onnx"))
    return tmp_path / "net.onnx"


def test_an_operator_without_a_counterpart_is_named_with_its_place(
    run_kind: Any, tmp_path: Path
) -> None:
    ran = run_kind("convert/coreml", inputs={"model": _graph("Det", tmp_path, (3, 3))},
                   tmp_path=tmp_path)  # fmt: skip
    assert not ran.ok
    assert ran.error == "onnx2coreml does not know the operator Det, at odd"
    assert ran.hint == "rewrite it with others, or convert the network from its own framework"


def test_sizes_that_are_left_open_are_asked_for(run_kind: Any, tmp_path: Path) -> None:
    file = _graph("Tanh", tmp_path, ("N", "T"))
    ran = run_kind("convert/coreml", inputs={"model": file}, tmp_path=tmp_path)
    assert ran.error == "input 'x' leaves sizes open: x float32[any, any]"
    assert ran.hint == "give them: inputs: {x: {shape: [1, ?]}}"
    given = {"inputs": [{"name": "x", "shape": [1, 5], "kind": "tensor"}], "precision": "float32"}
    ran = run_kind("convert/coreml", inputs={"model": file}, params=given, tmp_path=tmp_path)
    assert ran.ok, ran.error
    from mlbuild.coreml import load

    value = np.linspace(-2, 2, 5, dtype=np.float32)[None]
    got = load(str(ran.outputs["model"])).predict({"x": value})["y"]
    np.testing.assert_allclose(got, np.tanh(value), atol=1e-6)


def test_a_file_of_another_kind_is_refused(run_kind: Any, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"PK nothing of the sort")
    ran = run_kind("convert/coreml", inputs={"model": tmp_path / "net.onnx"}, tmp_path=tmp_path)
    assert not ran.ok
    assert ran.error.startswith("net.onnx is no ONNX file")


def test_an_axis_that_the_network_does_not_have_is_refused(
    model: Path, run_kind: Any, tmp_path: Path
) -> None:
    for dynamic, message in (
        ({"photo": {"0": "N"}}, "dynamic: the model has no input 'photo', it has image"),
        ({"image": {"4": "N"}}, "dynamic: image has 4 axes, 4 is none of them"),
    ):
        ran = run_kind("convert/onnx", inputs={"model": model}, params={"dynamic": dynamic},
                       tmp_path=tmp_path)  # fmt: skip
        assert ran.error == message


def test_an_operator_that_onnx_lacks_is_named(run_kind: Any, tmp_path: Path) -> None:
    import torch

    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.i1e(x)

    exported = torch.export.export(Odd(), (torch.ones(2),))
    torch.export.save(exported, str(tmp_path / "odd.pt2"))
    given = {"inputs": [{"name": "x", "shape": [2], "dtype": "float32"}]}
    untrusted = run_kind("convert/onnx", inputs={"model": tmp_path / "odd.pt2"}, params=given,
                         tmp_path=tmp_path)  # fmt: skip
    assert untrusted.error == "odd.pt2 is an exported program, which may hold pickled objects"
    ran = run_kind("convert/onnx", inputs={"model": tmp_path / "odd.pt2"}, params=given,
                   trust=("model",), tmp_path=tmp_path)  # fmt: skip
    assert ran.error == "ONNX has no counterpart for the operator prims.bessel_i1e"
