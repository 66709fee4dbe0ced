"""How sure a difference between two models is: against tables, other formulas and simulations."""

from functools import lru_cache
from math import sqrt

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from mlbuild.stages._shared.paired.counting import (  # noqa: E402
    Z_95,
    detectable,
    mcnemar,
    score_interval,
)
from mlbuild.stages._shared.paired.resampling import (  # noqa: E402
    bootstrap_interval,
    detectable_mean,
)
from scipy import optimize, stats  # noqa: E402

pytestmark = pytest.mark.toolchain

COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 400))


def test_mcnemar_is_what_a_published_example_says():
    # Airway responsiveness before and after stem cell transplantation, 1 against 7 of 21:
    # Fagerland, Lydersen and Laake (2013), table 1 and section "Results": exact conditional 0.070.
    assert mcnemar(1, 7) == pytest.approx(0.0703125, abs=1e-12)


@given(st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_mcnemar_is_the_binomial_test_of_scipy(losses, gains):
    told = stats.binomtest(losses, losses + gains).pvalue if losses + gains else 1.0
    assert mcnemar(losses, gains) == pytest.approx(told, rel=1e-9)


def test_mcnemar_takes_whole_numbers_of_numpy_and_large_ones():
    assert mcnemar(np.int64(40), np.int64(61)) == pytest.approx(0.0460440669)
    assert mcnemar(20_000, 20_300) == pytest.approx(0.136374, abs=1e-6)
    assert mcnemar(0, 5000) == 0.0


def test_the_score_interval_is_what_a_published_example_says():
    # The same example: Fagerland, Lydersen and Laake, Recommended tests and confidence intervals
    # for paired binomial proportions, Statistics in Medicine 33 (2014): Tango -0.517 to -0.026.
    low, high = score_interval(1, 7, 21)
    assert (round(low, 3), round(high, 3)) == (-0.517, -0.026)


def test_the_score_interval_inverts_the_test_of_a_likelihood_that_is_maximised_numerically():
    for losses, gains, n in [(7, 1, 21), (0, 3, 50), (12, 9, 200), (5, 5, 12)]:
        for end, sign in zip(score_interval(losses, gains, n), (1, -1), strict=True):
            assert _score_of(losses, gains, n, end) == pytest.approx(sign * Z_95, abs=1e-4)


def _score_of(losses, gains, n, difference):
    """The score statistic, its nuisance parameter found by search and not by Tango's formula."""

    def unlikely(share):
        parts = (share + difference, share, 1 - 2 * share - difference)
        counts = (losses, gains, n - losses - gains)
        if any(p < 0 or (p == 0 and c) for p, c in zip(parts, counts, strict=True)):
            return np.inf
        return -sum(c * np.log(p) for p, c in zip(parts, counts, strict=True) if c)

    bounds = (max(0, -difference), (1 - difference) / 2)
    found = optimize.minimize_scalar(
        unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    )
    spread = 2 * found.x + difference - difference**2
    return (losses - gains - n * difference) / sqrt(n * spread)


@given(COUNTS)
@settings(max_examples=80, deadline=None)
def test_an_interval_holds_the_difference_and_is_mirrored_when_the_models_change_places(case):
    losses, gains, rest = case
    n = losses + gains + rest
    low, high = score_interval(losses, gains, n)
    assert -1 <= low <= (losses - gains) / n <= high <= 1
    assert low < high
    assert score_interval(gains, losses, n) == pytest.approx((-high, -low), abs=1e-9)


@given(COUNTS)
@settings(max_examples=80, deadline=None)
def test_the_interval_leaves_out_0_exactly_where_the_uncorrected_test_is_significant(case):
    losses, gains, rest = case
    low, high = score_interval(losses, gains, losses + gains + rest)
    parted = losses + gains
    statistic = abs(losses - gains) / sqrt(parted) if parted else 0.0
    if abs(statistic - Z_95) > 1e-6:
        assert (low > 0 or high < 0) == (statistic > Z_95)


def test_few_samples_without_a_change_prove_little():
    assert score_interval(0, 0, 20)[1] == pytest.approx(0.161, abs=0.001)
    assert score_interval(0, 0, 1000)[1] < 0.004
    assert score_interval(3, 0, 3)[1] == 1.0


def test_the_bootstrap_is_scipys_and_repeats_itself():
    differences = np.random.default_rng(4).gamma(2, 1, 80) - 1.7
    ours = bootstrap_interval(differences, 10_000, seed=1)
    theirs = stats.bootstrap(
        (differences,), np.mean, n_resamples=10_000, method="percentile", rng=2
    ).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.01)
    assert ours == bootstrap_interval(differences, 10_000, seed=1)
    assert ours != bootstrap_interval(differences, 10_000, seed=3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_the_bootstrap_holds_the_mean(values):
    low, high = bootstrap_interval(np.array(values), 1000)
    assert low <= np.mean(values) <= high


def test_equal_errors_have_an_interval_of_no_width():
    assert bootstrap_interval(np.zeros(9)) == (0.0, 0.0)


BLOCKED = 0.05  # the most that chance may block, by `drop: {max_lower: 0}`


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("parted", [0.02, 0.05, 0.1, 0.3])
def test_models_that_are_equally_good_are_seldom_blocked(n, parted):
    draws = np.random.default_rng(1).multinomial(n, [parted / 2, parted / 2, 1 - parted], 2000)
    low = lru_cache(None)(lambda losses, gains: score_interval(losses, gains, n)[0])
    blocked = np.mean([low(int(losses), int(gains)) > 0 for losses, gains, _ in draws])
    assert blocked <= BLOCKED


@pytest.mark.parametrize(("n", "parted"), [(300, 0.05), (1000, 0.1), (2000, 0.04)])
def test_the_loss_that_is_called_detectable_is_blocked_four_times_of_five(n, parted):
    loss = detectable(round(parted * n), n)
    shares = [(parted + loss) / 2, (parted - loss) / 2, 1 - parted]
    draws = np.random.default_rng(2).multinomial(n, shares, 2000)
    low = lru_cache(None)(lambda losses, gains: score_interval(losses, gains, n)[0])
    blocked = np.mean([low(int(losses), int(gains)) > 0 for losses, gains, _ in draws])
    assert blocked == pytest.approx(0.8, abs=0.05)


def test_non_inferiority_is_seldom_proven_of_a_model_that_lost_more():
    # `drop: {max_upper: 0.02}` of models that lost 2 points: 2.5 % on paper.
    n, draws = 1500, np.random.default_rng(3).multinomial(1500, [0.05, 0.03, 0.92], 2000)
    high = lru_cache(None)(lambda losses, gains: score_interval(losses, gains, n)[1])
    passed = np.mean([high(int(losses), int(gains)) < 0.02 for losses, gains, _ in draws])
    assert passed <= BLOCKED


def test_equal_mean_errors_are_seldom_blocked_by_the_bootstrap():
    random = np.random.default_rng(5)
    blocked = 0
    for _ in range(300):
        pair = random.gamma(1.5, 1, (2, 60))  # skewed, as errors are
        blocked += bootstrap_interval(pair[1] - pair[0], 1000)[0] > 0
    assert blocked / 300 <= BLOCKED


def test_a_detectable_mean_is_the_textbooks_and_nothing_from_one_sample():
    differences = np.array([1.0, -1.0] * 50)
    assert detectable_mean(differences) == pytest.approx(2.8016 * 1.00504 / 10, rel=1e-4)
    assert detectable_mean(np.array([3.0])) == 0.0
    assert detectable(0, 3) == 1.0
