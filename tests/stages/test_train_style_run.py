import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite_pytorch")
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]

KIND = "train/style-transfer"
QUICK = {"image_size": 64, "channels": [4, 8], "blocks": 1, "iterations": 2, "batch_size": 2}


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def style(tmp_path):
    """Red and black stripes."""
    pixels = np.zeros((64, 64, 3))
    pixels[:, (np.arange(64) // 4) % 2 == 0] = (230, 20, 20)
    return write(tmp_path / "style.png", pixels)


@pytest.fixture
def photos(tmp_path):
    """Blobs of soft colours."""
    y, x = np.mgrid[:64, :64]
    for n in range(5):
        random = np.random.default_rng(n)
        middle = random.uniform(16, 48, 2)
        blob = np.exp(-((y - middle[0]) ** 2 + (x - middle[1]) ** 2) / 200)[..., None]
        write(tmp_path / "photos" / f"{n}.png", random.uniform(80, 160, 3) + 90 * blob)
    return tmp_path / "photos"


def train(run_kind, tmp_path, photos, style, **params):
    inputs = {"images": photos, "style": style}
    return run_kind(KIND, tmp_path=tmp_path, inputs=inputs, params={**QUICK, **params})


def test_painted_photographs_come_nearer_to_the_style_and_core_ml_paints_them_alike(
    run_kind, photos, style, tmp_path
):
    pytest.importorskip("coremltools")
    from mlbuild.coreml import load

    ran = train(run_kind, tmp_path, photos, style, iterations=25, learning_rate=0.01)
    assert ran.ok, ran.error
    assert ran.metrics["style_gain"] > 1.1
    assert ran.metrics["style_distance"] < ran.metrics["style_distance_before"]
    assert (ran.metrics["images"], ran.metrics["evaluated"]) == (4, 1)
    [painted] = sorted(ran.outputs["examples"].iterdir())
    with Image.open(painted) as picture:
        assert picture.size == (64, 64)

    converted = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": ran.outputs["model"]}
    )
    assert converted.ok, converted.error
    model = load(converted.outputs["model"])
    [output] = model.description.outputs
    assert (output.kind, output.image.width, output.image.color) == ("image", 64, "RGB")
    found = model.predict({"image": Image.open(photos / "0.png")})["stylized"]
    assert (found.mode, found.size) == ("RGB", (64, 64))

    parity = run_kind(
        "validate/parity",
        tmp_path=tmp_path,
        inputs={
            "reference": ran.outputs["model"],
            "candidate": converted.outputs["model"],
            "samples": photos,
        },
        params={"limit": 2},
    )
    assert parity.ok, parity.error
    assert parity.metrics["psnr_db"] > 40


def test_equal_inputs_give_equal_bytes(run_kind, photos, style, tmp_path, tree):
    first, second = (train(run_kind, tmp_path, photos, style) for _ in range(2))

    assert first.ok, first.error
    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    assert tree(first.outputs["examples"]) == tree(second.outputs["examples"])


def test_a_picture_is_at_no_distance_from_its_own_style():
    from mlbuild.stages.train.style_transfer.perception import (
        content_distance,
        grams,
        roughness,
        style_distance,
    )

    torch.manual_seed(0)
    features = [torch.rand(2, 4, 8, 8) for _ in range(5)]
    turned = [f.flip(3) for f in features]  # other places, the same products
    assert style_distance(turned, grams(features)) == pytest.approx([0, 0], abs=1e-6)
    assert style_distance([2 * f for f in features], grams(features))[0] == pytest.approx(
        9, rel=0.1
    )
    assert content_distance(features, features).tolist() == [0, 0]
    assert content_distance([2 * f for f in features], features).tolist() == [1, 1]
    assert float(roughness(torch.full((1, 3, 4, 4), 9.0))) == 0.0


def test_more_than_one_style_is_told(run_kind, photos, tmp_path):
    ran = train(run_kind, tmp_path, photos, photos)

    assert (ran.kind, ran.error) == ("failure", "style: one picture is wanted, photos holds 5")


def test_one_photograph_is_told(run_kind, photos, style, tmp_path):
    for path in sorted(photos.iterdir())[1:]:
        path.unlink()

    ran = train(run_kind, tmp_path, photos, style)

    assert ran.error == "photos holds one picture: some are learnt, others judge"
