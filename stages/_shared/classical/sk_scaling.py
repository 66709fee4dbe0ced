"""Scalers and other transformers of single numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import scale
from .ensemble import LESS, LESS_EQUAL, Tree, regressor, stump
from .frame import Frame
from .ops import affine, concat, const, divide, gather, mb, where_positive
from .registry import maps

_SCALER = "Core ML's scaler, in doubles"


@maps("transformer", "StandardScaler", "RobustScaler", "MaxAbsScaler", how=_SCALER)
def centred_scaler(scaler: Any, frame: Frame) -> Frame:
    """Minus a centre, divided by a scale."""
    shift = getattr(scaler, "mean_", getattr(scaler, "center_", None))
    if not getattr(scaler, "with_mean", getattr(scaler, "with_centering", True)):
        shift = None
    factor = None if scaler.scale_ is None else 1.0 / scaler.scale_
    shift = None if shift is None else -shift
    return Frame.of(frame.graph, scale(frame.graph, frame.vector(), shift, factor))


@maps("transformer", "MinMaxScaler", how=f"{_SCALER}; with clip: an ML Program behind it")
def min_max_scaler(scaler: Any, frame: Frame) -> Frame:
    """To a range of values."""
    value = scale(frame.graph, frame.vector(), scaler.min_ / scaler.scale_, scaler.scale_)
    if scaler.clip:
        low, high = (np.float32(v) for v in scaler.feature_range)
        value = frame.graph.compute(
            "clipped", value, value.width, lambda x: mb.clip(x=x, alpha=low, beta=high)
        )
    return Frame.of(frame.graph, value)


@maps("transformer", "Normalizer", how="ML Program: divided by its norm, zeros stay zeros")
def normalizer(estimator: Any, frame: Frame) -> Frame:
    """Each row divided by its norm."""

    def build(x: Any) -> Any:
        size = mb.abs(x=x)
        if estimator.norm == "l1":
            norm = mb.reduce_sum(x=size, axes=[0], keep_dims=True)
        else:
            most = where_positive(mb.reduce_max(x=size, axes=[0], keep_dims=True), 1.0)
            if estimator.norm == "max":
                return mb.real_div(x=x, y=most)
            x = mb.real_div(x=x, y=most)  # so that no square is too great
            norm = mb.sqrt(x=mb.reduce_sum(x=mb.mul(x=x, y=x), axes=[0], keep_dims=True))
        return mb.real_div(x=x, y=where_positive(norm, 1.0))

    x = frame.vector()
    return Frame.of(frame.graph, frame.graph.compute("normalized", x, x.width, build))


@maps("transformer", "Binarizer", how="one question of a tree for each column, in doubles")
def binarizer(estimator: Any, frame: Frame) -> Frame:
    """1 above the threshold."""
    trees = [
        stump(i, estimator.threshold, [0.0], [1.0], LESS_EQUAL, False, i)
        for i in range(frame.width)
    ]
    return Frame.of(frame.graph, regressor(frame, trees, np.zeros(frame.width)))


@maps("transformer", "KBinsDiscretizer", how="one question of a tree for each edge, in doubles")
def k_bins(estimator: Any, frame: Frame) -> Frame:
    """Bins by their number, or one element for each."""
    trees, base = [], []
    one_hot = estimator.encode != "ordinal"
    for column, edges in enumerate(estimator.bin_edges_):
        first = len(base)
        base += [1.0] + [0.0] * (len(edges) - 2) if one_hot else [0.0]
        for number, edge in enumerate(edges[1:-1]):
            step, at = ([-1.0, 1.0], first + number) if one_hot else ([1.0], first)
            trees.append(stump(column, float(edge), np.zeros(len(step)), step, LESS, False, at))
    if not trees:
        trees.append(stump(0, 0.0, [0.0], [0.0]))
    return Frame.of(frame.graph, regressor(frame, trees, base))


@maps("transformer", "PolynomialFeatures", how="ML Program: products of gathered columns")
def polynomial_features(estimator: Any, frame: Frame) -> Frame:
    """Products of columns."""
    powers = estimator.powers_
    x, degree = frame.vector(), max(1, int(powers.sum(axis=1).max()))
    # Each product's columns, filled up with a column of ones at the end.
    factors = np.full((len(powers), degree), x.width)
    for number, row in enumerate(powers):
        columns = np.repeat(np.arange(x.width), row)
        factors[number, : len(columns)] = columns

    def build(x: Any) -> Any:
        extended = mb.concat(values=[x, np.ones(1, np.float32)], axis=0)
        product = gather(extended, factors[:, 0])
        for place in range(1, degree):
            product = mb.mul(x=product, y=gather(extended, factors[:, place]))
        return product

    return Frame.of(frame.graph, frame.graph.compute("products", x, len(powers), build))


@maps("transformer", "PowerTransformer", how="ML Program, with a series where powers would cancel")
def power_transformer(estimator: Any, frame: Frame) -> Frame:
    """Yeo-Johnson or Box-Cox, then standardized."""
    lambdas = np.asarray(estimator.lambdas_, float)
    x = frame.vector()

    def build(x: Any) -> Any:
        if estimator.method == "box-cox":
            return _power(mb.log(x=x), lambdas)
        above, below = mb.maximum(x=x, y=np.float32(0)), mb.minimum(x=x, y=np.float32(0))
        one = np.float32(1)
        up = _power(mb.log(x=mb.add(x=above, y=one)), lambdas)
        down = _power(mb.log(x=mb.sub(x=one, y=below)), 2.0 - lambdas)
        return mb.sub(x=up, y=down)

    value = frame.graph.compute("powers", x, x.width, build)
    result = Frame.of(frame.graph, value)
    return centred_scaler(estimator._scaler, result) if estimator.standardize else result


def _power(logarithm: Any, exponents: Any) -> Any:
    """(exp(exponent * logarithm) - 1) / exponent, or the logarithm where the exponent is zero."""
    zero = np.abs(exponents) < np.spacing(1.0)
    exponents = np.where(zero, 1.0, exponents)
    y = mb.mul(x=logarithm, y=const(exponents))
    series = np.ones(1, np.float32)
    for divisor in range(9, 1, -1):
        series = mb.add(
            x=mb.mul(x=mb.mul(x=y, y=np.float32(1.0 / divisor)), y=series), y=np.float32(1)
        )
    near = mb.less(x=mb.abs(x=y), y=np.float32(0.5))
    grown = mb.select(cond=near, a=mb.mul(x=y, y=series), b=mb.sub(x=mb.exp(x=y), y=np.float32(1)))
    result = mb.real_div(x=grown, y=const(exponents))
    return mb.select(cond=zero, a=logarithm, b=result) if zero.any() else result


@maps(
    "transformer",
    "QuantileTransformer",
    how="ML Program: a sum of clipped ramps; jumps by trees in doubles",
)
def quantile_transformer(estimator: Any, frame: Frame) -> Frame:
    """To shares of the training values below."""
    if estimator.output_distribution != "uniform":
        raise Problem(
            "QuantileTransformer to a normal distribution is not mapped to Core ML",
            hint="output_distribution='uniform' is",
        )
    quantiles, shares = np.asarray(estimator.quantiles_).T, np.asarray(estimator.references_)
    middle = quantiles.mean(axis=1)
    spread = np.ptp(quantiles, axis=1)
    spread = np.where(spread == 0, 1.0, spread)
    # In doubles to -1..1 first, so that neighbouring quantiles stay apart in float32.
    x = scale(frame.graph, frame.vector(), -middle, 1.0 / spread)
    edges = (quantiles - middle[:, None]) / spread[:, None]
    jumps = _jumps(quantiles, np.diff(shares))
    if not jumps:
        value = frame.graph.compute("shares", x, x.width, _ramps(edges, shares))
        return Frame.of(frame.graph, value)
    risen = regressor(frame, jumps, np.zeros(x.width))
    ramps = _ramps(edges, shares)
    both = frame.graph.program(
        "shares", [x, risen], [x.width], lambda x, y: mb.add(x=ramps(x), y=y)
    )
    return Frame.of(frame.graph, both[0])


def _jumps(quantiles: Any, steps: Any) -> list[Tree]:
    """Equal quantiles are a jump, asked in doubles: on it stands its middle, or the end's value."""
    trees = []
    for column, values in enumerate(quantiles):
        for place in np.flatnonzero(values[:-1] == values[1:]):
            value, step = float(values[place]), float(steps[place])
            from_here = 1.0 if value == values[-1] else 0.5
            if value == values[0]:
                from_here = 0.0
            for share, compare in ((from_here, LESS), (1.0 - from_here, LESS_EQUAL)):
                if share:
                    high = [share * step]
                    trees.append(stump(column, value, [0.0], high, compare, False, column))
    return trees


def _ramps(edges: Any, shares: Any) -> Any:
    """The sum of what rises between different quantiles."""
    flat = edges[:, :-1] == edges[:, 1:]
    low, width = const(edges[:, :-1]), const(np.where(flat, 1.0, np.diff(edges, axis=1)))
    steps = const(np.where(flat, 0.0, np.diff(shares)[None, :]))

    def build(x: Any) -> Any:
        part = mb.real_div(x=mb.sub(x=mb.expand_dims(x=x, axes=[1]), y=low), y=width)
        ramp = mb.clip(x=part, alpha=np.float32(0), beta=np.float32(1))
        return mb.reduce_sum(x=mb.mul(x=ramp, y=steps), axes=[1], keep_dims=False)

    return build


_FUNCTIONS = {
    "log": lambda x: mb.log(x=x, epsilon=np.float32(0)),
    "log1p": lambda x: mb.log(x=mb.add(x=x, y=np.float32(1)), epsilon=np.float32(0)),
    "log2": lambda x: mb.mul(x=mb.log(x=x, epsilon=np.float32(0)), y=np.float32(1 / np.log(2))),
    "log10": lambda x: mb.mul(x=mb.log(x=x, epsilon=np.float32(0)), y=np.float32(1 / np.log(10))),
    "exp": lambda x: mb.exp(x=x),
    "sqrt": lambda x: mb.sqrt(x=x),
    "absolute": lambda x: mb.abs(x=x),
    "square": lambda x: mb.mul(x=x, y=x),
    "sin": lambda x: mb.sin(x=x),
    "cos": lambda x: mb.cos(x=x),
    "tanh": lambda x: mb.tanh(x=x),
    "negative": lambda x: mb.mul(x=x, y=np.float32(-1)),
    "reciprocal": lambda x: mb.real_div(x=np.float32(1), y=x),
}


@maps("transformer", "FunctionTransformer", how="ML Program, for functions of numpy by name")
def function_transformer(estimator: Any, frame: Frame) -> Frame:
    """Nothing, or one of numpy's functions."""
    function = estimator.func
    if function is None:
        return frame
    name = getattr(function, "__name__", "?")
    if not isinstance(function, np.ufunc) or name not in _FUNCTIONS or estimator.kw_args:
        raise Problem(
            f"FunctionTransformer calls {name}, which is code, not a model",
            hint=f"numpy's functions can be mapped: {', '.join(sorted(_FUNCTIONS))}",
        )
    x = frame.vector()
    return Frame.of(frame.graph, frame.graph.compute(name, x, x.width, _FUNCTIONS[name]))


@maps(
    "transformer",
    "SplineTransformer",
    how="ML Program: each interval's polynomial, chosen by ramps",
)
def spline_transformer(estimator: Any, frame: Frame) -> Frame:
    """B-splines with constant extrapolation, one polynomial for each interval."""
    if estimator.extrapolation != "constant" or any(
        spline.c.ndim != 2 for spline in estimator.bsplines_
    ):
        raise Problem(
            f"SplineTransformer with extrapolation='{estimator.extrapolation}' is not mapped",
            hint="extrapolation='constant' is",
        )
    x = frame.vector()
    parts = [_spline(s, estimator.degree, estimator.include_bias) for s in estimator.bsplines_]
    width = sum(w for w, _ in parts)

    def build(x: Any) -> Any:
        return concat(make(gather(x, [i])) for i, (_, make) in enumerate(parts))

    return Frame.of(frame.graph, frame.graph.compute("splines", x, width, build))


def _spline(spline: Any, degree: int, bias: bool) -> tuple[int, Any]:
    knots = spline.t[degree : len(spline.t) - degree]
    count = len(spline.t) - degree - 1 - (0 if bias else 1)
    spans = len(knots) - 1
    weights = np.zeros((count, spans * (degree + 1)))
    for span in range(spans):
        points = np.linspace(0, 1, degree + 1)
        at = knots[span] + (knots[span + 1] - knots[span]) * points
        values = np.nan_to_num(spline(np.clip(at, knots[0], knots[-1])))[:, :count]
        fitted = np.linalg.solve(np.vander(points, increasing=True), values)
        weights[:, span * (degree + 1) : (span + 1) * (degree + 1)] = fitted.T
    low, high = knots[:-1], knots[1:]

    def build(x: Any) -> Any:
        x = mb.clip(x=x, alpha=np.float32(knots[0]), beta=np.float32(knots[-1]))
        inside = mb.logical_and(
            x=mb.greater_equal(x=x, y=const(np.append(low[:1] - 1, low[1:]))),
            y=mb.less(x=x, y=const(np.append(high[:-1], high[-1] + 1 + abs(high[-1])))),
        )
        chosen = mb.cast(x=inside, dtype="fp32")
        part = divide(mb.sub(x=x, y=const(low)), const(high - low))
        terms, power = [], chosen
        for _ in range(degree + 1):
            terms.append(power)
            power = mb.mul(x=power, y=part)
        ordered = mb.reshape(x=mb.stack(values=terms, axis=1), shape=[spans * (degree + 1)])
        return affine(ordered, weights)

    return count, build
