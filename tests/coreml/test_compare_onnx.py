"""ONNX graphs as references; runs where onnx is installed, as in the toolchain of that name."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mlbuild.coreml import InputError, ModelFileError  # noqa: E402
from mlbuild.coreml.compare import OnnxReference, compare  # noqa: E402
from mlbuild.coreml.compare import onnx_reference as module  # noqa: E402

pytestmark = pytest.mark.toolchain

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((8, 4)).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    """A linear layer by hand: relu(x @ (w * 2) + 1), and its argmax."""

    def saved(last="Relu"):
        nodes = [
            helper.make_node("Mul", ["w", "two"], ["doubled"]),
            helper.make_node("MatMul", ["x", "doubled"], ["product"], name="product_of_x"),
            helper.make_node("Add", ["product", "one"], ["sum"]),
            helper.make_node(last, ["sum"], ["y"]),
        ]
        stored = {"w": WEIGHT, "two": np.float32(2), "one": np.float32(1)}
        graph = helper.make_graph(
            nodes,
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
            [numpy_helper.from_array(np.asarray(v), name) for name, v in stored.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / f"{last}.onnx"
        onnx.save(model, str(path))
        return path

    return saved


@pytest.fixture
def program(save_torch):
    """The same layer, converted."""
    linear = torch.nn.Linear(8, 4)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(2 * WEIGHT.T))
        linear.bias.fill_(1.0)
    network = torch.nn.Sequential(linear, torch.nn.ReLU())
    return save_torch(network, torch.zeros(3, 8), precision="float32")


def samples(name="x"):
    return [{name: RNG.standard_normal((3, 8)).astype(np.float32)} for _ in range(2)]


@pytest.fixture(params=["onnxruntime", "onnx's own evaluator"])
def either(request, monkeypatch):
    """Both of what can compute a graph."""
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime")
    else:
        monkeypatch.setattr(module, "_LARGEST", 0)


@pytest.mark.usefixtures("either")
def test_every_value_that_depends_on_an_input_is_recorded(save):
    reference, sample = OnnxReference(save()), samples()[0]
    found = reference.record(sample)
    assert [(v.name, v.kind, v.scope, v.made_from) for v in found.values] == [
        ("x", "input", "", ()),
        ("product", "MatMul", "product_of_x", (0,)),
        ("sum", "Add", "sum", (1,)),
        ("y", "Relu", "y", (2,)),
    ]
    assert found.outputs == (("y", 3),)
    expected = np.maximum(sample["x"] @ (2 * WEIGHT) + 1, 0)
    assert np.abs(found.values[3].value.numpy() - expected).max() < 1e-5


@pytest.mark.usefixtures("either")
def test_what_is_computed_of_constants_alone_is_a_weight(save):
    reference = OnnxReference(save())
    reference.record(samples()[0])
    assert sorted(reference.weights()) == ["doubled", "one", "two", "w"]
    assert torch.equal(reference.weights()["doubled"], torch.from_numpy(2 * WEIGHT))


def test_inputs_of_other_names_are_taken_in_their_order(save):
    by_name, by_order = samples("x")[0], {}
    by_order["picture"] = by_name["x"]
    reference = OnnxReference(save())
    ours, theirs = reference.record(by_order), reference.record(by_name)
    assert torch.equal(ours.values[3].value, theirs.values[3].value)


@pytest.mark.usefixtures("either")
def test_a_right_conversion_is_accused_of_nothing_and_a_wrong_one_is_named(save, program):
    assert compare(OnnxReference(save()), program, samples()).guilty is None
    found = compare(OnnxReference(save("Sigmoid")), program, samples())
    assert found.guilty.operator.type == "relu"
    assert found.guilty.reference == "Sigmoid of y"


def test_a_sample_of_another_shape_is_refused(save):
    with pytest.raises(InputError) as caught:
        OnnxReference(save()).record({"x": np.zeros((3, 7), np.float32)})
    assert str(caught.value) == (
        "input 'x': an array of the wrong shape for the reference\n"
        "  got: [3, 7]\n  allowed: ['any', 8]"
    )


def test_a_sample_without_enough_inputs_is_refused(save):
    with pytest.raises(InputError) as caught:
        OnnxReference(save()).record({})
    assert str(caught.value) == (
        "the reference takes an input that no sample has: x\n  got: \n  allowed: x"
    )


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no protocol buffer")
    with pytest.raises(ModelFileError, match=r"net\.onnx: no ONNX model\n  got: "):
        OnnxReference(path)
