import json

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]

KIND = "train/segmentation"
QUICK = {"image_size": 16, "channels": [8, 16], "epochs": 1, "batch_size": 4}
STILL = {
    "flip": False,
    "rotate": 0.0,
    "zoom": 0.0,
    "shift": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}
COLOURS = ((120, 120, 120), (210, 40, 40), (40, 40, 210))


def scenes(folder, count, start=0, masks="L"):
    """Red (1) and blue (2) squares on grey (0)."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for n in range(count):
        random = np.random.default_rng(start + n)
        mask = np.zeros((20, 20), np.uint8)
        for number in (1, 2):
            y, x = random.integers(0, 12, 2)
            mask[y : y + 8, x : x + 8] = number
        pixels = np.array(COLOURS)[mask] + random.integers(-20, 20, (20, 20, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{n}.png")
        image = Image.fromarray(mask)
        if masks == "RGB":
            image = Image.fromarray(np.array(COLOURS, np.uint8)[mask])
        elif masks == "P":
            image.putpalette([v for colour in COLOURS for v in colour])
        elif masks == "binary":
            image = Image.fromarray((mask > 0).astype(np.uint8) * 255)
        image.save(folder / "masks" / f"{n}.png")
    return folder


def train(run_kind, tmp_path, folder, test=None, **params):
    inputs = {"images": folder / "images", "masks": folder / "masks"}
    if test:
        inputs.update(test_images=test / "images", test_masks=test / "masks")
    return run_kind(KIND, tmp_path=tmp_path, inputs=inputs, params={**QUICK, **params})


def test_squares_are_named_and_core_ml_names_the_same_pixels(run_kind, tmp_path):
    pytest.importorskip("coremltools")
    from mlbuild.coreml import load

    learn, ask = scenes(tmp_path / "learn", 24), scenes(tmp_path / "ask", 8, start=100)
    ran = train(run_kind, tmp_path, learn, ask, epochs=10, learning_rate=0.01, augment=STILL)
    assert ran.ok, ran.error
    assert ran.metrics["miou"] > 0.85
    assert ran.metrics["miou_low"] <= ran.metrics["miou"] <= ran.metrics["miou_high"]
    assert json.loads((ran.outputs["model"] / "model.json").read_text())["labels"] == [
        "background",
        "class 1",
        "class 2",
    ]

    converted = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": ran.outputs["model"]}
    )
    assert converted.ok, converted.error
    model = load(converted.outputs["model"])
    picture = Image.open(ask / "images" / "0.png").resize((16, 16), Image.Resampling.BILINEAR)
    answer = model.predict({"image": picture})
    assert answer["probabilities"].shape == (1, 3, 16, 16)
    assert answer["probabilities"].sum(axis=1) == pytest.approx(np.ones((1, 16, 16)), abs=5e-3)
    assert answer["classes"].dtype.kind == "i"
    mask = Image.open(ask / "masks" / "0.png").resize((16, 16), Image.Resampling.NEAREST)
    assert (answer["classes"][0] == np.asarray(mask)).mean() > 0.9

    parity = run_kind(
        "validate/parity",
        tmp_path=tmp_path,
        inputs={
            "reference": ran.outputs["model"],
            "candidate": converted.outputs["model"],
            "samples": ask / "images",
        },
    )
    assert parity.ok, parity.error
    assert parity.metrics["psnr_db"] > 40
    assert parity.metrics["agreement.classes"]["n"] == 8 * 16 * 16
    assert parity.metrics["agreement.classes"]["value"] > 0.99


def test_masks_in_grey_palette_and_colour_are_read_alike(run_kind, tmp_path):
    folders = {mode: scenes(tmp_path / mode, 5, masks=mode) for mode in ("L", "P", "RGB")}
    colours = dict(zip(("ground", "red", "blue"), map(list, COLOURS), strict=True))
    named = {"labels": ["ground", "red", "blue"]}

    grey = train(run_kind, tmp_path, folders["L"], **named)
    palette = train(run_kind, tmp_path, folders["P"], **named)
    colour = train(run_kind, tmp_path, folders["RGB"], colours=colours)

    assert grey.ok, grey.error
    for ran in (palette, colour):
        assert ran.ok, ran.error
        assert ran.metrics == grey.metrics


def test_a_mask_of_black_and_white_is_background_and_object(run_kind, tmp_path):
    ran = train(run_kind, tmp_path, scenes(tmp_path / "s", 5, masks="binary"))

    assert ran.ok, ran.error
    assert json.loads((ran.outputs["model"] / "model.json").read_text())["labels"] == [
        "background",
        "class 1",
    ]
    assert set(ran.json("report")["iou"]) == {"background", "class 1"}


def test_intersection_over_union_of_hand_made_maps():
    from mlbuild.stages.train.segmentation.judge import count, iou, mean_iou

    truth = np.array([[[0, 0, 1, 255], [0, 1, 1, 255]]])
    said = np.array([[[0, 1, 1, 1], [0, 1, 0, 2]]])
    confusion = count(said, truth, 3).total

    # background: 2 right, 1 missed, 1 too many; class 1 the same; the ignored pixels count nothing
    assert confusion.tolist() == [[2, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert iou(confusion)[:2] == pytest.approx([0.5, 0.5])
    assert np.isnan(iou(confusion)[2])
    assert mean_iou(confusion) == 0.5


def test_a_mask_moves_with_its_picture():
    from mlbuild.stages.train.segmentation.learn import moved as move

    masks = torch.zeros(6, 16, 16)
    masks[:, 3:9, 5:12] = 1
    pixels = masks[:, None] * 200
    options = {**STILL, "flip": True, "rotate": 30.0, "zoom": 0.2, "shift": 0.2}
    generator = torch.Generator().manual_seed(0)

    moved, masks = move(pixels, masks, options, generator, torch.zeros(1, 1, 1, 1))

    known = masks != 255
    assert (~known).any()  # what came from outside counts for nothing
    same = (moved[:, 0] > 100) == (masks == 1)
    assert same[known].float().mean() > 0.95


def test_equal_inputs_give_equal_bytes(run_kind, tmp_path, tree):
    folder = scenes(tmp_path / "s", 6)
    first, second = (
        train(run_kind, tmp_path, folder, patience=1, class_weight="balanced") for _ in range(2)
    )

    assert first.ok, first.error
    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    assert first.text("report") == second.text("report")


def test_a_pretrained_backbone_is_learnt_further_and_converted(run_kind, tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch")
    from mlbuild.stages._shared.torch_model.model_file import load as load_torch

    folder = scenes(tmp_path / "s", 4)
    options = {"backbone": "efficientnet-lite0", "image_size": 64}
    free = train(run_kind, tmp_path, folder, **options)
    still = train(run_kind, tmp_path, folder, **options, train_backbone=False)

    assert free.ok, free.error
    assert still.ok, still.error
    nets = [load_torch(ran.outputs["model"]).net for ran in (free, still)]
    first, second = (net.backbone.first_convolution().weight for net in nets)
    assert not torch.equal(first, second)  # only the free one has moved
    with torch.no_grad():
        probabilities, classes = nets[0](torch.zeros(1, 3, 64, 64))
    assert probabilities.shape == (1, 3, 64, 64)
    assert classes.shape == (1, 64, 64)


def lost(folder):
    (folder / "masks" / "1.png").unlink()


def other_size(folder):
    Image.new("L", (5, 7)).save(folder / "masks" / "0.png")


def in_colour(folder):
    Image.new("RGB", (20, 20)).save(folder / "masks" / "0.png")


def ignored(folder):
    for file in (folder / "masks").iterdir():
        Image.fromarray(np.tile(np.uint8([[255, 255]]), (20, 10))).save(file)
    Image.fromarray(np.full((20, 20), 7, np.uint8)).save(folder / "masks" / "0.png")


def empty(folder):
    for file in (folder / "images").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "params", "message"),
    [
        (lost, {}, "1 of 3 pictures have no mask: 1"),
        (other_size, {}, "0: the picture is 20 by 20, its mask 5 by 7"),
        (in_colour, {}, "mask 0.png is in colour (RGB)"),
        (empty, {}, "images holds no pictures"),
        (ignored, {"ignore": 7}, "no mask names any pixel: all numbers are the one to ignore"),
        (
            lambda folder: None,
            {"labels": ["one", "two"]},
            "a mask holds the number 2, but there are 2 labels",
        ),
        (
            lambda folder: None,
            {"colours": {"a": [1, 2, 3], "b": [4, 5, 6]}, "ignore": None},
            "mask 0.png holds the colour [0, 0, 0], which has no label",
        ),
    ],
)
def test_masks_that_cannot_be_learnt_are_told(run_kind, tmp_path, spoil, params, message):
    folder = scenes(tmp_path / "s", 3)
    spoil(folder)

    ran = train(run_kind, tmp_path, folder, **params)

    assert (ran.kind, ran.error) == ("failure", message)
