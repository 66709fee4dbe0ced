import csv
import json
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite_pytorch")
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

pytestmark = pytest.mark.toolchain

KIND = "train/image-classifier"
DOGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "dogs"
QUICK = {"backbone": "small-cnn", "image_size": 16, "channels": [4, 8], "epochs": 2}
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


def picture(path, seed, bright, size=(20, 24), **options):
    """Noise around a brightness, so that two classes can be told apart."""
    random = np.random.default_rng(seed)
    values = random.integers(-40, 40, (*size, 3)) + bright
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for label, bright in (("dark", 60), ("light", 190)):
        for n in range(6):
            picture(folder / label / f"{n}.png", n, bright)
    return folder


def labels_of(ran):
    return json.loads((ran.outputs["model"] / "model.json").read_text())["labels"]


def test_a_small_network_learns_from_scratch(run_kind, photos, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"images": photos},
        params={**QUICK, "epochs": 12, "batch_size": 4, "augment": STILL, "learning_rate": 0.02},
    )

    assert ran.ok, ran.error
    assert labels_of(ran) == ["dark", "light"]
    assert ran.metrics["accuracy"]["value"] == 1.0
    assert ran.metrics["accuracy"]["n"] == 2
    assert ran.metrics["precision.dark"]["value"] == 1.0
    assert ran.metrics["images"] == 12
    assert [row["epoch"] for row in ran.plots["training"]] == list(range(1, 13))
    assert ran.plots["confusion"][0] == {"actual": "dark", "predicted": "dark"}


def test_frozen_features_and_a_linear_head(run_kind, photos, tmp_path):
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"images": photos}, params={"image_size": 64, "folds": 3}
    )

    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["n"] == 12
    assert ran.metrics["accuracy"]["value"] >= 0.75
    assert ran.metrics["strength"] in (0.01, 0.03, 0.1, 0.3, 1.0)
    assert ran.json("report")["evaluated_on"] == "3 folds"


def test_equal_inputs_give_equal_bytes(run_kind, photos, tree, tmp_path):
    params = {**QUICK, "epochs": 1, "patience": 1, "evaluate": "kfold", "folds": 2}
    first, second = (
        run_kind(KIND, tmp_path=tmp_path, inputs={"images": photos}, params=params)
        for _ in range(2)
    )

    assert first.ok, first.error
    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    assert first.text("report") == second.text("report")
    assert first.metrics == second.metrics


def test_the_saved_network_says_what_the_judged_one_said(run_kind, photos, tmp_path):
    """Convert reads what training wrote: same features, same head, folded scaling."""
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"images": photos, "test": photos},
        params={"image_size": 64, "head": "unit-linear", "views": ["center"]},
    )

    assert ran.ok, ran.error
    assert ran.json("report")["evaluated_on"] == "the test input"
    from safetensors.torch import load_file

    weights = load_file(str(ran.outputs["model"] / "model.safetensors"))
    assert weights["head.linear.weight"].shape == (2, 1280)
    assert torch.isfinite(weights["head.linear.weight"]).all()


def test_the_last_blocks_are_tuned_and_the_first_are_left_alone(run_kind, photos, tmp_path):
    from safetensors.torch import load_file

    common = {"image_size": 64, "views": ["center"], "strengths": [0.1], "refit": False}
    frozen, tuned = (
        run_kind(
            KIND,
            tmp_path=tmp_path,
            inputs={"images": photos},
            params={**common, "evaluate": "holdout", "epochs": 1, "fine_tune_blocks": blocks},
        )
        for blocks in (0, 1)
    )

    assert tuned.ok, tuned.error
    one, two = (load_file(str(r.outputs["model"] / "model.safetensors")) for r in (frozen, tuned))
    changed = {name for name in one if not torch.equal(one[name], two[name])}
    assert changed == {
        "body._conv_head.weight",
        "body._bn1.weight",
        "body._bn1.bias",
        "head.weight",
        "head.bias",
    }


def test_early_stopping_keeps_the_best_epoch(run_kind, photos, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"images": photos, "validation": photos, "test": photos},
        params={**QUICK, "epochs": 6, "patience": 1, "learning_rate": 5.0, "optimizer": "sgd"},
    )

    assert ran.ok, ran.error
    curve = ran.json("report")["curve"]
    best = min(curve, key=lambda row: row["validation_loss"])
    assert ran.metrics["epochs"] == best["epoch"]


def test_a_table_is_read_like_a_folder(run_kind, photos, tree, tmp_path):
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "kind"])
        for path in sorted(photos.rglob("*.png"), reverse=True):
            writer.writerow([path.relative_to(tmp_path), path.parent.name])

    by_folder, by_table = (
        run_kind(
            KIND,
            tmp_path=tmp_path,
            inputs={"images": source},
            params={**QUICK, "path_column": "file", "label_column": "kind"},
        )
        for source in (photos, table)
    )

    assert by_table.ok, by_table.error
    assert tree(by_table.outputs["model"]) == tree(by_folder.outputs["model"])


def test_gray_pictures_and_balanced_classes(run_kind, photos, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"images": photos},
        params={**QUICK, "grayscale": True, "class_weight": "balanced", "schedule": "step"},
    )

    assert ran.ok, ran.error
    description = json.loads((ran.outputs["model"] / "model.json").read_text())
    assert description["preprocessing"]["colour"] == "GRAY"
    assert description["architecture"]["arguments"]["in_channels"] == 1


def truncate(photos):
    path = picture(photos / "dark" / "cut.jpg", 9, 60, size=(200, 200))
    path.write_bytes(path.read_bytes()[:900])


def test_a_damaged_picture_is_listed_and_left_out(run_kind, photos, tmp_path):
    truncate(photos)
    (photos / "light" / "words.png").write_text("not a picture")

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"images": photos}, params=QUICK)

    assert ran.ok, ran.error
    assert ran.metrics["unreadable"] == 2
    assert ran.metrics["images"] == 12
    listed = ran.json("report")["unreadable"]["images"]
    assert [row["file"] for row in listed] == ["dark/cut.jpg", "light/words.png"]
    assert listed[1]["reason"] == "not a picture in a known format"


def test_a_damaged_picture_is_fatal_where_that_is_asked(run_kind, photos, tmp_path):
    (photos / "dark" / "words.png").write_text("not a picture")

    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"images": photos}, params={**QUICK, "unreadable": "fail"}
    )

    assert (ran.kind, ran.error, ran.hint) == (
        "failure",
        "1 of 13 files cannot be read: dark/words.png: not a picture in a known format",
        "repair or remove them, or set unreadable: skip",
    )


def empty(photos):
    for path in photos.rglob("*.png"):
        path.unlink()


def one_class(photos):
    for path in (photos / "light").iterdir():
        path.unlink()


def few(photos):
    for n in range(2, 6):
        (photos / "light" / f"{n}.png").unlink()


def flat(photos):
    for path in list(photos.rglob("*.png")):
        path.rename(photos / f"{path.parent.name}{path.name}")


def all_damaged(photos):
    for path in photos.rglob("*.png"):
        path.write_bytes(b"x")


def gone(photos):
    import shutil

    shutil.rmtree(photos)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty, "photos holds no pictures"),
        (one_class, "there is one class only: 'dark'"),
        (few, "5-fold evaluation needs at least 5 different pictures of each class: 'light' has 2"),
        (flat, "photos holds 12 pictures but no folder for each class"),
        (all_damaged, "no picture of photos can be read: dark/0.png: not a picture in a known"),
        (gone, "photos does not exist"),
    ],
)
def test_data_that_cannot_be_learnt_is_told(run_kind, photos, tmp_path, spoil, message):
    spoil(photos)

    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"images": photos}, params={**QUICK, "evaluate": "kfold"}
    )

    assert ran.kind == "failure"
    assert ran.error.startswith(message)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_told(run_kind, photos, tmp_path):
    (photos / "dark").chmod(0)
    try:
        ran = run_kind(KIND, tmp_path=tmp_path, inputs={"images": photos}, params=QUICK)
    finally:
        (photos / "dark").chmod(0o755)

    assert (ran.kind, ran.error) == ("failure", "folder dark cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "table t.csv is empty: a header line and rows are expected"),
        ("path,label\n", "table t.csv is empty: a header line and rows are expected"),
        ("file,label\na.png,x\n", "table t.csv has no column 'path'"),
        ("path,label\na.png\n", "table t.csv, line 2: not 2 cells"),
        ("path,label\na.png,\n", "table t.csv, line 2: path or label is empty"),
        (
            "path,label\na.png,x\n",
            "no picture of t.csv can be read: a.png: the file does not exist",
        ),
    ],
)
def test_a_wrong_table_is_told(run_kind, tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"images": tmp_path / "t.csv"}, params=QUICK)

    assert (ran.kind, ran.error) == ("failure", message)


def test_a_label_that_was_never_learnt_is_told(run_kind, photos, tmp_path):
    picture(tmp_path / "test" / "green" / "1.png", 1, 100)

    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"images": photos, "test": tmp_path / "test"}, params=QUICK
    )

    assert ran.error == "input 'test' has label 'green', which 'images' has not"


def test_identical_files_are_listed_and_never_face_each_other(run_kind, photos, tmp_path):
    for n in range(5):
        (photos / "dark" / f"copy{n}.png").write_bytes((photos / "dark" / "0.png").read_bytes())

    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"images": photos}, params={**QUICK, "holdout": 0.5}
    )

    [same] = ran.json("report")["duplicates"]
    assert same == ["dark/0.png", *(f"dark/copy{n}.png" for n in range(5))]


def test_pictures_stand_upright_whatever_their_format(run_kind, tmp_path):
    """Left half dark, right half light, saved lying on its side with the tag that says so."""
    folder = tmp_path / "photos"
    half = np.zeros((16, 16, 3), np.uint8)
    half[:, 8:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after turning by 90 degrees clockwise
    for label, array in (("across", half), ("down", half.transpose(1, 0, 2))):
        for n, suffix in enumerate(("jpg", "png", "webp", "tiff", "bmp", "gif")):
            (folder / label).mkdir(parents=True, exist_ok=True)
            noisy = (array // 2 + 10 * n).astype(np.uint8)
            if suffix == "jpg":
                turned = Image.fromarray(np.rot90(noisy).copy())
                turned.save(folder / label / f"{n}.jpg", exif=exif, quality=95)
            else:
                Image.fromarray(noisy).save(folder / label / f"{n}.{suffix}")

    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"images": folder, "test": folder},
        params={**QUICK, "epochs": 30, "batch_size": 4, "augment": STILL, "learning_rate": 0.02},
    )

    assert ran.ok, ran.error
    assert ran.metrics["unreadable"] == 0
    assert ran.metrics["accuracy"]["value"] == 1.0


def test_a_learning_rate_that_is_too_high_is_told(run_kind, photos, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"images": photos},
        params={**QUICK, "epochs": 40, "optimizer": "sgd", "learning_rate": 1e30, "batch_size": 2},
    )

    assert (ran.kind, ran.error, ran.hint) == (
        "failure",
        "training diverged: the loss is not a number",
        "lower learning_rate",
    )


@pytest.mark.slow
@pytest.mark.skipif(not DOGS.is_dir(), reason="the photographs are not here")
def test_dogs_are_told_apart_in_five_folds(run_kind, tmp_path):
    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"images": DOGS}, params={"seed": 7})

    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["n"] == 175
    assert ran.metrics["accuracy"]["value"] >= 0.90


@pytest.mark.parametrize(
    ("evaluate", "roles", "message"),
    [
        ("test", ["images"], "evaluate: test, but the input 'test' is missing"),
        ("kfold", ["images", "test"], "evaluate: kfold, but the input 'test' is not used"),
    ],
)
def test_the_test_input_and_the_way_to_evaluate_must_agree(
    run_kind, photos, tmp_path, evaluate, roles, message
):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs=dict.fromkeys(roles, photos),
        params={**QUICK, "evaluate": evaluate},
    )

    assert (ran.kind, ran.error) == ("failure", message)
