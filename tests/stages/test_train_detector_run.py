import json

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

KIND = "train/object-detector"
QUICK = {"image_size": 32, "channels": [8, 16], "levels": 1, "neck": 16, "epochs": 1}
STILL = {
    "flip": False,
    "zoom": 0.0,
    "shift": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}
RED, BLUE = (220, 30, 30), (30, 30, 220)


def scene(path, seed, size=(40, 40)):
    """A red or blue square on noise; gives its annotation."""
    random = np.random.default_rng(seed)
    pixels = random.integers(90, 130, (size[1], size[0], 3), dtype=np.uint8)
    side = int(random.integers(12, 20))
    left, top = (int(random.integers(0, s - side)) for s in size)
    label, colour = (("red", RED), ("blue", BLUE))[seed % 2]
    pixels[top : top + side, left : left + side] = colour
    Image.fromarray(pixels).save(path)
    middle = {"x": left + side / 2, "y": top + side / 2, "width": side, "height": side}
    return {"image": path.name, "annotations": [{"label": label, "coordinates": middle}]}


def scenes(folder, count, start=0, **options):
    folder.mkdir()
    entries = [scene(folder / f"{n}.png", start + n, **options) for n in range(count)]
    (folder / "annotations.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def squares(tmp_path):
    return scenes(tmp_path / "squares", 8)


def train(run_kind, tmp_path, images, **params):
    others = params.pop("inputs", {})
    return run_kind(
        KIND, tmp_path=tmp_path, inputs={"images": images, **others}, params={**QUICK, **params}
    )


def test_squares_are_found_and_the_core_ml_model_finds_them_too(run_kind, tmp_path):
    pytest.importorskip("coremltools")
    from mlbuild.coreml import load

    ran = train(
        run_kind,
        tmp_path,
        scenes(tmp_path / "learn", 48),
        inputs={"test": scenes(tmp_path / "ask", 16, start=1000)},
        epochs=20,
        batch_size=8,
        learning_rate=0.01,
        augment={**STILL, "flip": True},
    )

    assert ran.ok, ran.error
    assert ran.metrics["map50"] >= 0.8
    assert ran.metrics["map50_low"] <= ran.metrics["map50"] <= ran.metrics["map50_high"]
    assert ran.metrics["recall"]["n"] == 16
    assert ran.metrics["map"] < ran.metrics["map50"]
    assert ran.json("report")["evaluated_on"] == "the test input"
    assert {row["label"] for row in ran.plots["precision_recall"]} == {"red", "blue"}

    converted = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": ran.outputs["model"]}
    )
    assert converted.ok, converted.error
    model = load(converted.outputs["model"])
    names = [f.name for f in model.description.inputs]
    assert names == ["image", "iouThreshold", "confidenceThreshold"]
    right = 0
    for entry in json.loads((tmp_path / "ask" / "annotations.json").read_text()):
        picture = Image.open(tmp_path / "ask" / entry["image"]).resize((32, 32))
        answer = model.predict({"image": picture})
        confidence, coordinates = answer["confidence"], answer["coordinates"]
        assert confidence.shape[1:] == (2,)
        assert coordinates.shape == (len(confidence), 4)
        if not len(confidence):
            continue
        [real] = entry["annotations"]
        wanted = [real["coordinates"][k] / 40 for k in ("x", "y", "width", "height")]
        close = np.abs(coordinates[0] - wanted).max() < 0.12
        right += bool(close and confidence[0].argmax() == ["blue", "red"].index(real["label"]))
    assert right >= 12

    everything = model.predict({"image": picture, "confidenceThreshold": 0.0, "iouThreshold": 1.0})
    assert len(everything["confidence"]) == 64  # all places of the grid of 8 by 8
    none = model.predict({"image": picture, "confidenceThreshold": 1.0})
    assert none["confidence"].shape == (0, 2)

    parity = run_kind(
        "validate/parity",
        tmp_path=tmp_path,
        inputs={
            "reference": ran.outputs["model"],
            "candidate": converted.outputs["model"],
            "samples": tmp_path / "ask",
        },
        params={"limit": 3},
    )
    assert parity.ok, parity.error
    assert parity.metrics["psnr_db"] > 60
    assert json.loads(parity.text("report"))["expected"]["raw_coordinates"]["psnr_db"] > 40

    palette = run_kind(
        "quantize/palettize",
        tmp_path=tmp_path,
        inputs={"model": converted.outputs["model"]},
        params={"bits": 8, "weight_threshold": 500},
    )
    assert palette.ok, palette.error
    assert palette.metrics["size_mb"] < converted.metrics["size_mb"]
    judged = run_kind(
        "validate/detection",
        tmp_path=tmp_path,
        inputs={
            "model": palette.outputs["model"],
            "reference": ran.outputs["model"],
            "samples": tmp_path / "ask",
        },
    )
    assert judged.ok, judged.error
    assert judged.metrics["reference_map50"] == pytest.approx(ran.metrics["map50"])
    assert judged.metrics["map50"] == pytest.approx(ran.metrics["map50"], abs=0.05)
    assert judged.metrics["drop"] == pytest.approx(
        judged.metrics["reference_map50"] - judged.metrics["map50"]
    )
    swift = run_kind(
        "package/swift",
        tmp_path=tmp_path,
        inputs={"model": palette.outputs["model"]},
    )
    assert swift.ok, swift.error
    [wrapper] = (swift.outputs["package"] / "Sources").rglob("*.swift")
    text = wrapper.read_text()
    assert 'objects: [String] = [\n        "blue",\n        "red",\n    ]' in text
    assert "func detect(" in text
    assert "classify" not in text

    refused = run_kind(
        "validate/detection",
        tmp_path=tmp_path,
        inputs={"model": ran.outputs["model"], "samples": tmp_path / "ask"},
    )
    assert refused.kind == "failure"


def test_equal_inputs_give_equal_bytes(run_kind, squares, tree, tmp_path):
    first, second = (train(run_kind, tmp_path, squares) for _ in range(2))

    assert first.ok, first.error
    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    assert first.text("report") == second.text("report")
    assert first.metrics == second.metrics


def test_every_format_of_annotations_is_read_alike(run_kind, squares, tree, tmp_path):
    entries = json.loads((squares / "annotations.json").read_text())
    rows = [(e["image"], e["annotations"][0]) for e in entries]
    corners, centres, coco = tmp_path / "corners.csv", tmp_path / "centres.csv", tmp_path / "c.json"
    with corners.open("w") as one, centres.open("w") as other:
        one.write("name,label,xMin,yMin,xMax,yMax\n")
        other.write("path,label,x,y,width,height\n")
        for name, a in rows:
            x, y, w, h = (a["coordinates"][k] for k in ("x", "y", "width", "height"))
            one.write(f"{name},{a['label']},{x - w / 2},{y - h / 2},{x + w / 2},{y + h / 2}\n")
            other.write(f"{name},{a['label']},{x},{y},{w},{h}\n")
    boxes = []
    for n, (_, a) in enumerate(rows):
        x, y, w, h = (a["coordinates"][k] for k in ("x", "y", "width", "height"))
        kind = ["red", "blue"].index(a["label"])
        boxes.append({"image_id": n, "category_id": kind, "bbox": [x - w / 2, y - h / 2, w, h]})
    coco.write_text(
        json.dumps(
            {
                "images": [{"id": n, "file_name": name} for n, (name, _) in enumerate(rows)],
                "categories": [{"id": 0, "name": "red"}, {"id": 1, "name": "blue"}],
                "annotations": boxes,
            }
        )
    )

    wanted = train(run_kind, tmp_path, squares)
    assert wanted.ok, wanted.error
    for file in (corners, centres, coco):
        ran = train(run_kind, tmp_path, squares, inputs={"annotations": file})
        assert ran.ok, ran.error
        assert tree(ran.outputs["model"]) == tree(wanted.outputs["model"])


def test_boxes_follow_their_picture_onto_a_padded_square():
    from mlbuild.stages._shared.detection.annotations import Annotated, Box
    from mlbuild.stages._shared.detection.examples import _boxes
    from mlbuild.stages._shared.torch_model.preprocessing import Preprocessing

    how = Preprocessing(32, 32, resize="pad")
    item = Annotated("wide", None, [Box("a", 50, 25, 20, 10), Box("gone", 1, 1, 1, 1)])
    classes, boxes = _boxes(item, (100, 50), ("a",), how, 0.0)

    # 100 by 50 becomes 32 by 16, eight rows below the top
    assert classes.tolist() == [0]
    assert boxes[0] == pytest.approx([40 * 0.32, 20 * 0.32 + 8, 60 * 0.32, 30 * 0.32 + 8])


def test_a_moved_box_still_holds_its_object():
    from mlbuild.stages.train.object_detector.move import moved

    batch = torch.zeros(8, 1, 32, 32)
    batch[:, :, 6:14, 18:28] = 255.0
    boxes = [torch.tensor([[18.0, 6.0, 28.0, 14.0]]) for _ in range(8)]
    options = {**STILL, "flip": True, "zoom": 0.3, "shift": 0.1}
    generator = torch.Generator().manual_seed(0)

    pictures, _, found = moved(
        batch, [torch.zeros(1, dtype=torch.int64)] * 8, boxes, options, generator, torch.zeros(1)
    )

    for picture, [box] in zip(pictures[:, 0], found, strict=True):
        y, x = torch.nonzero(picture > 127, as_tuple=True)
        seen = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1])
        assert (seen - box).abs().max() <= 1.0


def test_each_object_has_a_place_that_answers_and_the_smaller_one_goes_first():
    from mlbuild.stages._shared.torch_model.architectures import build
    from mlbuild.stages.train.object_detector.loss import answering

    net = build("detector", {"height": 64, "width": 64, "channels": [4, 4, 4]}, 2)
    boxes = torch.tensor([[0.0, 0, 64, 64], [29.0, 29, 37, 37], [50.0, 50, 51, 51]])
    owner = answering(net, boxes)

    assert set(owner.tolist()) == {-1, 0, 1, 2}
    assert (net.places[owner == 0][:, 2] == 8).all()  # the large one at the coarse grid
    assert (net.places[owner == 1][:, 2] == 4).all()
    assert answering(net, torch.zeros(0, 4)).max() == -1


def test_a_pretrained_backbone_is_learnt_further(run_kind, squares, tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch")
    ran = train(run_kind, tmp_path, squares, backbone="efficientnet-lite0", image_size=64, levels=2)

    assert ran.ok, ran.error
    assert json.loads((ran.outputs["model"] / "model.json").read_text())["architecture"] == {
        "name": "detector-lite0",
        "arguments": {"height": 64, "width": 64, "levels": 2, "neck": 16},
    }


def broken(folder, change):
    entries = json.loads((folder / "annotations.json").read_text())
    change(entries)
    (folder / "annotations.json").write_text(json.dumps(entries))


def no_annotations(folder):
    (folder / "annotations.json").unlink()


def outside(folder):
    broken(folder, lambda e: e[0]["annotations"][0]["coordinates"].update(x=90))


def flat(folder):
    broken(folder, lambda e: e[0]["annotations"][0]["coordinates"].update(width=0))


def no_label(folder):
    broken(folder, lambda e: e[1]["annotations"][0].pop("label"))


def no_picture(folder):
    broken(folder, lambda e: e[0].pop("image"))


def no_box(folder):
    broken(folder, lambda e: [entry.update(annotations=[]) for entry in e])


def not_json(folder):
    (folder / "annotations.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_annotations, "squares holds 8 pictures and no annotations"),
        (outside, "0.png: a box lies outside of the picture of 40 by 40: "),
        (flat, "annotations.json, entry 0: width and height must be above 0, got [0.0, "),
        (no_label, "annotations.json, entry 1: an annotation needs label and coordinates"),
        (no_picture, "annotations.json, entry 0: no key 'image' with the picture's name"),
        (no_box, "annotations.json names no box"),
        (not_json, "annotations.json cannot be read: Expecting property name"),
    ],
)
def test_wrong_annotations_are_told(run_kind, squares, tmp_path, spoil, message):
    spoil(squares)

    ran = train(run_kind, tmp_path, squares)

    assert ran.kind == "failure"
    assert ran.error.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,x,y\na,b,1,1\n", "table a.csv has no column 'xmin'"),
        (
            "path,label,x,y,width,height\na.png,b,1,one,1,1\n",
            "table a.csv, line 2: y is no number: 'one'",
        ),
        ("label,x,y,width,height\nb,1,1,1,1\n", "table a.csv has no column 'path'"),
    ],
)
def test_a_wrong_table_is_told(run_kind, squares, tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)

    ran = train(run_kind, tmp_path, squares, inputs={"annotations": tmp_path / "a.csv"})

    assert (ran.kind, ran.error) == ("failure", message)


def test_labels_that_nothing_has_are_told(run_kind, squares, tmp_path):
    ran = train(run_kind, tmp_path, squares, labels=["green"])

    assert (ran.error, ran.hint) == (
        "labels: no box is called 'green'",
        "they are blue, red",
    )


def test_scenes_know_what_was_put_into_them(run_kind, tmp_path, tree):
    objects = tmp_path / "objects"
    for label, shape in (("square", (8, 8)), ("bar", (10, 4))):
        (objects / label).mkdir(parents=True)
        array = np.zeros((12, 12), np.uint8)
        array[1 : 1 + shape[0], 1 : 1 + shape[1]] = 255
        Image.fromarray(array).save(objects / label / "0.png")
    params = {"count": 6, "width": 48, "height": 40, "scale": [0.2, 0.4], "overlap": 0.0}

    first, second = (
        run_kind("data/scenes", tmp_path=tmp_path, inputs={"objects": objects}, params=params)
        for _ in range(2)
    )

    assert first.ok, first.error
    assert tree(first.outputs["scenes"]) == tree(second.outputs["scenes"])
    entries = json.loads((first.outputs["scenes"] / "annotations.json").read_text())
    assert sum(len(e["annotations"]) for e in entries) == first.metrics["boxes"] >= 6
    for entry in entries:
        mask = np.asarray(Image.open(first.outputs["masks"] / entry["image"]))
        assert mask.shape == (40, 48)
        for a in entry["annotations"]:
            x, y, w, h = (a["coordinates"][k] for k in ("x", "y", "width", "height"))
            part = mask[round(y - h / 2) : round(y + h / 2), round(x - w / 2) : round(x + w / 2)]
            wanted = ["bar", "square"].index(a["label"]) + 1
            assert (part == wanted).mean() > 0.8  # a rectangle fills its box
    names = json.loads((first.outputs["masks"] / "classes.json").read_text())
    assert names == ["background", "bar", "square"]
