"""Recordings of Core ML's answers, made with a double of Core ML, and what damages them."""

import json
import re
import shutil
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from mlbuild.coreml import InputError, ModelFileError, UnsupportedError, load  # noqa: E402
from mlbuild.coreml.golden import check, find, open_golden, read_samples, record  # noqa: E402
from mlbuild.coreml.golden.digest import model_digest  # noqa: E402

pytestmark = pytest.mark.toolchain

SYSTEM = {"os": "macOS 26.1", "device": "Mac16,1", "coremltools": "9.0"}


class Double:
    """Answers as a device might: float32 arithmetic, then what a test wants changed."""

    def __init__(self, change=lambda outputs, unit: outputs):
        self.change, self.asked = change, []

    def __call__(self, path, unit):
        model = load(path, precision="float32")

        def predict(values):
            self.asked.append((unit, dict(values)))
            return self.change(model.predict(values), unit)

        return predict


@pytest.fixture(scope="module")
def models(ct, tmp_path_factory):
    """A classifier of pictures and a program on an array, converted by coremltools."""
    import warnings

    folder = tmp_path_factory.mktemp("models")

    class Colour(torch.nn.Module):
        def forward(self, x):
            return torch.softmax(x.mean(dim=(2, 3)) * 10, dim=-1)

    torch.manual_seed(3)
    linear = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh()).eval()
    target = {"minimum_deployment_target": ct.target.iOS17, "skip_model_load": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = ct.ImageType("image", (1, 3, 8, 8), scale=1 / 255)
        ct.convert(
            torch.jit.trace(Colour(), torch.zeros(1, 3, 8, 8)),
            inputs=[image],
            classifier_config=ct.ClassifierConfig(["red", "green", "blue"]),
            **target,
        ).save(str(folder / "Colour.mlpackage"))
        ct.convert(
            torch.jit.trace(linear, torch.zeros(2, 6)),
            inputs=[ct.TensorType("x", (2, 6))],
            outputs=[ct.TensorType("y")],
            **target,
        ).save(str(folder / "Linear.mlpackage"))
    return folder


@pytest.fixture
def samples(tmp_path):
    """Pictures, and arrays below a folder that is named as the model."""
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = tmp_path / "samples"
    for name in ("Colour", "Linear"):
        (folder / name).mkdir(parents=True)
    for number in range(3):
        pixels = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "Colour" / f"{number}.png")
        array = rng.standard_normal((2, 6)).astype(np.float32)
        np.savez(folder / "Linear" / f"{number}.npz", x=array)
    return folder


@pytest.fixture
def recorded(models, samples, tmp_path):
    """Record one of the models with a double."""

    def run(name="Linear", change=lambda outputs, unit: outputs, **options):
        model = models / f"{name}.mlpackage"
        options.setdefault("units", ("CPU_ONLY", "CPU_AND_NE"))
        double = Double(change)
        folder = tmp_path / "golden" / name
        given = read_samples(model, samples)
        record(model, given, folder, opened=double, system=SYSTEM, **options)
        run.double = double
        return folder

    return run


def message(error):
    return str(error.value)


@pytest.mark.parametrize("name", ["Linear", "Colour"])
def test_a_faithful_recording_is_within_its_tolerance(recorded, name):
    checked = check(recorded(name))

    assert checked.within
    assert {f.unit for f in checked.findings} == {"CPU_ONLY", "CPU_AND_NE"}
    outputs = {"Linear": {"y"}, "Colour": {"classLabel", "classLabel_probs"}}[name]
    assert {f.output for f in checked.findings} == outputs
    assert all(f.psnr_db > 50 for f in checked.findings)


def test_what_was_asked_is_what_is_kept(recorded):
    folder = recorded("Colour")
    kept = open_golden(folder)
    asked = [values["image"] for unit, values in recorded.double.asked if unit == "CPU_ONLY"]

    assert kept.samples == ("0.png", "1.png", "2.png")
    assert kept.system == SYSTEM
    for picture, values in zip(asked, kept.inputs(), strict=True):
        assert picture.size == values["image"].size == (8, 8)
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(values["image"]))
    scores = kept.answers("CPU_ONLY")[0]["classLabel_probs"]
    assert list(scores) == ["red", "green", "blue"]
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_a_device_that_computes_something_else_is_outside(recorded):
    def wrong(outputs, unit):
        return {"y": outputs["y"] * (1.2 if unit == "CPU_AND_NE" else 1)}

    checked = check(recorded(change=wrong))
    findings = {f.unit: f for f in checked.findings}

    assert not checked.within
    assert findings["CPU_ONLY"].within
    assert re.fullmatch(r"2\d\.\d dB, at least 40 expected", findings["CPU_AND_NE"].why)
    assert findings["CPU_AND_NE"].max_abs == pytest.approx(0.2, abs=0.06)
    assert json.loads(json.dumps(checked.to_json()))["within"] is False


@pytest.mark.parametrize(("noise", "within"), [(1e-3, True), (1e-1, False)])
def test_the_tolerance_lies_between_rounding_and_faults(recorded, noise, within):
    rng = np.random.default_rng(1)
    folder = recorded(
        change=lambda o, u: {"y": o["y"] + noise * rng.standard_normal((2, 6))[:, :5]}
    )

    assert check(folder).within is within


def test_the_tolerance_may_be_given_by_hand(recorded):
    folder = recorded()
    (finding, _) = check(folder, min_psnr_db=190).findings

    assert finding.why.endswith("dB, at least 190 expected")
    assert finding.reason == "given by hand"


@pytest.mark.parametrize(("gap", "within"), [(1e-4, True), (0.1, False)])
def test_another_label_is_outside_unless_its_scores_tie(recorded, gap, within):
    def change(outputs, unit):
        right = outputs["classLabel"]
        wrong = next(name for name in ("red", "green", "blue") if name != right)
        scores = {**dict.fromkeys(("red", "green", "blue"), 0.3), wrong: 0.3 + gap}
        return {"classLabel": wrong, "classLabel_probs": scores}

    checked = check(recorded("Colour", change, units=("ALL",)))
    label = next(f for f in checked.findings if f.output == "classLabel")

    assert label.within is within
    said = r"Core ML says '\w+', the runtime '\w+' \(3 of 3 differ\)"
    assert bool(re.fullmatch(said, label.why)) is not within


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda o, u: {**o, "z": o["y"]}, "the runtime gives no such output"),
        (
            lambda o, u: {"y": o["y"].T},
            "shape [5, 2] of Core ML, [2, 5] of the runtime",
        ),
        (lambda o, u: {"y": np.where(o["y"] > 0, np.inf, o["y"])}, "not finite in one of the two"),
    ],
)
def test_answers_of_another_form_are_outside(recorded, change, why):
    assert why in {f.why for f in check(recorded(change=change)).findings}


def test_scores_of_other_labels_are_outside(recorded):
    def renamed(outputs, unit):
        scores = outputs["classLabel_probs"]
        return {"classLabel_probs": {f"a {k}": v for k, v in scores.items()}}

    (finding,) = check(recorded("Colour", renamed, units=("ALL",))).findings
    assert finding.why == "the labels of the scores are other ones"


def test_a_changed_file_is_told(recorded):
    folder = recorded()
    answers = folder / "cpu_only.npz"
    answers.write_bytes(answers.read_bytes()[:-20])

    with pytest.raises(ModelFileError) as caught:
        check(folder)
    assert message(caught) == (
        f"{answers}: a file of the recording is not what was recorded\n"
        "  hint: take it from version control again (Git LFS: git lfs pull), or record anew"
    )


def test_a_missing_file_is_told(recorded):
    folder = recorded()
    (folder / "inputs.npz").unlink()

    with pytest.raises(ModelFileError) as caught:
        check(folder)
    assert message(caught) == f"{folder / 'inputs.npz'}: a file of the recording is missing"


def edited(folder, name, change):
    """Change a recording as somebody would who also mends its digests."""
    from mlbuild.coreml.golden.folder import sha256

    change()
    file = folder / "golden.json"
    facts = json.loads(file.read_text())
    facts["files"][name] = sha256(folder / name)
    file.write_text(json.dumps(facts))


def test_a_missing_array_is_told(recorded):
    folder = recorded()
    file = folder / "cpu_only.npz"
    with np.load(file) as data:
        arrays = {k: data[k] for k in data.files if k != "1/y"}
    edited(folder, "cpu_only.npz", lambda: np.savez(file, **arrays))

    with pytest.raises(ModelFileError) as caught:
        check(folder)
    assert message(caught) == f"{file}: the array '1/y' is missing"


def test_fewer_samples_than_recorded_are_told(recorded):
    folder = recorded()
    file = folder / "cpu_only.json"
    shorter = json.dumps(json.loads(file.read_text())[:2])
    edited(folder, "cpu_only.json", lambda: file.write_text(shorter))

    with pytest.raises(ModelFileError) as caught:
        check(folder)
    assert message(caught) == (
        f"{folder / 'cpu_only.npz'}: not as many samples as were recorded\n  got: 2 samples"
    )


def test_pickles_are_never_loaded(recorded):
    folder = recorded()
    file = folder / "cpu_only.npz"
    held = np.array([print], dtype=object)
    edited(folder, "cpu_only.npz", lambda: np.savez(file, **{f"{n}/y": held for n in range(3)}))

    with pytest.raises(ModelFileError, match="cannot be read: Object arrays cannot be loaded"):
        check(folder)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"version": 2}, "a newer version than this mlbuild reads\n  got: 2\n  allowed: up to 1"),
        ({"format": "other"}, "not of the format mlbuild-golden"),
        ({"samples": "three"}, "'samples' is missing or of another kind"),
        (
            {"files": {}},
            "no digest of cpu_and_ne.json, cpu_and_ne.npz, cpu_only.json, cpu_only.npz, "
            "inputs.json, inputs.npz",
        ),
    ],
)
def test_facts_that_cannot_be_trusted_are_told(recorded, facts, told):
    file = recorded() / "golden.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))

    with pytest.raises(ModelFileError) as caught:
        check(file.parent)
    assert message(caught) == f"{file}: {told}"


def test_facts_that_are_no_json_are_told(recorded):
    file = recorded() / "golden.json"
    file.write_text("version https://git-lfs.github.com/spec/v1")

    with pytest.raises(ModelFileError, match=r"golden\.json: cannot be read: Expecting value"):
        check(file.parent)


def test_another_model_is_told(recorded, models):
    folder, other = recorded(), models / "Colour.mlpackage"

    with pytest.raises(ModelFileError) as caught:
        check(folder, model=other)
    assert message(caught) == (
        f"{other}: this is not the model that was recorded\n"
        f"  got: {model_digest(other)}\n"
        f"  allowed: {model_digest(models / 'Linear.mlpackage')}\n"
        "  hint: record anew on a Mac, or name the recorded model with --model"
    )


def test_a_model_that_is_gone_is_told(recorded, tmp_path):
    folder = recorded()
    moved = shutil.copytree(folder, tmp_path / "elsewhere" / "deeper" / "x")

    with pytest.raises(ModelFileError, match="there is no such model"):
        check(moved)


def test_a_model_that_was_saved_again_is_the_same(ct, models, tmp_path):
    first = models / "Linear.mlpackage"
    model = ct.models.MLModel(str(first), skip_model_load=True)
    model.short_description = "Saved again."
    model.save(str(tmp_path / "Again.mlpackage"))

    assert model_digest(tmp_path / "Again.mlpackage") == model_digest(first)


def test_one_weight_makes_another_model(models, tmp_path):
    again = shutil.copytree(models / "Linear.mlpackage", tmp_path / "Again.mlpackage")
    spec = next(again.rglob("*.mlmodel"))
    from mlbuild.coreml.package import read_spec

    changed = read_spec(spec)
    changed.specificationVersion += 1
    spec.write_bytes(changed.SerializeToString())

    assert model_digest(again) != model_digest(models / "Linear.mlpackage")


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Core ML")
def test_only_a_mac_records(models, samples, tmp_path):
    model = models / "Linear.mlpackage"

    with pytest.raises(UnsupportedError) as caught:
        record(model, read_samples(model, samples), tmp_path / "golden")
    assert message(caught) == (
        "golden answers are Core ML's own, which only macOS has\n"
        "  got: Linux\n"
        "  hint: record on a Mac and keep the folder in version control; `mlbuild golden check` "
        "holds it against the reference runtime anywhere"
    )
    assert not (tmp_path / "golden").exists()


def test_samples_that_do_not_fit_are_told(models, samples, tmp_path):
    model = models / "Linear.mlpackage"
    (tmp_path / "none").mkdir()
    (tmp_path / "bad.npz").write_bytes(b"no arrays")
    picture = samples / "Colour" / "0.png"

    with pytest.raises(InputError, match="there are no samples here"):
        read_samples(model, tmp_path / "gone")
    with pytest.raises(InputError, match="no sample is of a kind that can be read"):
        read_samples(model, tmp_path / "none")
    with pytest.raises(InputError, match="not readable as arrays"):
        read_samples(model, tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", y=np.zeros((2, 6)))
    with pytest.raises(InputError) as caught:
        read_samples(model, tmp_path / "other.npz")
    assert message(caught) == f"{tmp_path}/other.npz: a sample lacks an input: x\n  got: y"
    with pytest.raises(InputError) as caught:
        read_samples(model, picture)
    assert message(caught) == (
        f"{picture}: the model does not take one picture and nothing else\n"
        "  got: x: float16[2, 6]\n"
        "  hint: give samples as .npz files with an array for each input"
    )


def test_unknown_units_and_no_samples_are_told(models, tmp_path):
    model = models / "Linear.mlpackage"

    with pytest.raises(InputError) as caught:
        record(model, {"a": {}}, tmp_path / "g", units=("GPU",), opened=Double())
    assert message(caught) == (
        "no such compute unit\n  got: GPU\n  allowed: CPU_ONLY, CPU_AND_GPU, CPU_AND_NE, ALL"
    )
    with pytest.raises(InputError, match="a recording needs at least one sample"):
        record(model, {}, tmp_path / "g", opened=Double())


def test_recordings_below_a_folder_are_found(recorded, tmp_path):
    folders = [recorded("Linear"), recorded("Colour")]

    assert find(tmp_path / "golden") == sorted(folders)
    with pytest.raises(ModelFileError) as caught:
        find(tmp_path / "samples")
    assert message(caught) == (
        f"{tmp_path / 'samples'}: there is no golden.json here or below\n"
        "  hint: record it on a Mac: mlbuild golden record FOLDER --model MODEL --samples SAMPLES"
    )
