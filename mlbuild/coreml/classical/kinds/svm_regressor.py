"""Support vector regression: the weighted sum of kernels less rho.

Source: Core ML specification, SVM.proto (SupportVectorRegressor); the sign of rho, which it does
not give, is that of LIBSVM's decision function (Chang and Lin, 2011, section 2.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ..kernels import read_kernel
from ..kind import Computation, Given, kind
from ..outputs import check_regressor
from ..vectors import vectorizer


@kind("supportVectorRegressor")
def svm_regressor(given: Given) -> Computation:
    """Predicts one number."""
    name = check_regressor(given, 1)
    kernel, count, width = read_kernel(given)
    weights = np.array(given.params.coefficients.alpha, np.float64)
    if len(weights) != count:
        raise given.wrong(
            "the number of coefficients is not that of the support vectors",
            len(weights),
            (count,),
        )
    rho = given.params.rho
    vectorize = vectorizer(given, width)

    def run(values: Mapping[str, Any]) -> Ran:
        return Ran({name: float(weights @ kernel(vectorize(values))) - rho}, {})

    return Computation(run)
