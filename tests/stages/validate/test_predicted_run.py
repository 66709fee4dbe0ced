"""Models asked before, in whatever framework, and compared by their answers."""

import json
from importlib import import_module

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


@pytest.fixture
def ask(run_kind, tmp_path):
    def go(model, samples, **params):
        inputs = {"model": model, "samples": samples}
        return run_kind("predict/outputs", inputs=inputs, params=params, tmp_path=tmp_path)

    return go


@pytest.fixture
def compare(run_kind, tmp_path):
    def go(reference, candidate, samples, **params):
        inputs = {"reference": reference, "candidate": candidate, "samples": samples}
        return run_kind("validate/parity", inputs=inputs, params=params, tmp_path=tmp_path)

    return go


@pytest.fixture
def parts(ask, torch_model, photos):
    """Modules of the shared code, as a stage sees them."""
    assert ask(torch_model, photos).ok
    return lambda name: import_module(f"_mlbuild_stages._shared.{name}")


def test_answers_are_kept_by_sample(ask, torch_model, photos):
    ran = ask(torch_model, photos, limit=5)

    folder = ran.outputs["predictions"]
    facts = json.loads((folder / "predictions.json").read_text())
    assert (facts["format"], len(facts["samples"])) == ("torch", 5)
    assert facts["labels"] == ["ash", "beech", "cedar", "elm"]
    with np.load(folder / "arrays.npz") as arrays:
        assert arrays["logits"].shape == (5, 4)


def test_equal_answers_are_equal_bytes(ask, package, photos):
    one, other = (ask(package, photos).outputs["predictions"] for _ in range(2))
    for name in ("predictions.json", "arrays.npz"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_a_comparison_of_answers_says_what_that_of_models_says(
    ask, compare, torch_model, package, photos
):
    direct = compare(torch_model, package, photos).metrics
    one, other = (ask(m, photos).outputs["predictions"] for m in (torch_model, package))
    led = compare(one, other, photos)

    assert led.ok, led.error
    for name in ("psnr_db", "max_abs", "kl", "agreement_top1", "size_mb"):
        assert led.metrics[name] == pytest.approx(direct[name]), name


def test_a_model_that_is_silent_is_told_how_it_wants_pictures(ask, torch_model, photos, tmp_path):
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    torch.jit.trace(net, torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "net.pt"))

    silent = ask(tmp_path / "net.pt", photos)
    ran = ask(tmp_path / "net.pt", photos, pictures={"height": 8, "width": 8,
              "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "resize": "squash"})  # fmt: skip

    assert silent.error.endswith("the model does not say how it wants pictures")
    assert "pictures: {height: 224" in silent.hint
    assert ran.ok, ran.error


@pytest.mark.parametrize(
    ("shape", "wanted", "form"),
    [
        ((1, 3, 4, 5), (1, 3, 4, 5), "as it is"),
        ((3, 4, 5), (1, 3, 4, 5), "a batch of one"),
        ((1, 3, 4, 5), (1, 4, 5, 3), "channels last"),
        ((1, 4, 5, 3), (None, 3, 4, 5), "channels first"),
    ],
)
def test_arrays_are_brought_into_a_models_order(parts, shape, wanted, form):
    feeding = parts("predictions.feeding")
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)

    fitted = feeding.fitted(array, feeding.Wanted("x", wanted))

    expected = {
        "as it is": lambda: array,
        "a batch of one": lambda: array[None],
        "channels last": lambda: np.moveaxis(array, 1, 3),
        "channels first": lambda: np.moveaxis(array, 3, 1),
    }[form]()
    assert fitted.dtype == np.float32
    np.testing.assert_array_equal(fitted, expected)


def test_an_array_that_fits_in_no_order_is_told(parts):
    feeding = parts("predictions.feeding")
    with pytest.raises(Exception, match=r"input x float32\[1, 7\] cannot take an array of shape"):
        feeding.fitted(np.zeros((2, 3)), feeding.Wanted("x", (1, 7)))


def test_arrays_with_names_of_another_framework_are_told_apart_by_shape(parts):
    feeding = parts("predictions.feeding")
    wanted = [feeding.Wanted("ids", (1, 5), "int32"), feeding.Wanted("mask", (1, 5))]
    given = {"a": np.zeros((1, 5)), "b": np.ones((1, 5), np.int64)}

    found = feeding.feed(given, wanted, None)

    assert found["ids"].tolist() == [[1] * 5]
    with pytest.raises(Exception, match="the model takes ids"):
        feeding.feed({"a": np.zeros((1, 5)), "b": np.zeros((1, 5))}, wanted, None)


@pytest.mark.parametrize("gives", ["said", "seen"])
def test_probabilities_are_held_against_logits(parts, compare, torch_model, ask, photos, gives):
    form = parts("predictions.form")
    kept = form.read(ask(torch_model, photos).outputs["predictions"])
    soft = [np.exp(a) / np.exp(a).sum() for a in kept.outputs["logits"]]
    about = form.About(
        **{**vars(kept.about), "gives": {"p": "probabilities"} if gives == "said" else {}}
    )
    other = ask(torch_model, photos).outputs["predictions"]
    form.write(other, form.Predictions(about, kept.samples, {"p": soft}))

    ran = compare(torch_model, other, photos)

    assert ran.ok, ran.error
    assert ran.metrics["psnr_db"] > 120  # float64 exp and log


def test_outputs_of_other_names_and_orders_of_axes_are_paired(parts):
    aligning = parts("parity.aligning")
    ours = {"boxes": np.zeros((1, 3, 4, 5)), "kind": np.array(["a"])}
    theirs = {"Identity": np.arange(60.0).reshape(1, 4, 5, 3), "label": np.array(["a"])}

    pairs = aligning.pair(ours, theirs)
    found = aligning.brought(theirs, ours, pairs)

    assert pairs == {"boxes": "Identity", "kind": "label"}
    np.testing.assert_array_equal(found["boxes"], np.moveaxis(theirs["Identity"], 3, 1))


def test_an_output_without_a_counterpart_is_told(parts):
    aligning = parts("parity.aligning")
    with pytest.raises(Exception, match=r"the candidate lacks output b \[3\]; it has a \[2\]"):
        aligning.pair({"a": np.zeros(2), "b": np.zeros(3)}, {"a": np.zeros(2)})


@pytest.mark.parametrize("suffix", ["tflite", "keras"])
def test_a_description_travels_at_the_end_of_a_file(parts, tmp_path, suffix):
    description = parts("description.description")
    file = tmp_path / f"net.{suffix}"
    file.write_bytes(b"a model's own bytes")
    assert description.appended(file) == {}

    description.append(file, {"labels": ["ä", "b"]})

    assert file.read_bytes().startswith(b"a model's own bytes")
    assert description.appended(file) == {"labels": ["ä", "b"]}


def test_answers_that_were_not_asked_for_are_told(ask, compare, torch_model, photos):
    few = ask(torch_model, photos, limit=2).outputs["predictions"]

    ran = compare(torch_model, few, photos)

    assert "was not asked about it" in ran.error


def test_damaged_predictions_are_told(ask, compare, torch_model, photos):
    folder = ask(torch_model, photos).outputs["predictions"]
    (folder / "arrays.npz").write_bytes(b"PK")

    assert "holds no predictions that can be read" in compare(torch_model, folder, photos).error


def test_outputs_of_equal_shapes_are_paired_as_the_user_says(parts):
    aligning = parts("parity.aligning")
    ours, theirs = ({n: np.full(2, i) for i, n in enumerate(names)} for names in ("ab", "xy"))

    assert aligning.pair(ours, theirs, {"a": "y"}) == {"a": "y", "b": "x"}
    with pytest.raises(Exception, match="outputs: the candidate has no output 'z'; it has x, y"):
        aligning.pair(ours, theirs, {"a": "z"})
    with pytest.raises(Exception, match="the candidate lacks output a"):
        aligning.pair(ours, theirs)


def test_a_report_on_answers_names_the_model_that_gave_them(ask, compare, package, photos):
    direct = compare(package, package, photos).json("report")
    answers = ask(package, photos).outputs["predictions"]

    led = compare(package, answers, photos).json("report")

    assert led["model_sha256"] == direct["model_sha256"]
    assert led["size_mb"] == direct["size_mb"]
