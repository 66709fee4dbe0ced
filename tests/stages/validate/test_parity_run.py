import json
import math
import shutil

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
np = pytest.importorskip("numpy")
from PIL import Image  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

KIND = "validate/parity"


@pytest.fixture
def compare(run_kind, tmp_path):
    def run(reference, candidate, samples, **params):
        return run_kind(
            KIND,
            params=params,
            inputs={"reference": reference, "candidate": candidate, "samples": samples},
            tmp_path=tmp_path,
        )

    return run


def test_a_float16_package_is_close_to_the_network(compare, torch_model, package, photos):
    ran = compare(torch_model, package, photos)

    assert ran.ok, ran.error
    assert ran.metrics["psnr_db"] > 50  # Apple's own limit for a float16 conversion
    assert ran.metrics["agreement_top1"]["value"] == 1
    assert ran.metrics["agreement_top1"]["n"] == 12
    assert ran.metrics["cosine"] > 0.9999
    assert 0 <= ran.metrics["kl"] < 1e-3
    assert ran.metrics["samples"] == 12
    assert ran.json("report")["psnr_db"] == ran.metrics["psnr_db"]


def test_two_bits_a_weight_are_seen_in_every_figure(compare, torch_model, package, crushed, photos):
    good, bad = (compare(torch_model, model, photos).metrics for model in (package, crushed))

    assert bad["psnr_db"] < good["psnr_db"] - 20
    for name in ("max_abs", "mean_abs", "kl"):
        assert bad[name] > good[name]
    assert bad["cosine"] < good["cosine"]
    assert bad["size_mb"] < good["size_mb"]


def test_a_model_against_itself_is_equal(compare, package, photos):
    ran = compare(package, package, photos, precision="float32")

    assert ran.metrics["psnr_db"] == 200
    assert ran.metrics["max_abs"] == 0


def test_the_worst_samples_are_named_and_shown(compare, torch_model, crushed, photos):
    ran = compare(torch_model, crushed, photos, worst=2)
    report, page = ran.json("report"), ran.text("page")

    assert len(report["worst"]) == 2
    by_name = {row["sample"]: row for row in report["by_sample"]}
    worst = [by_name[name] for name in report["worst"]]
    others = [row for row in report["by_sample"] if row["sample"] not in report["worst"]]
    assert all(not w["agrees"] or all(o["agrees"] for o in others) for w in worst)
    assert page.count("data:image/jpeg;base64,") == 2
    assert "it&#39;s" in page
    assert "http" not in page


def test_equal_inputs_give_equal_reports(compare, torch_model, crushed, photos):
    first = compare(torch_model, crushed, photos)
    again = compare(torch_model, crushed, photos)

    assert first.text("report") == again.text("report")
    assert first.text("page") == again.text("page")


def test_psnr_is_the_range_over_the_noise_of_centred_logits(compare, package, crushed, photos):
    from mlbuild.coreml import load

    ran = compare(package, crushed, photos, limit=3)
    sides = []
    for path, precision in ((package, "float32"), (crushed, "declared")):
        model = load(path, precision=precision)
        rows = []
        for name in (row["sample"] for row in ran.json("report")["by_sample"]):
            picture = Image.open(photos / name).convert("RGB")
            zoom = 0.875 * 20 / 16  # the description's central crop of a picture of 24 by 20
            left, top = (24 - 16 * zoom) / 2, (20 - 16 * zoom) / 2
            box = (left, top, left + 16 * zoom, top + 16 * zoom)
            fitted = picture.resize((16, 16), Image.Resampling.BICUBIC, box=box)
            scores = model.predict({"image": fitted})[model.description.predicted_probabilities]
            logits = np.log(np.array(list(scores.values()), dtype=np.float64))
            rows.append(logits - logits.mean())
        sides.append(np.array(rows))
    reference, candidate = sides
    noise = math.sqrt(((reference - candidate) ** 2).mean())
    wanted = 20 * math.log10((reference.max() - reference.min()) / noise)
    # Probabilities were rounded to float16 before their logarithm was taken.
    assert ran.metrics["psnr_db"] == pytest.approx(wanted, abs=0.5)


def test_pictures_are_turned_as_their_exif_says(compare, torch_model, package, tmp_path, photos):
    picture = Image.open(next(photos.rglob("*.png")))
    folder = tmp_path / "exif"
    folder.mkdir()
    picture.save(folder / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    picture.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    rows = compare(torch_model, package, folder).json("report")["by_sample"]

    assert rows[0]["reference"] == rows[1]["reference"]
    assert rows[0]["max_abs"] == rows[1]["max_abs"]


def test_a_limit_spreads_over_the_samples(compare, torch_model, package, photos):
    ran = compare(torch_model, package, photos, limit=2)

    assert [row["sample"] for row in ran.json("report")["by_sample"]] == [
        "ash/it's 0.png",
        "elm/it's 2.png",
    ]


def test_a_corrupt_picture_is_fatal_or_listed(compare, torch_model, package, photos, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "some")
    (folder / "bad.jpg").write_bytes(b"no picture")
    fatal = compare(torch_model, package, folder)
    listed = compare(torch_model, package, folder, unreadable="skip")

    assert fatal.error == ("bad.jpg is no readable picture: not a picture in a known format")
    assert fatal.hint == "repair or remove it, or set `unreadable: skip`"
    assert listed.ok, listed.error
    assert listed.json("report")["unreadable"] == ["bad.jpg"]
    assert listed.metrics["samples"] == 12


def test_no_samples_is_told(compare, torch_model, package, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("no")

    assert compare(torch_model, package, tmp_path / "none").error == (
        "samples: none holds neither pictures nor .npz files"
    )
    assert compare(torch_model, package, tmp_path / "gone").error == (
        "samples: gone does not exist"
    )
    assert compare(torch_model, package, tmp_path / "bad", unreadable="skip").error == (
        "none of 1 samples can be read: a.png"
    )


def test_other_labels_are_told(compare, torch_model, package, photos, tmp_path):
    other = shutil.copytree(torch_model, tmp_path / "other")
    model = json.loads((other / "model.json").read_text())
    model["labels"][0] = "oak"
    (other / "model.json").write_text(json.dumps(model))

    assert compare(other, package, photos).error == (
        "the models have different labels: of the candidate's 1 are missing, such as 'oak' and 1 "
        "are unknown, such as 'ash'"
    )


def test_labels_in_another_order_are_matched(compare, torch_model, package, photos, tmp_path):
    from safetensors.torch import load_file, save_file

    other = shutil.copytree(torch_model, tmp_path / "other")
    model = json.loads((other / "model.json").read_text())
    model["labels"].reverse()
    (other / "model.json").write_text(json.dumps(model))
    weights = load_file(str(other / "model.safetensors"))
    for name in ("head.weight", "head.bias"):
        weights[name] = weights[name].flip(0).contiguous()
    save_file(weights, str(other / "model.safetensors"))
    ran = compare(other, package, photos)

    assert ran.metrics["psnr_db"] > 50
    assert ran.metrics["agreement_top1"]["value"] == 1


def test_a_truncated_weight_file_is_told(compare, torch_model, package, photos, tmp_path):
    cut = shutil.copytree(package, tmp_path / "Cut.mlpackage")
    weights = next(cut.rglob("weight.bin"))
    weights.write_bytes(weights.read_bytes()[:-100])
    ran = compare(torch_model, cut, photos)

    assert ran.kind == "failure"
    assert ran.error.startswith("the model cannot be run: ")


@pytest.fixture
def regressors(tmp_path):
    """Two packages with one array in and two out; the second's weights are a little off."""
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb  # noqa: N813

    packages = []
    for off in (0.0, 0.01):
        weight = np.arange(8, dtype=np.float32).reshape(2, 4) / 8 + off

        @mb.program(input_specs=[mb.TensorSpec(shape=(1, 4))], opset_version=ct.target.iOS17)
        def program(x):
            return mb.linear(x=x, weight=weight, name="far"), mb.tanh(x=x, name="near")  # noqa: B023

        model = ct.convert(program, minimum_deployment_target=ct.target.iOS17)
        packages.append(tmp_path / f"Net{off}.mlpackage")
        model.save(str(packages[-1]))
    return packages


def test_any_outputs_are_compared_on_arrays(compare, regressors, tmp_path):
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number in range(3):
        np.savez(folder / f"{number}.npz", x=np.full((1, 4), number + 1, np.float32))
    ran = compare(*regressors, folder)

    assert ran.ok, ran.error
    report = ran.json("report")
    assert report["by_output"]["near"]["max_abs"] == pytest.approx(0, abs=1e-3)
    assert report["by_output"]["far"]["max_abs"] == pytest.approx(0.12, abs=0.01)
    assert ran.metrics["max_abs"] == report["by_output"]["far"]["max_abs"]
    assert "agreement_top1" not in ran.metrics
    assert report["worst"][0] == "2.npz"


def test_arrays_that_do_not_fit_are_told_by_sample(compare, regressors, tmp_path):
    np.savez(tmp_path / "wide.npz", x=np.zeros((1, 5), np.float32))
    ran = compare(*regressors, tmp_path / "wide.npz")

    assert ran.kind == "failure"
    assert ran.error.startswith("sample wide.npz: ")
    assert "wrong shape" in ran.error


def test_a_model_that_takes_no_picture_says_what_it_takes(compare, regressors, photos):
    ran = compare(*regressors, photos)

    assert ran.error == (
        "sample ash/it's 0.png: the Core ML model does not take one picture and nothing else: "
        "x (float32[1, 4])"
    )
    assert ran.hint == "give samples as .npz files with an array for each input"
