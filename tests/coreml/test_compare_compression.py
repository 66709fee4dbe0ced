"""What compression may do to a weight, and that more than that is the weight's fault."""

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

from mlbuild.coreml.compare.compression import reach  # noqa: E402
from mlbuild.coreml.compare.rounding import Originals  # noqa: E402

pytestmark = pytest.mark.toolchain


def _operands(**held):
    return {name: np.asarray(value) for name, value in held.items()}.get


def test_a_scale_moves_an_element_by_half_of_it():
    value = torch.tensor([[0.0, 2.0], [0.5, -0.5]])
    found = reach("constexpr_affine_dequantize", _operands(scale=[2.0, 0.5], axis=0), value)

    assert found.usual.tolist() == [[1.0, 1.0], [0.25, 0.25]]


def test_a_scale_for_each_block_holds_in_its_block():
    value = torch.zeros(1, 4)
    found = reach("constexpr_blockwise_shift_scale", _operands(scale=[[0.2, 0.4]]), value)

    assert found.usual.tolist() == [pytest.approx([0.1, 0.1, 0.2, 0.2])]


def test_an_entry_of_a_table_stands_for_what_is_nearer_to_it_than_to_others():
    value = torch.tensor([0.0, 1.0, 1.0, 4.0])
    found = reach("constexpr_lut_to_dense", _operands(lut=[0.0, 1.0, 4.0, 4.0]), value)

    assert found.usual.tolist() == [0.5, 1.5, 1.5, 1.5]
    assert float(found.most[3]) > 4 * 1.5  # there is no entry beyond the last


def test_what_was_pruned_was_smaller_than_what_was_kept():
    value = torch.tensor([0.0, 0.5, -2.0, 0.0])
    found = reach("constexpr_sparse_to_dense", _operands(), value)

    assert found.usual[[0, 3]].tolist() == [0.5, 0.5]
    assert float(found.usual[2]) < 1e-3


@pytest.fixture
def rounded():
    """A weight and its copy of 15 levels to a row, as a converter makes one."""
    original = torch.randn(8, 12, generator=torch.Generator().manual_seed(0))
    scale = (original.abs().amax(1, keepdim=True) / 7).half().float()
    return original, torch.round(original / scale) * scale, scale


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda weight: weight, "the same"),
        (lambda weight: weight.flip(0), None),
        (lambda weight: weight.roll(1, 1), None),
    ],
    ids=["as it was", "rows backwards", "rolled by one"],
)
def test_a_compressed_weight_is_known_by_its_elements(rounded, change, wanted):
    original, stored, scale = rounded
    weight = change(stored)
    operands = _operands(scale=scale.reshape(-1).numpy(), axis=0)
    found = Originals({"w": original}).compressed_to(
        weight, reach("constexpr_affine_dequantize", operands, weight)
    )

    assert (found is not None) is (wanted is not None)
    if found is not None:
        assert torch.equal(found.value, original)
        assert found.loose is None


def test_a_norm_that_is_part_of_a_weight_is_a_factor_for_each_row(rounded):
    original, stored, scale = rounded
    factor = torch.linspace(0.2, 3.0, 8)[:, None]
    weight = stored * factor
    operands = _operands(scale=(scale * factor).reshape(-1).numpy(), axis=0)
    found = Originals({"w": original}).compressed_to(
        weight, reach("constexpr_affine_dequantize", operands, weight)
    )

    assert found.loose is not None
    off = (found.value - original * factor).abs()
    assert float((off / (4 * found.loose + 1e-6)).max()) < 1
