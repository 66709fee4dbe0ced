"""What `summarize` says of a model."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(16 * 36, 10)
    )


def convert(ct, net, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(net.eval(), torch.rand(1, 3, 8, 8))
        return ct.convert(
            traced,
            inputs=[ct.ImageType(name="image", shape=(1, 3, 8, 8))],
            classifier_config=ct.ClassifierConfig([f"label {i}" for i in range(10)]),
            minimum_deployment_target=getattr(ct.target, target),
            skip_model_load=True,
        )


def test_a_plain_model(ct, net, tmp_path):
    from mlbuild.coreml import summarize

    model = convert(ct, net, "iOS17")
    model.short_description, model.author, model.version = "Ten labels", "us", "1.2"
    model.save(str(tmp_path / "net.mlpackage"))
    found = summarize(tmp_path / "net.mlpackage")
    weights = {w["operator"]: w for w in found.pop("weights") if w["input"] == "weight"}
    size = sum(f.stat().st_size for f in (tmp_path / "net.mlpackage").rglob("*") if f.is_file())
    user = found["metadata"].pop("user_defined")
    assert user["com.github.apple.coremltools.version"] == ct.__version__
    found.pop("weight_bytes")
    counted = [found.pop("multiply_adds_by_layer"), found.pop("multiply_adds")]
    assert sum(counted[0].values()) == counted[1]
    assert found.pop("parameters") >= sum(w["elements"] for w in weights.values())
    assert found.pop("peak_bytes") > 0
    assert isinstance(found.pop("peak_at"), str)
    assert found.pop("uncounted") == []
    assert found == {
        "type": "mlProgram",
        "spec_version": 8,
        "target": "iOS17",
        "inputs": [
            {"name": "image", "kind": "image", "type": "image 8 x 8 RGB", "width": 8, "height": 8,
             "color": "RGB"},
        ],
        "outputs": [
            {"name": "classLabel", "kind": "string", "type": "string"},
            {"name": found["outputs"][1]["name"], "kind": "dictionary",
             "type": "dictionary of string to double"},
        ],
        "labels": 10,
        "metadata": {"description": "Ten labels", "version": "1.2", "author": "us"},
        "size_bytes": size,
        "opset": "iOS17",
        "operators": {"cast": 2, "classify": 1, "conv": 1, "linear": 1, "relu": 1, "reshape": 1},
    }  # fmt: skip
    linear = weights["linear"]
    assert linear | {"layer": "", "value": ""} == {
        "layer": "", "operator": "linear", "input": "weight", "value": "", "shape": [10, 576],
        "dtype": "fp16", "compression": [], "bits": 16, "elements": 5760, "bytes": 11520,
        "sparsity": linear["sparsity"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("target", "steps", "compression", "bits"),
    [
        ("iOS16", [("linear", {})], ["linear"], 8),
        ("iOS16", [("palette", {"nbits": 4})], ["palette"], 4),
        ("iOS18", [("palette", {"nbits": 3})], ["palette"], 3),
        ("iOS18", [("linear", {"dtype": "int4"})], ["linear"], 4),
        ("iOS16", [("prune", {"target_sparsity": 0.5})], ["sparse"], 16),
        ("iOS18", [("prune", {"target_sparsity": 0.5}), ("linear", {})], ["sparse", "linear"], 8),
        ("iOS18", [("prune", {"target_sparsity": 0.5}), ("palette", {"nbits": 4})],
         ["sparse", "palette"], 4),
    ],
)  # fmt: skip
def test_compressed_weights(ct, net, tmp_path, target, steps, compression, bits):
    import coremltools.optimize.coreml as cto

    from mlbuild.coreml import summarize

    methods = {
        "linear": (cto.OpLinearQuantizerConfig, cto.linear_quantize_weights),
        "palette": (cto.OpPalettizerConfig, cto.palettize_weights),
        "prune": (cto.OpMagnitudePrunerConfig, cto.prune_weights),
    }
    model = convert(ct, net, target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, (method, options) in enumerate(steps):
            config, function = methods[method]
            wanted = cto.OptimizationConfig(global_config=config(weight_threshold=1, **options))
            model = function(model, wanted, **({"joint_compression": True} if number else {}))
    model.save(str(tmp_path / "net.mlpackage"))
    found = summarize(tmp_path / "net.mlpackage")["weights"]
    (linear,) = (w for w in found if w["operator"] == "linear" and w["input"] == "weight")
    assert linear["compression"] == compression
    assert linear["bits"] == bits
    assert linear["shape"] == [10, 576]
    share = 0.5 if compression[0] == "sparse" else 1.0
    assert linear["bytes"] >= 5760 * bits / 8 * share
    assert linear["bytes"] < 11520
    if compression[0] == "sparse":
        assert np.isclose(linear["sparsity"], 0.5, atol=0.02)


def test_a_model_of_another_type_is_described_from_the_outside(tmp_path):
    from mlbuild.coreml import summarize
    from mlbuild.coreml.protos import model_proto

    spec = model_proto().Model()
    spec.specificationVersion = 4
    spec.neuralNetwork.SetInParent()
    spec.description.metadata.author = "us"
    (tmp_path / "old.mlmodel").write_bytes(spec.SerializeToString())
    found = summarize(tmp_path / "old.mlmodel")
    assert found["type"] == "neuralNetwork"
    assert found["metadata"] == {"author": "us"}
    assert found["weights"] == []
    assert found["operators"] == {}
