"""Random operators: distributions against scipy-free statistics, and what a seed promises."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

X = {"x": np.zeros(1, np.float32)}
COUNT = 100_000
# A count's standard deviation is at most sqrt(n) / 2; five of them fail once in two million runs,
# and the seeds are fixed.
MARGIN = 5 * np.sqrt(COUNT) / 2


def draw(save_program, build, opset="iOS15", seed=7, **options):
    from mlbuild.coreml import load

    model = load(save_program(build, X, opset, **options), seed=seed)
    (values,) = (v for v in model.predict(X).values() if v.size > 1)
    return values


def with_input(mb, x, drawn):
    return mb.add(x=x, y=x, name="unused"), drawn


def test_uniform_fills_its_interval_evenly_and_leaves_its_end_out(save_program):
    def build(mb, x):
        return with_input(mb, x, mb.random_uniform(shape=[COUNT], low=-2.0, high=3.0))

    values = draw(save_program, build)
    counts, _ = np.histogram(values, bins=10, range=(-2, 3))
    assert np.abs(counts - COUNT / 10).max() < MARGIN
    assert values.min() >= -2 and values.max() < 3


def test_uniform_never_reaches_its_end_where_numbers_are_coarse(save_program):
    """At 2048 float16 has steps of 2: only 2048 and 2050 lie in [2048, 2052)."""

    def build(mb, x):
        return with_input(
            mb, x, mb.random_uniform(shape=[1000], low=np.float16(2048), high=np.float16(2052))
        )

    values = draw(save_program, build, precision="float16", opset="iOS16")
    assert set(values.tolist()) == {2048.0, 2050.0}


def test_uniform_of_equal_ends_is_that_end(save_program):
    def build(mb, x):
        return with_input(mb, x, mb.random_uniform(shape=[5], low=1.5, high=1.5))

    np.testing.assert_array_equal(draw(save_program, build), [1.5] * 5)


def test_normal_has_the_shares_of_a_bell(save_program):
    def build(mb, x):
        return with_input(mb, x, mb.random_normal(shape=[COUNT], mean=4.0, stddev=0.5))

    values = (draw(save_program, build) - 4.0) / 0.5
    for limit, share in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        assert abs((np.abs(values) < limit).sum() - share * COUNT) < MARGIN
    assert abs((values > 0).sum() - COUNT / 2) < MARGIN


def test_bernoulli_draws_ones_with_its_probability(save_program):
    def build(mb, x):
        return with_input(mb, x, mb.random_bernoulli(shape=[COUNT], prob=0.3))

    values = draw(save_program, build)
    assert set(values.tolist()) == {0.0, 1.0}
    assert abs(values.sum() - 0.3 * COUNT) < MARGIN


@pytest.mark.parametrize("mode", ["logits", "probs"])
def test_categorical_draws_classes_by_their_shares(save_program, mode):
    shares = np.array([[0.5, 0.25, 0.25], [0.0, 0.9, 0.1]], np.float32)
    given = shares if mode == "probs" else np.log(np.maximum(shares, 1e-30))

    def build(mb, x):
        logits = mb.mul(x=given, y=mb.add(x=x, y=1.0))
        return with_input(mb, x, mb.random_categorical(x=logits, size=COUNT, mode=mode))

    values = draw(save_program, build)
    assert values.shape == (2, COUNT)
    for row, expected in zip(values.astype(int), shares, strict=True):
        assert np.abs(np.bincount(row, minlength=3) - expected * COUNT).max() < MARGIN


def normal(seed=-1, shape=(4,)):
    def build(mb, x):
        return with_input(mb, x, mb.random_normal(shape=list(shape), seed=seed))

    return build


def test_an_operators_own_seed_decides_whatever_the_models_seed_is(save_program):
    path = save_program(normal(seed=3), X)
    from mlbuild.coreml import load

    drawn = [load(path, seed=s).predict(X)["random_normal_0"] for s in (None, 1, 2)]
    again = load(path)
    drawn += [again.predict(X)["random_normal_0"] for _ in range(2)]
    for other in drawn[1:]:
        np.testing.assert_array_equal(other, drawn[0])


def test_a_models_seed_makes_each_run_repeat_itself(save_program):
    from mlbuild.coreml import load

    path = save_program(normal(), X)
    first, second = load(path, seed=1), load(path, seed=1)
    expected = first.predict(X)["random_normal_0"]
    np.testing.assert_array_equal(first.predict(X)["random_normal_0"], expected)
    np.testing.assert_array_equal(second.predict(X)["random_normal_0"], expected)
    assert not np.array_equal(load(path, seed=2).predict(X)["random_normal_0"], expected)


def test_without_any_seed_each_run_draws_anew(save_program):
    from mlbuild.coreml import load

    model = load(save_program(normal(), X))
    drawn = [model.predict(X)["random_normal_0"] for _ in range(2)]
    assert not np.array_equal(*drawn)


def test_two_operators_and_two_rounds_of_a_loop_draw_different_numbers(save_program):
    from mlbuild.coreml import load

    def build(mb, x):
        first = mb.random_normal(shape=[3], name="first")
        second = mb.random_normal(shape=[3], name="second")
        _, rounds = mb.while_loop(
            _cond=lambda i, sums: mb.less(x=mb.reduce_sum(x=i), y=2.0),
            _body=lambda i, sums: (
                mb.add(x=i, y=1.0),
                mb.sub(x=mb.random_normal(shape=[3], seed=5), y=sums),
            ),
            loop_vars=(x, mb.mul(x=first, y=0.0)),
            name="rounds",
        )
        return first, second, rounds

    ran = load(save_program(build, X), seed=1).predict(X)
    first, second, difference = ran.values()
    assert not np.array_equal(first, second)
    assert np.abs(difference).min() > 0  # the second round's numbers less the first round's
