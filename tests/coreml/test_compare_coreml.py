"""Core ML models against each other, figures, and where samples come from."""

import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mlbuild.coreml import InputError  # noqa: E402
from mlbuild.coreml.compare import (  # noqa: E402
    CoreMLReference,
    compare,
    figures,
    random_samples,
    read_samples,
)
from mlbuild.coreml.compare.matching import difference  # noqa: E402
from mlbuild.coreml.model import load  # noqa: E402

pytestmark = pytest.mark.toolchain


@pytest.fixture
def pair(save_torch):
    """The same layers twice, the second time with another epsilon."""

    def save(epsilon):
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Linear(8, 8), torch.nn.LayerNorm(8, eps=epsilon), torch.nn.Linear(8, 4)
        )
        return save_torch(module, torch.zeros(2, 8), precision="float32")

    return save


def test_two_conversions_of_one_network_are_equal_operator_by_operator(pair):
    path = pair(1e-5)
    found = compare(CoreMLReference(path), path, random_samples(load(path), 2))
    assert found.guilty is None
    assert found.suspects == ()
    assert found.first is None
    assert [row.float32.max_abs for row in found.rows] == [0.0] * len(found.rows)


def test_the_norm_with_the_other_epsilon_is_named(pair):
    path = pair(1e-1)
    found = compare(CoreMLReference(pair(1e-5)), path, random_samples(load(path), 2))
    assert found.guilty.operator.type == "layer_norm"
    assert found.first.operator.type == "layer_norm"
    assert found.by_damage()[0].value == found.guilty.operator.outputs[0][0]


def test_what_was_found_is_json(pair):
    path = pair(1e-1)
    found = compare(CoreMLReference(pair(1e-5)), path, random_samples(load(path), 1))
    answer = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert answer["guilty"]["operator"]["type"] == "layer_norm"
    assert answer["matched"] == len(found.rows)


def test_figures_are_those_of_the_textbook():
    ours, theirs = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1.0, 2.0, 4.0])
    found = figures([ours], [theirs])
    assert (found.max_abs, found.nan, found.inf) == (1.0, 0, 0)
    assert found.mean_abs == pytest.approx(1 / 3)
    assert found.relative_rms == pytest.approx(math.sqrt(1 / 21))
    assert found.psnr_db == pytest.approx(20 * math.log10(4 / math.sqrt(1 / 3)))
    assert found.cosine == pytest.approx(25 / math.sqrt(30 * 21))


def test_figures_count_what_is_not_finite_instead_of_averaging_it():
    ours = torch.tensor([1.0, math.nan, math.inf, math.inf])
    found = figures([ours], [torch.tensor([1.0, 2.0, 3.0, math.inf])])
    assert (found.nan, found.inf, found.max_abs) == (1, 1, 0.0)


def test_a_mask_of_huge_numbers_hides_no_error_in_the_others():
    theirs = torch.randn(100, generator=torch.Generator().manual_seed(0))
    theirs[::3] = -1e4
    ours = theirs.clone()
    ours[1::3] *= 1.1
    assert difference([ours], [theirs]) > 0.01


def test_random_tokens_lie_within_the_table_that_they_are_looked_up_in(save_torch, ct):
    module = torch.nn.Embedding(7, 3)
    path = save_torch(
        module,
        torch.zeros(1, 50, dtype=torch.int32),
        inputs=[ct.TensorType("x", (1, 50), dtype=np.int32)],
    )
    (sample,) = random_samples(load(path), 1)
    assert sample["x"].min() >= 0
    assert sample["x"].max() == 6


def test_arrays_are_read_by_input_name_one_sample_or_many(pair, tmp_path):
    model = load(pair(1e-5))
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 8), np.float32))
    np.savez(tmp_path / "b.npz", x=np.zeros((3, 2, 8), np.float32))
    assert [s["x"].shape for s in read_samples(model, tmp_path)] == [(2, 8)] * 4
    assert len(read_samples(model, tmp_path, limit=2)) == 2


def test_samples_that_lack_an_input_are_refused(pair, tmp_path):
    np.savez(tmp_path / "a.npz", y=np.zeros(3))
    with pytest.raises(InputError) as caught:
        read_samples(load(pair(1e-5)), tmp_path / "a.npz")
    assert str(caught.value) == (f"{tmp_path}/a.npz: a sample lacks an input: x\n  got: y")


def test_a_folder_without_samples_is_refused(pair, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(InputError, match="no sample is of a kind that can be read"):
        read_samples(load(pair(1e-5)), folder)
