"""train/on-device: what an app would do, and what it is worth."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("torch")
pytestmark = pytest.mark.toolchain
KIND = "train/on-device"


@pytest.fixture
def line(tmp_path):
    """An updatable classifier of two numbers, all weights zero."""
    import coremltools as ct
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder, SgdParams

    builder = NeuralNetworkBuilder(
        [("features", datatypes.Array(2))], [("scores", None)], mode="classifier",
        disable_rank5_shape_mapping=True,
    )  # fmt: skip
    builder.add_expand_dims("lift", "features", "lifted", axes=[0, 2, 3])
    builder.add_inner_product(
        "dense", np.zeros((2, 2)), np.zeros(2), 2, 2, True, "lifted", "logits"
    )
    builder.add_softmax("softmax", "logits", "scores")
    builder.set_class_labels(["no", "yes"], "label", "scores")
    builder.make_updatable(["dense"])
    builder.set_categorical_cross_entropy_loss("loss", "scores")
    builder.set_sgd_optimizer(SgdParams(lr=0.1, batch=4, momentum=0))
    builder.set_epochs(3, allowed_set=[3, 10])
    spec = builder.spec
    for feature in (*spec.description.input, *spec.description.trainingInput):
        if feature.name == "features":
            feature.type.multiArrayType.dataType = feature.type.multiArrayType.FLOAT32
    path = tmp_path / "line.mlpackage"
    ct.models.MLModel(spec, skip_model_load=True).save(str(path))
    return path


@pytest.fixture
def rows(tmp_path):
    """Above the diagonal is yes."""

    def write(name, count, seed):
        points = np.random.default_rng(seed).uniform(-1, 1, (count, 2))
        lines = [f"{a},{b},{'yes' if b > a else 'no'}" for a, b in points]
        (tmp_path / name).write_text("\n".join(["a,b,label", *lines]) + "\n")
        return tmp_path / name

    return write


def test_it_learns_and_tells_what_that_is_worth(run_kind, tmp_path, line, rows):
    inputs = {"model": line, "samples": rows("shown.csv", 24, 1), "test": rows("test.csv", 60, 2)}
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs=inputs, params={"epochs": 10, "learning_rate": 0.9}
    )
    assert ran.ok, ran.error
    figures = ran.metrics
    assert figures["samples"] == 24
    assert figures["accuracy_before"]["n"] == figures["accuracy_after"]["n"] == 60
    assert figures["accuracy_after"]["value"] > 0.9
    gain = figures["accuracy_after"]["value"] - figures["accuracy_before"]["value"]
    assert figures["gain"] == pytest.approx(gain) and gain > 0.2
    assert figures["loss_first"] < 0.6932 and figures["loss_last"] < figures["loss_first"]
    assert len(ran.plots["loss"]) == 10


def test_a_limit_takes_from_each_label_in_turn(run_kind, tmp_path, line, rows):
    shown = rows("shown.csv", 24, 1)
    lines = shown.read_text().splitlines()
    shown.write_text("\n".join([lines[0], *sorted(lines[1:], key=lambda t: t[-3:])]) + "\n")
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": line, "samples": shown}, params={"limit": 4}
    )
    assert ran.ok, ran.error
    assert ran.metrics["samples"] == 4
    assert ran.metrics["accuracy_before"]["value"] == 0.5  # two of each; all were called "no"


def test_what_the_model_does_not_allow_is_told(run_kind, tmp_path, line, rows):
    inputs = {"model": line, "samples": rows("shown.csv", 8, 1)}
    ran = run_kind(KIND, tmp_path=tmp_path, inputs=inputs, params={"epochs": 4})
    assert not ran.ok and ran.kind == "failure"
    assert ran.error.startswith("line.mlpackage: the model does not allow this epochs")


def test_a_model_that_does_not_learn_is_refused(run_kind, tmp_path, line, rows):
    import coremltools as ct

    spec = ct.utils.load_spec(str(line))
    spec.isUpdatable = False
    del spec.description.trainingInput[:]
    ct.models.MLModel(spec, skip_model_load=True).save(str(tmp_path / "fixed.mlpackage"))
    inputs = {"model": tmp_path / "fixed.mlpackage", "samples": rows("shown.csv", 8, 1)}
    ran = run_kind(KIND, tmp_path=tmp_path, inputs=inputs)
    assert (ran.error, ran.hint) == (
        "fixed.mlpackage is not updatable",
        "make it with convert/updatable",
    )
