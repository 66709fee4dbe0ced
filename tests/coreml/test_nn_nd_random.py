"""Random layers of neural networks: their distributions, seeds and limits."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

COUNT = 40_000
# How far a sample of COUNT may be from its distribution function (Kolmogorov): 1 in 10^7 by
# chance, and the seeds are fixed.
FAR = 2.9 / math.sqrt(COUNT)


def normal(x):
    return 0.5 * (1 + np.vectorize(math.erf)((x - 3) / (2 * math.sqrt(2))))


def uniform(x):
    return np.clip((x + 1) / 4, 0, 1)


def distance(sample, distribution):
    """Kolmogorov's distance between a sample and a distribution function."""
    ordered = np.sort(sample.reshape(-1).astype(np.float64))
    expected = distribution(ordered)
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return max(np.abs(expected - steps[:-1]).max(), np.abs(expected - steps[1:]).max())


CONTINUOUS = [
    ("normal", {"mean": 3.0, "stddev": 2.0}, normal),
    ("uniform", {"minval": -1.0, "maxval": 3.0}, uniform),
]


@pytest.mark.parametrize(("kind", "options", "distribution"), CONTINUOUS)
def test_the_distribution_is_that_of_the_specification(run_network, kind, options, distribution):
    shape = (2, COUNT // 2)

    def build(b):
        for n, seed in enumerate((-1, 7)):
            more = {"seed": seed, **options}
            getattr(b, f"add_random_{kind}_like")(f"l{n}", "x", f"l{n}", **more)
            getattr(b, f"add_random_{kind}_static")(f"s{n}", f"s{n}", list(shape), **more)
            getattr(b, f"add_random_{kind}_dynamic")(f"d{n}", ["shape"], f"d{n}", **more)

    fed = {"x": np.zeros(shape), "shape": np.float32(shape)}
    names = ("l0", "s0", "d0", "l1", "s1", "d1")
    found = run_network(build, fed, names, seed=5)
    for y in found:
        assert y.shape == shape
        assert distance(y, distribution) < FAR
    # The same seed of its own, the same numbers; those of the model's seed follow each other.
    np.testing.assert_array_equal(found[3], found[4])
    np.testing.assert_array_equal(found[3], found[5])
    assert not np.array_equal(found[0], found[1])


def test_an_event_happens_as_often_as_its_probability_says(run_network):
    def build(b):
        b.add_random_bernoulli_static("s", "y", [COUNT], prob=0.3)
        b.add_random_bernoulli_static("n", "never", [COUNT], prob=0.0)
        b.add_random_bernoulli_static("a", "always", [COUNT], prob=1.0)
        b.add_random_bernoulli_like("l", "y", "like", prob=0.3, seed=1)
        b.add_random_bernoulli_dynamic("d", ["shape"], "dynamic", prob=0.3, seed=1)

    y, never, always, like, dynamic = run_network(
        build, {"shape": [float(COUNT)]}, ("y", "never", "always", "like", "dynamic"), seed=1
    )
    assert set(np.unique(y)) == {0, 1}
    assert abs(y.mean() - 0.3) < 6 * math.sqrt(0.21 / COUNT)
    assert never.max() == 0
    assert always.min() == 1
    np.testing.assert_array_equal(like, dynamic)


@pytest.mark.parametrize(
    ("logits", "temperature", "shares"),
    [
        (True, 1.0, [0.2, 0.3, 0.5]),
        (True, 0.5, np.square([0.2, 0.3, 0.5]) / 0.38),  # a low temperature sharpens
        (False, 1.0, [0.2, 0.3, 0.5]),
        (True, 0.0, [0.2, 0.3, 0.5]),  # not set: 1
    ],
)
def test_indices_are_drawn_with_their_shares(run_network, logits, temperature, shares):
    probabilities = np.float32([0.2, 0.3, 0.5])
    rows = np.stack([probabilities, np.float32([0.0, 0.0, 1.0]) + 1e-12])[:, None]
    y = run_network(
        lambda b: b.add_categorical_distribution(
            "c", "x", "y", COUNT, is_logits=logits, temperature=temperature, seed=3
        ),
        {"x": np.log(rows) if logits else rows},
    )
    assert y.shape == (2, 1, COUNT)
    found = np.bincount(y[0, 0].astype(int), minlength=3) / COUNT
    np.testing.assert_allclose(found, shares, atol=6 * 0.5 / math.sqrt(COUNT))
    assert set(np.unique(y[1])) == {2}


def test_a_uniform_number_never_reaches_its_upper_end(run_network):
    # The two ends are neighbours in float32: half of all draws would round up.
    low = np.float32(1)
    high = np.nextafter(low, np.float32(2))
    y = run_network(
        lambda b: b.add_random_uniform_static("u", "y", [1000], minval=low, maxval=high), {}
    )
    np.testing.assert_array_equal(y, np.ones(1000))


def test_equal_seeds_of_the_model_draw_equal_numbers(run_network):
    def build(b):
        b.add_random_normal_static("n", "y", [8], stddev=1)

    first, again, other = (run_network(build, {}, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_any_seed_each_prediction_draws_anew(run_network):
    def build(b):
        b.add_random_normal_static("n", "y", [8], stddev=1)

    assert not np.array_equal(run_network(build, {}), run_network(build, {}))


def test_a_layer_with_a_seed_goes_on_within_a_loop_and_begins_anew_in_the_next_prediction(ct):
    from pathlib import Path

    from coremltools.models import datatypes, neural_network

    from mlbuild.coreml import load_spec

    b = neural_network.NeuralNetworkBuilder(
        [("x", datatypes.Array(1))], [("y", None)], disable_rank5_shape_mapping=True
    )
    b.add_load_constant_nd("all", "all", constant_value=np.zeros(1), shape=(1,))
    loop = b.add_loop("loop", max_iterations=3).loop
    body = neural_network.NeuralNetworkBuilder(nn_spec=loop.bodyNetwork)
    body.add_random_normal_static("n", "drawn", [1], stddev=1, seed=3)
    body.add_concat_nd("join", ["all", "drawn"], "joined", axis=0)
    body.add_copy("copy", "joined", "all")
    b.add_copy("out", "all", "y")
    model = load_spec(b.spec, Path())
    first, second = (model.predict({"x": [0.0]})["y"] for _ in range(2))
    assert len(set(first)) == 4
    np.testing.assert_array_equal(first, second)


def test_a_distribution_that_cannot_be_drawn_from_is_malformed(run_network):
    from mlbuild.coreml import ModelFileError

    with pytest.raises(ModelFileError) as failure:
        run_network(lambda b: b.add_categorical_distribution("c", "x", "y", 0), {"x": [1.0]})
    assert str(failure.value) == (
        "layer 0 'c', categoricalDistribution: a distribution that cannot be drawn from\n"
        "  got: 0 samples, temperature 1.0, eps 1.000000013351432e-10"
    )
