import json

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

KIND = "train/distill"
STILL = {
    "flip": False,
    "rotate": 0.0,
    "zoom": 0.0,
    "shift": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "erase": 0.0,
}
QUICK = {"channels": [4, 8], "epochs": 1, "batch_size": 8, "augment": STILL, "least_elements": 100}


def picture(path, seed, label):
    """A bright bar that lies, stands or leans, on noise."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 90, (16, 16))
    place = int(random.integers(3, 12))
    if label == "lying":
        pixels[place : place + 2] = 230
    elif label == "standing":
        pixels[:, place : place + 2] = 230
    else:
        for n in range(16):
            pixels[n, (n + place) % 16] = 230
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    for name, count, start in (("learn", 30, 0), ("ask", 15, 1000)):
        for label in ("leaning", "lying", "standing"):
            for n in range(count):
                picture(folder / name / label / f"{n:02}.png", start + n, label)
    return folder


@pytest.fixture
def teacher(made, run_kind):
    """Trained once."""
    kept = made / "teacher"
    if not kept.exists():
        ran = run_kind(
            "train/image-classifier",
            tmp_path=made,
            inputs={"images": made / "learn", "test": made / "ask"},
            params={
                "backbone": "small-cnn",
                "grayscale": True,
                "image_size": 16,
                "channels": [8, 16],
                "epochs": 12,
                "batch_size": 8,
                "learning_rate": 0.01,
                "augment": STILL,
            },
        )
        assert ran.ok, ran.error
        assert ran.metrics["accuracy"]["value"] > 0.9
        ran.outputs["model"].rename(kept)
    return kept


def distill(run_kind, made, teacher, tmp_path, inputs=None, **params):
    given = {"images": made / "learn", "test": made / "ask", "teacher": teacher, **(inputs or {})}
    return run_kind(KIND, tmp_path=tmp_path, inputs=given, params={**QUICK, **params})


def weights_of(ran):
    from safetensors.torch import load_file

    return load_file(str(ran.outputs["model"] / "model.safetensors"))


def test_a_small_student_learns_what_its_teacher_says(run_kind, made, teacher, tmp_path):
    ran = distill(run_kind, made, teacher, tmp_path, epochs=12, learning_rate=0.02)

    assert ran.ok, ran.error
    assert ran.metrics["agreement"]["value"] >= 0.9
    assert ran.metrics["agreement"]["n"] == 45
    assert ran.metrics["teacher_accuracy"]["value"] > 0.9
    assert ran.metrics["parameters"] < ran.metrics["teacher_parameters"]


def test_a_palette_regains_what_it_cost_and_core_ml_stores_it_without_loss(
    run_kind, made, teacher, tmp_path
):
    pytest.importorskip("coremltools")
    ran = distill(
        run_kind,
        made,
        teacher,
        tmp_path,
        student="same",
        compress="palette",
        bits=1,
        epochs=12,
        learning_rate=0.01,
    )
    assert ran.ok, ran.error
    assert ran.metrics["accuracy_before"]["value"] < 0.8  # two values a layer spoil it
    assert ran.metrics["agreement"]["value"] >= 0.85
    assert ran.metrics["regained"] > 0.1
    layers = ran.json("report")["layers"]
    assert [layer["name"] for layer in layers] == [
        "stages.0.3.weight",
        "stages.1.0.weight",
        "stages.1.3.weight",
    ]
    weights = weights_of(ran)
    for layer in layers:
        assert len(torch.unique(weights[layer["name"]])) <= 2
    assert not any("running_mean" in name for name in weights)  # normalization is folded

    converted = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": ran.outputs["model"]}
    )
    assert converted.ok, converted.error
    stored = run_kind(
        "quantize/palettize",
        tmp_path=tmp_path,
        inputs={"model": converted.outputs["model"]},
        params={"bits": 1, "weight_threshold": 100},
    )
    assert stored.ok, stored.error
    figures = [
        run_kind(
            "validate/parity",
            tmp_path=tmp_path,
            inputs={"reference": ran.outputs["model"], "candidate": model, "samples": made / "ask"},
            params={"limit": 10},
        ).metrics
        for model in (converted.outputs["model"], stored.outputs["model"])
    ]
    assert figures[1]["psnr_db"] > 50
    assert figures[1]["psnr_db"] == pytest.approx(figures[0]["psnr_db"], abs=3)


def test_a_mask_keeps_its_zeros(run_kind, made, teacher, tmp_path):
    ran = distill(
        run_kind,
        made,
        teacher,
        tmp_path,
        student="same",
        compress="prune",
        sparsity=0.9,
        keep=["stages.0.*"],
        epochs=8,
        learning_rate=0.01,
    )

    assert ran.ok, ran.error
    layers = ran.json("report")["layers"]
    assert [layer["name"] for layer in layers] == ["stages.1.0.weight", "stages.1.3.weight"]
    for layer in layers:
        assert 0.9 <= layer["zeros"] < 0.902
        assert float((weights_of(ran)[layer["name"]] == 0).double().mean()) == layer["zeros"]
    assert ran.metrics["accuracy"]["value"] > ran.metrics["accuracy_before"]["value"]
    assert 0 < ran.metrics["compressed"] < 1


def test_a_folded_network_computes_the_same():
    from mlbuild.stages._shared.torch_model.architectures import build
    from mlbuild.stages._shared.torch_model.folding import fold

    names = [
        ("small-cnn", {"channels": [4, 8]}, 16),
        ("efficientnet-lite0", {"image_size": 64}, 64),
    ]
    for name, arguments, side in names:
        torch.manual_seed(0)
        net = build(name, arguments, 3)
        normalizations = sum(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())
        for layer in net.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
                torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
        x = torch.randn(2, 3, side, side)
        with torch.no_grad():
            wanted = net.eval()(x)
            count = fold(net)
            assert torch.allclose(net(x), wanted, rtol=1e-3, atol=1e-4)
        assert count == normalizations
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())
        # The file of a folded network is read back by the same name.
        again = build(name, {**arguments, "folded": True}, 3)
        again.load_state_dict(net.state_dict())


def test_palettes_and_masks_of_hand_made_weights():
    from mlbuild.stages.train.distill.compression import Mask, Palette

    weight = torch.tensor([[-1.1, -0.9, 0.1], [-0.1, 0.9, 1.1]], requires_grad=True)
    palette = Palette(weight, 1)
    assert palette.values.tolist() == pytest.approx([-0.7, 0.7])
    (palette(weight) * torch.arange(6.0).view(2, 3)).sum().backward()
    assert weight.grad.flatten().tolist() == [0, 1, 2, 3, 4, 5]  # straight through

    mask = Mask(weight)
    mask.choose(weight, 0.5)
    assert mask.mask.tolist() == [[1, 0, 0], [0, 1, 1]]  # of equals the first ones go


def test_equal_inputs_give_equal_bytes(run_kind, made, teacher, tmp_path, tree):
    params = {"student": "same", "compress": "palette", "augment": {**STILL, "shift": 0.1}}
    first, second = (distill(run_kind, made, teacher, tmp_path, **params) for _ in range(2))

    assert first.ok, first.error
    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    assert first.text("report") == second.text("report")


@pytest.mark.parametrize(
    ("params", "message", "hint"),
    [
        (
            {"compress": "palette"},
            "compress: an untrained network has nothing to regain",
            "give a trained one: the input 'start', or student: same",
        ),
        (
            {"student": "same", "compress": "prune", "least_elements": 10**6},
            "compress: no weight has more than 1000000 elements and is not kept",
            "lower least_elements",
        ),
        ({"patience": 1}, "patience: it needs the input 'validation'", None),
    ],
)
def test_what_cannot_be_distilled_is_told(run_kind, made, teacher, tmp_path, params, message, hint):
    ran = distill(run_kind, made, teacher, tmp_path, **params)

    assert (ran.kind, ran.error, ran.hint) == ("failure", message, hint)


def test_a_teacher_that_is_no_classifier_and_labels_it_has_not_are_told(
    run_kind, made, teacher, tmp_path
):
    picture(tmp_path / "other" / "lost" / "1.png", 1, "lying")
    ran = distill(run_kind, made, teacher, tmp_path, inputs={"images": tmp_path / "other"})
    assert ran.error == "input 'images' has label 'lost', which the teacher has not"

    odd = tmp_path / "odd"
    odd.mkdir()
    text = json.loads((teacher / "model.json").read_text())
    (odd / "model.json").write_text(json.dumps({**text, "output": "probabilities"}))
    (odd / "model.safetensors").write_bytes((teacher / "model.safetensors").read_bytes())
    ran = distill(run_kind, made, odd, tmp_path)
    assert ran.error == "input 'teacher' gives probabilities: a softmax cannot be softened"
