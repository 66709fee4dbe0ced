"""Two models judged right or wrong on the same samples: how sure the difference is.

Only samples on which the two part say anything. ``losses`` are those that were right and are wrong
now, ``gains`` those that were wrong and are right now.
"""

from __future__ import annotations

from math import sqrt

Z_95 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution
Z_POWER = 0.8416212335729143  # 80 % quantile
_STEPS = 60  # of a bisection: 2 in 2**60 is below a float's own precision


def mcnemar(losses: int, gains: int) -> float:
    """Two-sided exact p-value that losses and gains are equally likely.

    Where they are, the losses among the samples that part are tosses of a coin: the p-value is
    twice the chance of a split as uneven as this one, at most 1. Of growing and falling errors in
    place of answers this is the sign test, by the same formula.

    Source: McNemar, Note on the sampling error of the difference between correlated proportions or
    percentages, Psychometrika 12 (1947); exact form as in Fagerland, Lydersen and Laake, The
    McNemar test for binary matched-pairs data, BMC Medical Research Methodology 13:91 (2013).
    """
    parted, fewer = int(losses) + int(gains), int(min(losses, gains))  # numpy's would overflow
    # Whole numbers of any size, divided once: no rounding, and no overflow of factorials.
    tail = term = 1
    for place in range(fewer):
        term = term * (parted - place) // (place + 1)
        tail += term
    return min(1.0, 2 * tail / 2**parted)


def score_interval(losses: int, gains: int, n: int) -> tuple[float, float]:
    """95 % interval of the share of losses less the share of gains, among ``n`` samples.

    All differences that a score test does not refuse. It never has width 0 (none of 20 samples
    that part still allow a loss of 0.16), and leaves out 0 where McNemar's test without
    continuity correction has a p-value below 0.05.

    Source: Tango, Equivalence test and confidence interval for the difference in proportions for
    the paired-sample design, Statistics in Medicine 17 (1998), equations 17 to 22.
    """
    middle = (losses - gains) / n
    low = _crossing(losses, gains, n, Z_95, -1.0, middle)
    high = _crossing(losses, gains, n, -Z_95, middle, 1.0)
    return min(low, middle), max(high, middle)


def _crossing(losses: int, gains: int, n: int, level: float, low: float, high: float) -> float:
    """Where the score, which falls with the difference, passes a level."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _score(losses, gains, n, middle) > level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _score(losses: int, gains: int, n: int, difference: float) -> float:
    """The score statistic of a difference, with the likeliest share of gains that allows it."""
    a = 2 * n
    b = -losses - gains + (2 * n - losses + gains) * difference
    c = -gains * difference * (1 - difference)
    share = (sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    spread = n * (2 * share + difference * (1 - difference))
    distance = losses - gains - n * difference
    if spread <= 0:  # at the ends of the scale, where nothing is left to chance
        return 0.0 if distance == 0 else distance * float("inf")
    return distance / sqrt(spread)


def detectable(parted: int, n: int) -> float:
    """The loss that ``n`` samples would have shown, by a 95 % interval, four times of five.

    Args:
        parted: samples on which the models part; a larger loss parts at least as many as it takes.
        n: all samples.

    Returns:
        A difference of shares, 1 where even a total loss might pass unseen.

    Source: Connor, Sample size for testing differences in proportions for the paired-sample
    design, Biometrics 43 (1987), solved for the difference.
    """
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        share = max(parted / n, middle)
        needed = Z_95 * sqrt(share) + Z_POWER * sqrt(max(0.0, share - middle**2))
        if needed**2 > n * middle**2:
            low = middle
        else:
            high = middle
    return high
