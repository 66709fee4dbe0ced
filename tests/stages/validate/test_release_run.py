import csv
import json
import shutil

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

KIND = "validate/release"


@pytest.fixture
def against(run_kind, tmp_path):
    def run(model, released, samples, reference=None, **params):
        inputs = {"model": model, "released": released, "samples": samples}
        if reference is not None:
            inputs["reference"] = reference
        return run_kind(KIND, params=params, inputs=inputs, tmp_path=tmp_path)

    return run


@pytest.fixture
def sorted_photos(run_kind, package, photos, tmp_path):
    """The pictures in the folders that the model itself would put them into."""
    inputs = {"model": package, "samples": photos}
    rows = run_kind("validate/accuracy", inputs=inputs, tmp_path=tmp_path).json("report")
    folder = tmp_path / "sorted"
    for number, row in enumerate(rows["by_sample"]):
        (folder / row["answer"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / row["sample"], folder / row["answer"] / f"{number}.png")
    return folder


@pytest.fixture
def relabelled(run_kind, torch_model, tmp_path):
    """The same network with other names for what it tells."""

    def convert(labels):
        folder = shutil.copytree(torch_model, tmp_path / "relabelled")
        description = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**description, "labels": labels}))
        ran = run_kind("convert/coreml", inputs={"model": folder}, tmp_path=tmp_path)
        assert ran.ok, ran.error
        return ran.outputs["model"]

    return convert


def test_a_model_equal_byte_for_byte_has_lost_nothing_for_certain(against, package, sorted_photos):
    ran = against(package, package, sorted_photos)

    assert ran.ok, ran.error
    assert ran.metrics["drop"] == {"value": 0, "low": 0, "high": 0, "n": 12}
    assert ran.metrics["mcnemar_p"] == 1
    assert ran.metrics["worse"]["value"] == ran.metrics["better"]["value"] == 0
    assert ran.metrics["agreement_top1"]["value"] == 1
    assert ran.metrics["psnr_db"] == 200
    assert ran.metrics["mean_abs"] == 0
    assert ran.metrics["size_ratio"] == 1
    assert ran.json("report")["worse"]["low"] == 0


def test_a_model_that_answers_alike_may_still_be_worse_on_samples_that_nobody_has_seen(
    against, package, tmp_path, sorted_photos
):
    twin = shutil.copytree(package, tmp_path / "Twin.mlpackage")
    (twin / "Data" / "note.txt").write_text("another file, the same answers")

    drop = against(twin, package, sorted_photos).metrics["drop"]

    assert drop["value"] == 0
    assert drop["high"] == pytest.approx(0.2425, abs=1e-4)  # Tango, 0 and 0 of 12
    assert drop["low"] == pytest.approx(-drop["high"])


def test_a_crushed_model_loses_what_it_no_longer_answers(against, package, crushed, sorted_photos):
    ran = against(crushed, package, sorted_photos)

    assert ran.ok, ran.error
    metrics, report = ran.metrics, ran.json("report")
    lost = round(metrics["worse"]["value"] * 12)
    assert lost > 0
    assert metrics["released_accuracy"]["value"] == 1
    assert metrics["drop"]["value"] == pytest.approx(lost / 12)
    assert metrics["accuracy"]["value"] == pytest.approx(1 - lost / 12)
    assert metrics["mcnemar_p"] == pytest.approx(min(1, 2 * 0.5**lost))
    assert metrics["agreement_top1"]["value"] == pytest.approx(1 - lost / 12)
    assert metrics["size_mb"] < metrics["released_size_mb"]
    assert len(report["worst"]) == lost
    changed = [row for row in report["by_sample"] if row["change"] == "worse"]
    assert all(row["released"] == row["truth"] != row["today"] for row in changed)
    assert sum(row["worse"] for row in report["by_class"]) == lost
    assert report["noticeable"].startswith("12 samples would have shown a loss of ")
    assert ran.text("page").count("data:image/jpeg;base64,") == lost
    assert f"today: {changed[0]['today']}" in ran.text("page")


def test_changing_places_turns_loss_into_gain(against, package, crushed, sorted_photos):
    there = against(crushed, package, sorted_photos).metrics
    back = against(package, crushed, sorted_photos).metrics

    assert back["drop"]["value"] == -there["drop"]["value"]
    assert back["drop"]["low"] == pytest.approx(-there["drop"]["high"])
    assert back["better"]["value"] == there["worse"]["value"]
    assert back["mcnemar_p"] == there["mcnemar_p"]


def test_the_bootstrap_can_be_asked_for_and_repeats_itself(
    against, package, crushed, sorted_photos
):
    how = {"interval": "bootstrap", "resamples": 1000}
    first, again = (against(crushed, package, sorted_photos, **how) for _ in range(2))
    other = against(crushed, package, sorted_photos, seed=5, resamples=1000, interval="bootstrap")

    assert first.text("report") == again.text("report")
    assert first.metrics["drop"]["value"] == other.metrics["drop"]["value"]
    assert first.metrics["drop"] != against(crushed, package, sorted_photos).metrics["drop"]


def test_labels_that_came_and_went_are_told_and_left_out_of_the_drop(
    against, package, relabelled, sorted_photos
):
    older = relabelled(["ash", "beech", "cedar", "oak"])
    (sorted_photos / "oak").mkdir()
    Image.new("RGB", (20, 20), (3, 90, 200)).save(sorted_photos / "oak" / "one.png")
    ran = against(package, older, sorted_photos)

    assert ran.ok, ran.error
    report = ran.json("report")
    assert report["labels"] == {"added": ["elm"], "removed": ["oak"]}
    assert ran.metrics["labels_added"] == ran.metrics["labels_removed"] == 1
    elms = len(list((sorted_photos / "elm").iterdir()))
    assert elms
    assert ran.metrics["samples"] == 13
    assert ran.metrics["drop"]["n"] == 12 - elms  # without elms and oaks
    assert ran.metrics["drop"]["value"] == 0
    assert ran.metrics["accuracy_new"] == {**ran.metrics["accuracy_new"], "value": 1, "n": elms}
    assert ran.metrics["psnr_db"] == 200  # the scores of the shared labels are the same
    assert ran.metrics["agreement_top1"]["value"] < 1
    assert "New: elm. Gone: oak." in ran.text("page")


def test_labels_that_neither_knows_are_refused_skipped_or_mapped(
    against, package, sorted_photos, tmp_path
):
    folder = shutil.copytree(sorted_photos, tmp_path / "renamed")
    (folder / "elm").rename(folder / "Ulmus")
    elms = len(list((folder / "Ulmus").iterdir()))

    refused = against(package, package, folder)
    assert refused.error == "neither model knows 1 of the labels: Ulmus"
    assert refused.hint == (
        "map them with `labels`, set `unknown: skip`, or `labelled: false` where folders are no "
        "labels; today's model knows ash, beech, cedar, elm"
    )
    assert against(package, package, folder, unknown="skip").metrics["samples"] == 12 - elms
    mapped = against(package, package, folder, labels={"Ulmus": "elm"})
    assert mapped.metrics["accuracy"]["value"] == 1
    wrong = against(package, package, folder, labels={"Ulmuss": "elm"})
    assert wrong.error == "labels: the samples have no 'Ulmuss'"


def test_pictures_without_labels_give_agreement_and_distance(
    against, package, crushed, sorted_photos, tmp_path
):
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(sorted_photos.rglob("*.png"))):
        shutil.copy(file, flat / f"{number}.png")

    for ran in (
        against(crushed, package, flat, worst=3),
        against(crushed, package, sorted_photos, labelled=False, worst=3),
    ):
        assert ran.ok, ran.error
        assert {"drop", "accuracy", "rise", "worse", "detectable"}.isdisjoint(ran.metrics)
        assert ran.metrics["psnr_db"] < 60
        assert ran.metrics["agreement_top1"]["n"] == 12
        report = ran.json("report")
        assert report["noticeable"] == (
            "Nothing says what is right: a loss cannot be told, only a difference."
        )
        first = {row["sample"]: row for row in report["by_sample"]}[report["worst"][0]]
        assert first["released"] != first["today"]
        assert len(report["worst"]) == 3


def test_a_reference_says_what_is_right_where_there_are_no_labels(
    against, package, crushed, torch_model, sorted_photos
):
    ran = against(crushed, package, sorted_photos, torch_model, labelled=False)

    assert ran.ok, ran.error
    metrics = ran.metrics
    assert metrics["released_error"] < metrics["error"] / 10
    assert metrics["rise"]["value"] == pytest.approx(metrics["error"] - metrics["released_error"])
    assert metrics["rise"]["low"] > 0
    assert metrics["worse"]["value"] == 1
    assert metrics["mcnemar_p"] == pytest.approx(2 * 0.5**12)
    assert metrics["detectable"] > 0
    assert "four times of five" in ran.json("report")["noticeable"]


def regressor(path, weights, bias=0.0, inputs=("a", "b"), target="price"):
    """price = weights . (a, b) + bias, as a Core ML regressor that says what it learnt."""
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model(specificationVersion=1)
    for name in inputs:
        feature = spec.description.input.add(name=name)
        feature.type.doubleType.SetInParent()
    inner = Model_pb2.Model(specificationVersion=1)
    vector = spec.pipelineRegressor.pipeline.models.add(specificationVersion=1)
    for name in inputs:
        vector.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=1)
        vector.description.input.add(name=name).type.doubleType.SetInParent()
    made = vector.description.output.add(name="all").type.multiArrayType
    made.shape.append(len(inputs))
    made.dataType = 65600
    inner = spec.pipelineRegressor.pipeline.models.add(specificationVersion=1)
    inner.description.input.add(name="all").type.multiArrayType.CopyFrom(made)
    inner.description.output.add(name=target).type.doubleType.SetInParent()
    inner.description.predictedFeatureName = target
    inner.glmRegressor.weights.add(value=weights)
    inner.glmRegressor.offset.append(bias)
    spec.description.output.add(name=target).type.doubleType.SetInParent()
    spec.description.predictedFeatureName = target
    described = {"target": target, "columns": [{"name": name} for name in inputs]}
    spec.description.metadata.userDefined["mlbuild.description"] = json.dumps(described)
    path.write_bytes(spec.SerializeToString())
    return path


@pytest.fixture
def prices(tmp_path):
    random, file = np.random.default_rng(0), tmp_path / "prices.csv"
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["a", "b", "price"])
        for a, b in random.normal(size=(40, 2)):
            rows.writerow([a, b, 2 * a - b + random.normal(0, 0.1)])
    return file


def test_a_regressor_is_held_against_the_column_that_it_learnt(against, prices, tmp_path):
    released = regressor(tmp_path / "released.mlmodel", [2, -1])
    today = regressor(tmp_path / "today.mlmodel", [1.5, -1])
    ran = against(today, released, prices)

    assert ran.ok, ran.error
    metrics = ran.metrics
    assert metrics["released_error"] == pytest.approx(0.08, abs=0.02)  # 0.1 sqrt(2 / pi)
    assert metrics["error"] > 0.3
    assert metrics["rise"]["low"] > 0
    assert metrics["rise"]["n"] == 40
    assert metrics["mcnemar_p"] < 0.01
    assert metrics["detectable"] < metrics["rise"]["value"]
    row = ran.json("report")["by_sample"][0]
    assert row["sample"] == "line 2"
    assert {"truth", "error", "released_error"} <= set(row)


def test_a_target_can_be_named_and_must_exist(against, prices, tmp_path):
    model = regressor(tmp_path / "m.mlmodel", [2, -1], target="cost")

    unlabelled = against(model, model, prices)
    assert unlabelled.ok, unlabelled.error
    assert "error" not in unlabelled.metrics
    assert against(model, model, prices, target="price").metrics["error"] < 0.2
    missing = against(model, model, prices, target="prize")
    assert missing.error == "target: the table has no column 'prize'"
    assert missing.hint == "it has a, b, price"


def test_models_with_other_outputs_are_told_apart(against, package, prices, tmp_path, photos):
    one = regressor(tmp_path / "one.mlmodel", [2, -1])
    ran = against(package, one, photos)

    assert ran.error == (
        "today's model is a classifier, the other one is none: they cannot be compared"
    )
    assert ran.hint.startswith("a model with another interface is a new major version")


def test_models_that_share_no_label_are_refused(against, package, relabelled, photos):
    other = relabelled(["cat", "dog", "emu", "fox"])

    assert against(package, other, photos).error == (
        "the models share no label: the released one knows cat, dog, emu, today's ash, beech, cedar"
    )


def test_a_released_model_that_cannot_be_read_is_named(against, package, photos, tmp_path):
    broken = shutil.copytree(package, tmp_path / "Broken.mlpackage")
    (broken / "Manifest.json").unlink()

    assert against(package, broken, photos).error.startswith(
        "the released model: the model cannot be run: "
    )


def test_equal_inputs_give_equal_reports(against, package, crushed, photos):
    first, again = (against(crushed, package, photos) for _ in range(2))

    assert first.text("report") == again.text("report")
    assert first.text("page") == again.text("page")


def program(path, scale, shape=(1, 4), name="out", extra=False):
    """out = tanh(scale * x) of an array x."""
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb  # noqa: N813

    @mb.program(input_specs=[mb.TensorSpec(shape=shape)], opset_version=ct.target.iOS17)
    def made(x):
        out = mb.tanh(x=mb.mul(x=x, y=np.float32(scale)), name=name)
        return (out, mb.exp(x=x, name="more")) if extra else out

    model = ct.convert(
        made, minimum_deployment_target=ct.target.iOS17, compute_precision=ct.precision.FLOAT32
    )
    model.save(str(path))
    return path


@pytest.fixture
def arrays(tmp_path):
    folder, random = tmp_path / "arrays", np.random.default_rng(2)
    folder.mkdir()
    for number in range(10):
        np.savez(folder / f"{number}.npz", x=random.normal(size=(1, 4)).astype(np.float32))
    return folder


def test_models_of_arrays_are_compared_output_by_output(against, arrays, tmp_path):
    released = program(tmp_path / "Released.mlpackage", 1)
    today = program(tmp_path / "Today.mlpackage", 1.1)
    plain = against(today, released, arrays)
    judged = against(today, released, arrays, reference=released)

    assert plain.ok, plain.error
    assert {"psnr_db", "mean_abs", "samples"} <= set(plain.metrics)
    assert {"agreement_top1", "rise", "drop"}.isdisjoint(plain.metrics)
    assert judged.metrics["released_error"] == 0
    assert judged.metrics["error"] == pytest.approx(judged.metrics["mean_abs"])
    assert judged.metrics["worse"]["value"] == 1


def test_an_error_that_hardly_moved_is_no_worse_one(against, arrays, tmp_path):
    reference = program(tmp_path / "Reference.mlpackage", 1)
    released = program(tmp_path / "Released.mlpackage", 1.2)
    today = program(tmp_path / "Today.mlpackage", 1.2002)

    metrics = against(today, released, arrays, reference=reference).metrics
    assert metrics["worse"]["value"] == metrics["better"]["value"] == 0
    assert metrics["mcnemar_p"] == 1
    assert metrics["rise"]["value"] > 0
    exact = against(today, released, arrays, reference=reference, noise=0).metrics
    assert exact["worse"]["value"] == 1


def test_outputs_that_cannot_be_brought_together_are_a_new_interface(against, arrays, tmp_path):
    released = program(tmp_path / "Released.mlpackage", 1, extra=True)
    today = program(tmp_path / "Today.mlpackage", 1)
    ran = against(today, released, arrays)

    assert ran.error == (
        "sample 0.npz: today's model cannot be compared with the released model: today's model "
        "lacks output more [1, 4]; it has out [1, 4]"
    )
    assert ran.hint.startswith("a model with another interface is a new major version")


def test_an_output_that_was_renamed_is_the_same(against, arrays, tmp_path):
    released = program(tmp_path / "Released.mlpackage", 1)
    today = program(tmp_path / "Today.mlpackage", 1, name="result")

    assert against(today, released, arrays).metrics["psnr_db"] == 200


def classifier_of_rows(path, labels, shift=0.0):
    """The label whose number is nearest to column a, among 0, 1, 2, ..."""
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model(specificationVersion=1)
    given = spec.description.input.add(name="all").type.multiArrayType
    given.shape.append(1)
    given.dataType = 65600
    spec.description.output.add(name="kind").type.stringType.SetInParent()
    scores = spec.description.output.add(name="scores").type.dictionaryType
    scores.stringKeyType.SetInParent()
    spec.description.predictedFeatureName = "kind"
    spec.description.predictedProbabilitiesName = "scores"
    # Of lines that touch the parabola a squared, the highest at a is that of the nearest number.
    for number in range(len(labels)):
        spec.glmClassifier.weights.add(value=[2.0 * number])
        spec.glmClassifier.offset.append(-(float(number) ** 2) + shift * number)
    spec.glmClassifier.classEncoding = 1  # one against the rest: as many rows as labels
    spec.glmClassifier.stringClassLabels.vector.extend(labels)
    described = {"target": "kind", "columns": [{"name": "a"}]}
    spec.description.metadata.userDefined["mlbuild.description"] = json.dumps(described)
    path.write_bytes(spec.SerializeToString())
    return path


@pytest.fixture
def kinds(tmp_path):
    """Numbers and their kinds, 30 of each of four."""
    random, file = np.random.default_rng(1), tmp_path / "kinds.csv"
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["a", "kind"])
        for number in range(120):
            rows.writerow([number % 4 + random.normal(0, 0.1), "pqrs"[number % 4]])
    return file


def test_classifiers_of_rows_are_held_against_their_target(against, kinds, tmp_path):
    released = classifier_of_rows(tmp_path / "released.mlmodel", "pqrs")
    today = classifier_of_rows(tmp_path / "today.mlmodel", "pqrs", shift=0.9)
    ran = against(today, released, kinds)

    assert ran.ok, ran.error
    assert ran.metrics["released_accuracy"]["value"] == 1
    assert ran.metrics["drop"]["n"] == 120
    assert ran.metrics["drop"]["low"] > 0
    assert ran.metrics["psnr_db"] < 60
    report = ran.json("report")
    assert {row["label"] for row in report["by_class"]} == set("pqrs")
    assert report["by_sample"][0]["released"] == "p"


def test_rows_of_labels_that_came_and_went_are_told(against, kinds, tmp_path):
    released = classifier_of_rows(tmp_path / "released.mlmodel", "pqrt")
    today = classifier_of_rows(tmp_path / "today.mlmodel", "pqrs")
    ran = against(today, released, kinds)

    assert ran.ok, ran.error
    assert ran.json("report")["labels"] == {"added": ["s"], "removed": ["t"]}
    assert ran.metrics["drop"]["n"] == 90
    assert ran.metrics["drop"]["value"] == 0
    assert ran.metrics["accuracy_new"]["n"] == 30
    assert ran.metrics["accuracy_new"]["value"] == 1
    assert ran.metrics["agreement_top1"]["value"] == pytest.approx(90 / 120)
    assert "psnr_db" not in ran.metrics  # scores of other labels have no match


def test_rows_of_unknown_labels_are_refused_or_left_out(against, kinds, tmp_path):
    model = classifier_of_rows(tmp_path / "model.mlmodel", "pqr")

    assert against(model, model, kinds).error == "neither model knows 1 of the labels: s"
    ran = against(model, model, kinds, unknown="skip")
    assert ran.metrics["samples"] == 90
    assert ran.metrics["accuracy"]["value"] == 1
