import shutil

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
from PIL import Image  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

KIND = "validate/accuracy"


@pytest.fixture
def measure(run_kind, tmp_path):
    def run(model, samples, reference=None, **params):
        inputs = {"model": model, "samples": samples}
        if reference is not None:
            inputs["reference"] = reference
        return run_kind(KIND, params=params, inputs=inputs, tmp_path=tmp_path)

    return run


@pytest.fixture
def sorted_photos(measure, package, photos, tmp_path):
    """The pictures in the folders that the model itself would put them into."""
    rows = measure(package, photos).json("report")["by_sample"]
    folder = tmp_path / "sorted"
    for number, row in enumerate(rows):
        (folder / row["answer"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / row["sample"], folder / row["answer"] / f"{number}.png")
    return folder


def test_what_the_model_says_is_counted(measure, package, sorted_photos):
    ran = measure(package, sorted_photos, topk=2)

    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["value"] == 1
    assert ran.metrics["accuracy"]["n"] == 12
    assert ran.metrics["accuracy"]["low"] == pytest.approx(0.757, abs=0.001)  # Wilson, 12 of 12
    assert ran.metrics["accuracy_topk"]["value"] == 1
    assert ran.metrics["f1_macro"] == 1
    assert ran.metrics["size_mb"] > 0
    assert "drop" not in ran.metrics
    assert len(ran.plots["confusion"]) == 12


def test_one_wrong_label_costs_one_answer(measure, package, sorted_photos):
    first, second = sorted(p for p in sorted_photos.iterdir())[:2]
    moved = next(first.iterdir())
    moved.rename(second / "moved.png")
    ran = measure(package, sorted_photos)

    assert ran.metrics["accuracy"]["value"] == pytest.approx(11 / 12)
    assert ran.metrics[f"precision.{first.name}"]["value"] < 1
    assert ran.metrics[f"recall.{second.name}"]["value"] < 1
    assert ran.text("page").count("data:image/jpeg;base64,") == 1
    assert "moved.png" in ran.text("page")


def test_a_reference_gives_drop_and_agreement(
    measure, package, crushed, torch_model, sorted_photos
):
    same = measure(package, sorted_photos, torch_model).metrics
    worse = measure(crushed, sorted_photos, torch_model).metrics

    assert same["drop"] == 0
    assert same["agreement_top1"]["value"] == 1
    assert same["reference_accuracy"]["value"] == 1
    assert worse["drop"] == pytest.approx(1 - worse["accuracy"]["value"])
    assert worse["drop"] == pytest.approx(1 - worse["agreement_top1"]["value"])


def test_labels_are_mapped_and_unknown_ones_told(measure, package, photos, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "renamed")
    (folder / "elm").rename(folder / "Ulmus")
    unknown = measure(package, folder)
    mapped = measure(package, folder, labels={"Ulmus": "elm"})
    skipped = measure(package, folder, unknown="skip")
    wrong = measure(package, folder, labels={"Ulmuss": "elm"})

    assert unknown.error == "the model does not know 1 of the labels: Ulmus"
    assert unknown.hint == (
        "map them with `labels`, or set `unknown: skip`; it knows ash, beech, cedar, elm"
    )
    assert mapped.metrics["samples"] == 12
    assert skipped.metrics["samples"] == 9
    assert "the model does not know them: Ulmus" in skipped.log
    assert wrong.error == "labels: the samples have no 'Ulmuss'"


def test_a_flat_folder_is_told(measure, package, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    (tmp_path / "flat").mkdir()
    (tmp_path / "one.png").rename(tmp_path / "flat" / "one.png")

    assert measure(package, tmp_path / "flat").error == (
        "flat holds 1 pictures but no folder for each class"
    )


def test_a_corrupt_picture_is_fatal_or_listed(measure, package, photos, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "some")
    (folder / "ash" / "bad.jpg").write_bytes(b"no picture")

    assert measure(package, folder).error == (
        "ash/bad.jpg is no readable picture: not a picture in a known format"
    )
    listed = measure(package, folder, unreadable="skip")
    assert listed.json("report")["unreadable"] == ["ash/bad.jpg"]


def test_equal_inputs_give_equal_reports(measure, package, photos):
    first, again = measure(package, photos), measure(package, photos)

    assert first.text("report") == again.text("report")
    assert first.text("page") == again.text("page")
