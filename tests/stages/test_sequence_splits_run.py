"""Splits where a group may have examples of many labels, against what they promise."""

import pytest

pytest.importorskip("torch")
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mlbuild.stages._shared.sequence_training.rows import starts
from mlbuild.stages._shared.sequence_training.splits import folds, holdout

pytestmark = pytest.mark.toolchain

ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abcdefgh")), min_size=4, max_size=60)


def parted(found):
    return np.array([label for label, _ in found]), [group for _, group in found]


@settings(max_examples=150, deadline=None, database=None)
@given(found=ROWS, share=st.floats(0.1, 0.6), seed=st.integers(0, 5))
def test_no_group_is_on_both_sides(found, share, seed):
    truth, groups = parted(found)

    learn, ask = holdout(truth, groups, share, seed)

    assert sorted([*learn, *ask]) == list(range(len(found)))
    assert not {groups[i] for i in learn} & {groups[i] for i in ask}
    # What is asked was learnt: no label is asked alone.
    assert {truth[i] for i in ask} <= {truth[i] for i in learn}


@settings(max_examples=60, deadline=None, database=None)
@given(found=ROWS, count=st.integers(2, 5), seed=st.integers(0, 5))
def test_folds_ask_each_row_once_and_part_no_group(found, count, seed):
    truth, groups = parted(found)

    parts = folds(truth, groups, count, seed)

    assert sorted(int(i) for _, ask in parts for i in ask) == list(range(len(found)))
    for learn, ask in parts:
        assert not {groups[i] for i in learn} & {groups[i] for i in ask}


def test_labels_get_their_share_where_groups_are_small():
    truth = np.repeat([0, 1, 2], [100, 50, 10])
    groups = [str(i) for i in range(160)]

    _, ask = holdout(truth, groups, 0.2, 3)
    assert np.bincount(truth[ask]).tolist() == [20, 10, 2]

    sizes = [np.bincount(truth[ask]).tolist() for _, ask in folds(truth, groups, 5, 3)]
    assert sizes == [[20, 10, 2]] * 5


def test_speakers_of_all_labels_are_asked_as_a_whole():
    truth = np.tile(np.arange(10), 60)
    groups = [f"speaker{i // 100}" for i in range(600)]

    _, ask = holdout(truth, groups, 0.2, 1)

    assert len({groups[i] for i in ask}) == 1
    assert len(ask) == 100


@pytest.mark.parametrize(
    ("total", "size", "step", "expected"),
    [
        (10, 4, 4, [0, 4, 8]),
        (9, 4, 4, [0, 4]),  # a rest of one is less than half a window
        (1, 4, 4, [0]),
        (10, 4, 2, [0, 2, 4, 6]),  # a window at 8 would hold nothing of its own
        (11, 4, 2, [0, 2, 4, 6, 8]),
    ],
)
def test_windows_have_half_a_window_at_least_and_something_of_their_own(
    total, size, step, expected
):
    assert starts(total, size, step) == expected
