"""From probabilities of pairs of classes to probabilities of all classes.

Source: Wu, Lin and Weng, Probability Estimates for Multi-class Classification by Pairwise
Coupling, JMLR 5 (2004), the second of their methods: minimize p' Q p over distributions p. The
limits of the iteration are those that Chang and Lin give for LIBSVM (2011, section 8), whose
models Core ML's support vector classifiers are.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def couple(pairs: Any) -> Any:
    """One distribution that fits the pairs best.

    Args:
        pairs: [k, k], where [i, j] is the probability of class i if it is i or j, and
            [i, j] + [j, i] is 1; the diagonal is not read.

    Returns:
        [k], which sums to one.
    """
    pairs = np.array(pairs, np.float64)
    np.fill_diagonal(pairs, 0.0)
    count = len(pairs)
    q = -pairs * pairs.T
    np.fill_diagonal(q, (pairs**2).sum(axis=0))
    p = np.full(count, 1.0 / count)
    for _ in range(max(100, count)):
        product = q @ p
        value = p @ product
        if np.abs(product - value).max() < 0.005 / count:
            break
        for i in range(count):
            row = q[i]
            value = p @ q @ p
            p[i] += (value - row @ p) / row[i]
            p /= p.sum()
    return p
