import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ct = pytest.importorskip("coremltools")
from torch import nn  # noqa: E402

# torch.jit is deprecated, and still what many networks come as.
pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]

KIND = "convert/coreml"
SIZE = 16


def write_model(folder, *, std=(128.0, 128.0, 128.0), colour="RGB", output="logits", seed=0):
    """A small untrained network in the self-describing format, written as the format says."""
    from safetensors.torch import save_file

    channels = len(std)
    torch.manual_seed(seed)
    stage = nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
    )
    head = nn.Linear(4, 3)
    weights = {f"stages.0.{k}": v for k, v in stage.state_dict().items()}
    weights |= {f"head.{k}": v for k, v in head.state_dict().items()}
    folder.mkdir(parents=True)
    save_file(weights, str(folder / "model.safetensors"))
    description = {
        "format": "mlbuild-torch-model",
        "version": 1,
        "architecture": {
            "name": "small-cnn",
            "arguments": {"in_channels": channels, "channels": [4]},
        },
        "labels": ["cat", "dog", "emu"],
        "preprocessing": {
            "height": SIZE,
            "width": SIZE,
            "colour": colour,
            "mean": [127.0, 120.0, 110.0][:channels],
            "std": list(std),
        },
        "output": output,
        "training": {},
    }
    (folder / "model.json").write_text(json.dumps(description))
    return folder


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).mean((2, 3)))


def write_script(path):
    torch.manual_seed(0)
    torch.jit.trace(Net().eval(), torch.rand(1, 3, SIZE, SIZE)).save(str(path))
    return path


def write_exported(path):
    torch.manual_seed(0)
    torch.export.save(torch.export.export(Net().eval(), (torch.rand(1, 3, SIZE, SIZE),)), str(path))
    return path


def spec_of(package):
    return ct.utils.load_spec(str(package))


def operators(package):
    block = next(iter(spec_of(package).mlProgram.functions.values()))
    return [op.type for op in next(iter(block.block_specializations.values())).operations]


def test_a_self_describing_model_becomes_an_image_classifier(run_kind, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"model": write_model(tmp_path / "m")},
        params={
            "author": "A",
            "licence": "L",
            "version": "1.2",
            "description": "D",
            "metadata": {"k": "v"},
        },
    )

    assert ran.ok, ran.error
    spec = spec_of(ran.outputs["model"])
    assert ran.outputs["model"].name == "Model.mlpackage"
    assert spec.specificationVersion == 8
    image = spec.description.input[0]
    assert (image.name, image.type.imageType.width, image.type.imageType.height) == (
        "image",
        16,
        16,
    )
    assert [f.name for f in spec.description.output] == ["classLabel", "classLabel_probs"]
    metadata = spec.description.metadata
    assert (metadata.author, metadata.license) == ("A", "L")
    assert (metadata.versionString, metadata.shortDescription) == ("1.2", "D")
    assert metadata.userDefined["k"] == "v"
    assert json.loads(metadata.userDefined["mlbuild.preprocessing"])["height"] == SIZE
    assert "softmax" in operators(ran.outputs["model"])
    assert ran.json("report")["labels"] == ["cat", "dog", "emu"]
    assert ran.metrics["specification_version"] == 8


def test_two_conversions_are_equal_bytes(run_kind, tree, tmp_path):
    model = write_model(tmp_path / "m")
    first, second = (run_kind(KIND, tmp_path=tmp_path, inputs={"model": model}) for _ in range(2))

    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    assert b"conversion_date" not in b"".join(tree(first.outputs["model"]).values())
    assert first.text("report") == second.text("report")


def test_a_model_that_gives_probabilities_gets_no_second_softmax(run_kind, tmp_path):
    model = write_model(tmp_path / "m", output="probabilities")

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": model})

    assert ran.ok, ran.error
    assert "softmax" not in operators(ran.outputs["model"])


@pytest.mark.parametrize(
    ("params", "version", "outputs"),
    [
        ({"target": "iOS15", "precision": "float32"}, 6, ["classLabel", "classLabel_probs"]),
        ({"target": "macOS13", "output": "logits"}, 7, ["logits"]),
        ({"target": "iOS18", "output": "probabilities", "score_output": "p"}, 9, ["p"]),
        ({"label_output": "breed", "score_output": "scores"}, 8, ["breed", "scores"]),
    ],
)
def test_targets_and_outputs_are_as_asked(run_kind, tmp_path, params, version, outputs):
    model = write_model(tmp_path / "m")

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": model}, params=params)

    assert ran.ok, ran.error
    spec = spec_of(ran.outputs["model"])
    assert spec.specificationVersion == version
    assert [f.name for f in spec.description.output] == outputs
    last = next(iter(spec.mlProgram.functions.values()))
    block = next(iter(last.block_specializations.values()))
    assert list(block.outputs) == outputs


@pytest.mark.parametrize(
    ("std", "colour"),
    [((58.0, 57.0, 61.0), "RGB"), ((128.0, 128.0, 128.0), "BGR"), ((255.0,), "GRAY")],
)
def test_pixels_are_scaled_inside_the_model(run_kind, tmp_path, std, colour):
    model = write_model(tmp_path / "m", std=std, colour=colour)

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": model})

    assert ran.ok, ran.error
    [fact] = ran.json("report")["inputs"]
    assert fact["colour"] == {"GRAY": "GRAYSCALE"}.get(colour, colour)


def test_a_tensor_input_takes_normalised_values(run_kind, tmp_path):
    model = write_model(tmp_path / "m")

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": model}, params={"image": False})

    assert ran.ok, ran.error
    [fact] = ran.json("report")["inputs"]
    assert (fact["type"], fact["shape"]) == ("multiArray", [1, 3, SIZE, SIZE])


def test_operators_can_stay_in_float32(run_kind, tmp_path):
    model = write_model(tmp_path / "m")

    plain, mixed = (
        run_kind(KIND, tmp_path=tmp_path, inputs={"model": model}, params=params)
        for params in ({}, {"float32_ops": ["softmax"]})
    )

    casts = [ran.json("report")["operators"].get("cast", 0) for ran in (plain, mixed)]
    assert casts[1] > casts[0]


IMAGE = {"name": "photo", "shape": [1, 3, SIZE, SIZE], "kind": "image", "scale": 1 / 255}


def test_torchscript_takes_what_it_is_told(run_kind, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"model": write_script(tmp_path / "m.pt")},
        params={"inputs": [IMAGE], "labels": ["a", "b", "c"], "softmax": "add"},
    )

    assert ran.ok, ran.error
    assert [f["name"] for f in ran.json("report")["inputs"]] == ["photo"]
    assert ran.json("report")["labels"] == ["a", "b", "c"]
    assert "softmax" in operators(ran.outputs["model"])


def test_channels_of_a_script_may_have_scales_of_their_own(run_kind, tmp_path):
    image = {**IMAGE, "scale": [0.01, 0.02, 0.03], "bias": [-1.0, -2.0, -3.0]}

    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"model": write_script(tmp_path / "m.pt")},
        params={"inputs": [image]},
    )

    assert ran.ok, ran.error
    assert ran.json("report")["outputs"][0]["name"] == "logits"


def test_a_range_of_shapes_is_kept(run_kind, tmp_path):
    tensor = {"name": "x", "shape": [[1, 4], 3, SIZE, SIZE]}

    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"model": write_script(tmp_path / "m.pt")},
        params={"inputs": [tensor]},
    )

    assert ran.ok, ran.error
    array = spec_of(ran.outputs["model"]).description.input[0].type.multiArrayType
    sizes = array.shapeRange.sizeRanges[0]
    assert (sizes.lowerBound, sizes.upperBound) == (1, 4)


@pytest.mark.parametrize("softmax", ["none", "add"])
def test_an_exported_program_is_read_where_it_is_trusted(run_kind, tmp_path, softmax):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"model": write_exported(tmp_path / "m.pt2")},
        params={"inputs": [IMAGE], "softmax": softmax},
        trust=("model",),
    )

    assert ran.ok, ran.error
    assert ran.json("report")["inputs"][0]["type"] == "image"


def test_an_exported_program_is_refused_without_trust(run_kind, tmp_path):
    model = write_exported(tmp_path / "m.pt2")

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": model}, params={"inputs": [IMAGE]})

    assert (ran.kind, ran.error) == (
        "failure",
        "m.pt2 is an exported program, which may hold pickled objects",
    )


# coremltools drops a temporary folder when it fails.
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_operator_that_core_ml_lacks_is_named(run_kind, tmp_path):
    class Odd(nn.Module):
        def forward(self, x):
            return torch.special.i0(x)

    torch.jit.trace(Odd(), torch.rand(1, 3)).save(str(tmp_path / "odd.pt"))

    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"model": tmp_path / "odd.pt"},
        params={"inputs": [{"name": "x", "shape": [1, 3]}]},
    )

    assert ran.kind == "failure"
    assert ran.error.startswith("coremltools cannot convert this network: ")
    assert "i0" in ran.error


def damage(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:200])


def reshape(folder):
    from safetensors.torch import load_file, save_file

    file = str(folder / "model.safetensors")
    weights = load_file(file)
    save_file({**weights, "head.bias": torch.zeros(5)}, file)


def rewrite(**changes):
    def change(folder):
        data = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**data, **changes}))

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damage, "model.safetensors is damaged: "),
        (reshape, "model.safetensors: head.bias has shape [5], the architecture needs [3]"),
        (rewrite(version=3), "model.json has version 3, this mlbuild reads up to 2"),
        (rewrite(labels=["a", "a"]), "label 'a' stands twice"),
        (
            rewrite(output="scores"),
            "model.json: output is 'scores', allowed: logits, probabilities",
        ),
        (
            rewrite(architecture={"name": "resnet", "arguments": {}}),
            "architecture 'resnet' is unknown, allowed: "
            "efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, small-cnn",
        ),
        (
            rewrite(architecture={"name": "small-cnn", "arguments": {"depth": 3}}),
            "small-cnn: unknown argument 'depth', allowed: channels, dropout, folded, in_channels",
        ),
        (
            rewrite(preprocessing={"height": 0, "width": 8}),
            "preprocessing: size is 0 by 8, allowed: ",
        ),
        (
            lambda f: (f / "model.safetensors").unlink(),
            "the model's folder holds no model.safetensors",
        ),
    ],
)
def test_a_damaged_model_is_told(run_kind, tmp_path, spoil, message):
    model = write_model(tmp_path / "m")
    spoil(model)

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": model})

    assert ran.kind == "failure"
    assert ran.error.startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a model", "m.pt is neither a torch model, TorchScript nor an exported program"),
        (None, "m.pt is a pickled checkpoint: it names no architecture and may run code"),
    ],
)
def test_other_files_are_refused(run_kind, tmp_path, content, message):
    file = tmp_path / "m.pt"
    if content is None:
        torch.save({"w": torch.zeros(2)}, file)
    else:
        file.write_bytes(content)

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": file})

    assert (ran.kind, ran.error) == ("failure", message)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "m.pt does not describe its inputs"),
        ({"inputs": [{"name": "x"}]}, "input 'x' needs a shape"),
        ({"inputs": [IMAGE], "output": "classifier"}, "output: classifier needs labels"),
    ],
)
def test_what_a_script_lacks_is_asked_for(run_kind, tmp_path, params, message):
    script = write_script(tmp_path / "m.pt")

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": script}, params=params)

    assert (ran.kind, ran.error) == ("failure", message)


@pytest.mark.parametrize(
    ("std", "colour"),
    [
        ((58.0, 57.0, 61.0), "RGB"),
        ((128.0, 128.0, 128.0), "RGB"),
        ((60.0, 50.0, 40.0), "BGR"),
        ((255.0,), "GRAY"),
    ],
)
def test_core_ml_on_pixels_says_what_torch_says_on_the_picture(run_kind, tmp_path, std, colour):
    """The whole way: resizing, colour order, scale, bias and folding agree, run by the runtime."""
    import sys

    import numpy as np
    from PIL import Image

    from mlbuild.coreml import load

    folder = write_model(tmp_path / "m", std=std, colour=colour)
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": folder}, params={"precision": "float32"}
    )
    model = sys.modules["_mlbuild_stages._shared.torch_model.model_file"].load(folder)
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    image = Image.fromarray(noise)

    wanted = model.probabilities(model.preprocess(image)[None])[0].tolist()
    fitted = model.description.preprocessing.fit(image)
    scores = load(str(ran.outputs["model"])).predict({"image": fitted})["classLabel_probs"]

    # float32 sums in another order
    assert [scores[label] for label in model.labels] == pytest.approx(wanted, abs=1e-6)


class Pooled(nn.Module):
    def forward(self, x):
        return x.mean(dim=1) * 2


@pytest.mark.parametrize(
    ("facts", "sizes", "refused"),
    [
        ({"shape": [1, [1, 6], 4]}, (1, 3, 6), 7),
        ({"shapes": [[1, 3, 4], [1, 5, 4]]}, (3, 5), 4),
    ],
    ids=["range", "several"],
)
def test_flexible_shapes_are_kept_and_no_others_taken(run_kind, tmp_path, facts, sizes, refused):
    from mlbuild.coreml import InputError, load

    torch.jit.trace(Pooled(), torch.rand(1, 3, 4)).save(str(tmp_path / "net.pt"))

    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"model": tmp_path / "net.pt"},
        params={"inputs": [{"name": "x", **facts}], "precision": "float32"},
    )

    assert ran.ok, ran.error
    model = load(ran.outputs["model"])
    for size in sizes:
        x = np.random.default_rng(size).random((1, size, 4), dtype=np.float32)
        (out,) = model.predict({"x": x}).values()
        np.testing.assert_allclose(out, x.mean(axis=1) * 2, rtol=1e-5)  # float32
    with pytest.raises(InputError, match="x"):
        model.predict({"x": np.zeros((1, refused, 4), np.float32)})
