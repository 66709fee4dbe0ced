"""Bayesian probit regression over discrete features.

The regression output is a Gaussian: its mean is that of the bias plus those of the weights of
the features' values, its variance the sum of theirs (each the inverse of a precision). Features
and values without a weight add nothing.

The prediction is Phi(mean / beta). The message has no field for beta, nor does the specification
give a formula for the additional outputs; here beta is 1, the pessimistic probability is
Phi(mean + optimism * deviation), with an optimism of 0 if none is given, and the sampled one is
Phi(mean + z * samplingScale * deviation), where z is drawn from the standard normal, cut off at
plus and minus samplingTruncation. A scale that is not given is 1, a truncation infinite.

Source: Core ML specification, BayesianProbitRegressor.proto.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from ...body import Ran
from ...errors import InputError
from ..kind import Computation, Given, kind
from ..links import normal_cdf

_Weights = dict[tuple[int, int], tuple[float, float]]
_STANDARD = NormalDist()


@kind("bayesianProbitRegressor")
def bayesian_probit(given: Given) -> Computation:
    """Predicts a probability; more outputs where the model names them."""
    params, described = given.params, given.description
    weights = _weights(given)
    bias = (params.bias.mean, _variance(given, params.bias, "the bias"))
    source = params.regressionInputFeatureName
    if source not in {feature.name for feature in given.inputs}:
        raise given.wrong("the regression input is not described", repr(source))

    def run(values: Mapping[str, Any]) -> Ran:
        found = [weights[pair] for pair in _pairs(given, values[source]) if pair in weights]
        mean = bias[0] + math.fsum(each[0] for each in found)
        variance = bias[1] + math.fsum(each[1] for each in found)
        deviation = math.sqrt(variance)
        optimism = values.get(params.optimismInputFeatureName, 0.0)
        named = {
            described.predicted_feature: float(normal_cdf(mean)),
            params.meanOutputFeatureName: mean,
            params.varianceOutputFeatureName: variance,
            params.pessimisticProbabilityOutputFeatureName: float(
                normal_cdf(mean + optimism * deviation)
            ),
            params.sampledProbabilityOutputFeatureName: float(
                normal_cdf(mean + _draw(given, values) * deviation)
            ),
        }
        between = {"mean": mean, "variance": variance}
        return Ran({name: value for name, value in named.items() if name}, between)

    return Computation(run, values=("mean", "variance"))


def _weights(given: Given) -> _Weights:
    weights: _Weights = {}
    for feature in given.params.features:
        if feature.featureId >= given.params.numberOfFeatures:
            raise given.wrong(
                "a weight for a feature beyond the number of features",
                feature.featureId,
                (f"below {given.params.numberOfFeatures}",),
            )
        for weight in feature.weights:
            pair = (feature.featureId, weight.featureValue)
            if pair in weights:
                raise given.wrong("two weights for the same value of a feature", pair)
            variance = _variance(given, weight.featureWeight, f"feature and value {pair}")
            weights[pair] = (weight.featureWeight.mean, variance)
    return weights


def _variance(given: Given, gaussian: Any, what: str) -> float:
    if not gaussian.precision > 0:
        raise given.wrong(f"the precision of {what} is not positive", gaussian.precision)
    return 1.0 / float(gaussian.precision)


def _pairs(given: Given, value: Any) -> list[tuple[int, int]]:
    """Feature and value: of a vector by position, of two columns as they stand."""
    array = value.numpy()
    if array.ndim == 1:
        pairs = list(enumerate(array.tolist()))
    elif array.ndim == 2 and array.shape[1] == 2:
        pairs = [(int(feature), int(number)) for feature, number in array.tolist()]
    else:
        raise InputError(
            "neither a vector nor a matrix of two columns",
            place=given.type,
            got=str(list(array.shape)),
        )
    for feature, _ in pairs:
        if not 0 <= feature < given.params.numberOfFeatures:
            raise InputError(
                "a feature that the model does not have",
                place=given.type,
                got=str(feature),
                allowed=(f"0 to {given.params.numberOfFeatures - 1}",),
            )
    return pairs


def _draw(given: Given, values: Mapping[str, Any]) -> float:
    scale = float(values.get(given.params.samplingScaleInputFeatureName, 1.0))
    bound = float(values.get(given.params.samplingTruncationInputFeatureName, math.inf))
    generator = np.random.default_rng(given.options.seed)
    low, high = _STANDARD.cdf(-abs(bound)), _STANDARD.cdf(abs(bound))
    at = low + (high - low) * generator.random()
    z = _STANDARD.inv_cdf(min(max(at, 1e-300), 1 - 1e-16))
    return scale * min(max(z, -abs(bound)), abs(bound))
