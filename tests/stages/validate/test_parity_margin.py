"""What a faultless conversion must reach: by hand, and on the kind's own models."""

import math
import shutil

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
np = pytest.importorskip("numpy")

from mlbuild.stages.validate.parity.margin import (  # noqa: E402
    Expectation,
    expectation,
    levels,
    margin,
)

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

KIND = "validate/parity"


def test_levels_are_the_range_over_mean_square_and_largest_error():
    reference = np.array([0.0, 1.0, 2.0, 10.0])
    psnr, peak = levels(reference, reference + np.array([0.1, 0, 0, 0]))

    assert psnr == pytest.approx(20 * math.log10(10 / 0.05))
    assert peak == pytest.approx(40)
    assert levels(reference, reference) == (math.inf, math.inf)


def test_a_constant_reference_is_held_against_its_value():
    reference = np.full(4, 2.0)

    assert levels(reference, reference + 0.02) == pytest.approx((40, 40))
    assert levels(reference * 0, reference * 0 + 0.01) == pytest.approx((40, 40))


@pytest.mark.parametrize(
    ("rounding", "weights", "half", "wanted"),
    [
        (None, None, False, (100, 86, "float32 arithmetic")),
        (0.01, None, True, (50, 46, "float16 rounding")),  # 60 dB of rounding, less 10 and 14
        (0.01, None, False, (100, 86, "float32 arithmetic")),
        (1e-9, None, True, (100, 86, "float32 arithmetic")),  # float16, but nothing was rounded
        (0.01, 28.0, True, (28, 14, "compressed weights")),
        (0.01, 70.0, True, (50, 46, "float16 rounding")),
        (None, 40.0, False, (40, 26, "compressed weights")),
    ],
)
def test_the_least_follows_from_what_the_candidate_rounds(rounding, weights, half, wanted):
    exact = np.array([0.0, 10.0])
    rounded = None if rounding is None else (exact, exact + rounding)
    least = expectation(rounded, weights, half)

    assert (least.psnr_db, least.peak_db, least.because) == (
        pytest.approx(wanted[0]),
        pytest.approx(wanted[1]),
        wanted[2],
    )


def test_a_fault_of_one_element_in_many_is_seen_by_its_peak():
    reference = np.linspace(0, 1, 10_000)
    candidate = reference.copy()
    candidate[17] += 0.05

    assert levels(reference, candidate)[0] > 65
    assert margin(reference, candidate, Expectation(60, 46, "")) == pytest.approx(
        -20 * math.log10(0.05) - 46
    )


@pytest.fixture
def compare(run_kind, tmp_path):
    def run(reference, candidate, samples, **params):
        inputs = {"reference": reference, "candidate": candidate, "samples": samples}
        return run_kind(KIND, params=params, inputs=inputs, tmp_path=tmp_path)

    return run


def test_a_right_conversion_has_room_in_either_precision(compare, torch_model, package, photos):
    for precision in ("declared", "float32"):
        ran = compare(torch_model, package, photos, precision=precision)

        assert ran.ok, ran.error
        assert ran.metrics["margin_db"] > 0
        assert ran.json("report")["expected"]["logits"]["because"] == "float16 rounding"


def test_weights_of_two_bits_are_expected_to_lie_far_off(compare, torch_model, crushed, photos):
    ran = compare(torch_model, crushed, photos)
    least = ran.json("report")["expected"]["logits"]

    assert least["because"] == "compressed weights"
    assert least["psnr_db"] < 30


def test_a_bias_that_is_off_is_a_fault(compare, torch_model, package, photos, tmp_path):
    from safetensors.torch import load_file, save_file

    other = shutil.copytree(torch_model, tmp_path / "other")
    weights = load_file(str(other / "model.safetensors"))
    weights["head.bias"][0] += 0.05
    save_file(weights, str(other / "model.safetensors"))
    ran = compare(other, package, photos)

    assert ran.ok, ran.error
    assert ran.metrics["margin_db"] < 0
