"""Estimators made of estimators whose predictions are combined."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import vectorize
from .ensemble import LESS, regressor, stump
from .frame import Frame
from .graph import Value
from .ops import affine, concat, const, gather, mb
from .registry import maps
from .results import Scores, classes_of, probabilities, regress, regress_vector, score

_MEAN = "its members, and an ML Program that takes the mean"


def _joined(frame: Frame, values: list[Value], width: int, build: Any, what: str) -> Value:
    """A program of several vectors."""
    return frame.graph.program(what, values, [width], build)[0]


def weighted_mean(frame: Frame, values: list[Value], weights: Any) -> Value:
    """The mean of vectors of one width."""
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, float)
    weights = weights / weights.sum()

    def build(*parts: Any) -> Any:
        total = None
        for part, weight in zip(parts, weights, strict=True):
            term = mb.mul(x=part, y=np.float32(weight))
            total = term if total is None else mb.add(x=total, y=term)
        return total

    return _joined(frame, values, values[0].width, build, "mean")


def _one_hot(frame: Frame, scores: Scores) -> Value:
    """A vector with a one for the label."""
    decide = scores.decide or scores.value
    width = decide.width

    def build(x: Any) -> Any:
        best = mb.reduce_argmax(x=x, axis=0, keep_dims=True)
        on, off = np.float32(1), np.float32(0)
        vote = mb.one_hot(indices=best, one_hot_vector_size=width, on_value=on, off_value=off)
        return mb.reshape(x=vote, shape=[width])

    return frame.graph.compute("vote", decide, width, build)


@maps("classifier", "VotingClassifier", how="its members; the mean of probabilities, or votes")
def voting_classifier(estimator: Any, frame: Frame) -> Scores:
    """Soft: the mean of probabilities. Hard: the shares of votes, which are no probabilities."""
    classes_of(estimator)
    weights = estimator._weights_not_none
    members = estimator.estimators_
    if estimator.voting == "soft":
        values = [probabilities(m, frame, "VotingClassifier") for m in members]
        return Scores(weighted_mean(frame, values, weights))
    votes = [_one_hot(frame, score(m, frame)) for m in members]
    return Scores(weighted_mean(frame, votes, weights), probable=False)


@maps("regressor", "VotingRegressor", how=_MEAN)
def voting_regressor(estimator: Any, frame: Frame) -> Value:
    """The mean of the members."""
    values = [regress_vector(m, frame) for m in estimator.estimators_]
    return weighted_mean(frame, values, estimator._weights_not_none)


def _stacked(estimator: Any, frame: Frame) -> Frame:
    """The members' predictions as columns, as the final estimator takes them."""
    parts = []
    for member, method in zip(_fitted(estimator), estimator.stack_method_, strict=True):
        if method == "predict":
            parts.append(_predicted(member, frame))
            continue
        scores = score(member, frame)
        if scores.probable != (method == "predict_proba"):
            raise Problem(f"stacking on {method} of {type(member).__name__} is not mapped")
        columns = Frame.of(frame.graph, scores.value)
        binary = scores.value.width == 2
        parts.append(columns.take([1]) if binary else columns)
    if estimator.passthrough:
        parts.append(frame)
    return Frame(frame.graph, ()).join(parts)


def _fitted(estimator: Any) -> list[Any]:
    return [e for e in estimator.estimators_ if not isinstance(e, str)]


def _predicted(member: Any, frame: Frame) -> Frame:
    if getattr(member, "_estimator_type", "") == "classifier":
        raise Problem("stacking on labels is not mapped to Core ML", hint="stack_method='auto'")
    return Frame.of(frame.graph, regress(member, frame))


@maps("classifier", "StackingClassifier", how="its members, their scores as columns of the last")
def stacking_classifier(estimator: Any, frame: Frame) -> Scores:
    """The final estimator on the members' scores."""
    return score(estimator.final_estimator_, _stacked(estimator, frame))


@maps("regressor", "StackingRegressor", how="its members, their predictions as columns of the last")
def stacking_regressor(estimator: Any, frame: Frame) -> Value:
    """The final estimator on the members' predictions."""
    return regress(estimator.final_estimator_, _stacked(estimator, frame))


@maps("classifier", "BaggingClassifier", how=_MEAN)
def bagging_classifier(estimator: Any, frame: Frame) -> Scores:
    """The mean of probabilities, or the shares of votes where members have none."""
    count = len(classes_of(estimator))
    values = []
    for member, columns in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        scores = score(member, frame.take(columns))
        value = scores.value if scores.probable else _one_hot(frame, scores)
        known = np.asarray(member.classes_, int)
        if len(known) != count:  # a sample of the rows may lack a class
            spread = np.zeros((count, len(known)))
            spread[known, np.arange(len(known))] = 1.0
            value = frame.graph.compute("spread", value, count, _product(spread))
        values.append(value)
    return Scores(weighted_mean(frame, values, None))


def _product(matrix: Any) -> Any:
    return lambda x: affine(x, matrix)


@maps("regressor", "BaggingRegressor", how=_MEAN)
def bagging_regressor(estimator: Any, frame: Frame) -> Value:
    """The mean of the members on their columns."""
    pairs = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    return weighted_mean(frame, [regress_vector(m, frame.take(c)) for m, c in pairs], None)


@maps("classifier", "AdaBoostClassifier", how="its members; weighted votes (SAMME) or logarithms "
      "(SAMME.R), softmax")  # fmt: skip
def ada_boost_classifier(estimator: Any, frame: Frame) -> Scores:
    """Decisions of the weighted members, softmax of them divided by the classes less one."""
    count = len(classes_of(estimator))
    real = estimator.algorithm == "SAMME.R"
    weights = np.asarray(estimator.estimator_weights_[: len(estimator.estimators_)], float)
    if real:
        weights = np.ones(len(weights))
    values = []
    for member in estimator.estimators_:
        scores = score(member, frame)
        if scores.value.width != count:
            raise Problem("AdaBoostClassifier with members that lack a class is not mapped")
        values.append(_logarithms(frame, scores.value) if real else _one_hot(frame, scores))
    total = _weighted_sum(frame, values, weights / estimator.estimator_weights_.sum())

    def decide(x: Any) -> Any:
        if real:
            return x
        # Votes for a class count 1, against it -1 / (classes - 1).
        mean = mb.reduce_mean(x=x, axes=[0], keep_dims=True)
        return mb.mul(x=mb.sub(x=x, y=mean), y=np.float32(count / (count - 1)))

    decisions = frame.graph.compute("decisions", total, count, decide)
    # scikit-learn: two classes have the difference as their decision, and its half here.
    scale = 0.5 * 2.0 if count == 2 else 1.0 / (count - 1)
    result = frame.graph.compute(
        "probabilities",
        decisions,
        count,
        lambda x: mb.softmax(x=mb.mul(x=x, y=np.float32(scale)), axis=0),
    )
    return Scores(result)


def _logarithms(frame: Frame, value: Value) -> Value:
    least, factor = np.float32(np.finfo(np.float64).eps), float(value.width - 1)

    def build(p: Any) -> Any:
        logs = mb.log(x=mb.maximum(x=p, y=least))
        centred = mb.sub(x=logs, y=mb.reduce_mean(x=logs, axes=[0], keep_dims=True))
        return mb.mul(x=centred, y=np.float32(factor))

    return frame.graph.compute("logarithms", value, value.width, build)


def _weighted_sum(frame: Frame, values: list[Value], weights: Any) -> Value:
    total = float(np.sum(weights))
    mean = weighted_mean(frame, values, weights)
    return frame.graph.compute("sum", mean, mean.width, lambda x: mb.mul(x=x, y=np.float32(total)))


@maps("regressor", "AdaBoostRegressor", how="its members; their weighted median in an ML Program")
def ada_boost_regressor(estimator: Any, frame: Frame) -> Value:
    """The weighted median."""
    members = estimator.estimators_
    weights = const(np.asarray(estimator.estimator_weights_[: len(members)], float))
    values = [regress_vector(m, frame) for m in members]
    half = np.float32(0.5 * float(np.sum(weights)) * (1 - 1e-7))

    def build(*parts: Any) -> Any:
        together = concat(parts)
        ordered, which = mb.topk(x=together, k=len(parts), axis=0, ascending=True)
        risen = mb.cumsum(x=mb.gather(x=weights, indices=which, axis=0), axis=0)
        reached = mb.cast(x=mb.greater_equal(x=risen, y=half), dtype="fp32")
        first = mb.reduce_argmax(x=reached, axis=0, keep_dims=True)
        return mb.gather(x=ordered, indices=first, axis=0)

    return _joined(frame, values, 1, build, "median")


@maps("classifier", "OneVsRestClassifier", how="its members' scores, divided by their sum")
def one_vs_rest(estimator: Any, frame: Frame) -> Scores:
    """One against the rest."""
    count = len(classes_of(estimator))
    members = [score(m, frame) for m in estimator.estimators_]
    probable = all(m.probable for m in members)
    if len(members) == 1:
        return members[0]
    values = [m.value for m in members]
    decides = [m.decide or m.value for m in members]

    def seconds(*parts: Any) -> Any:
        return concat(gather(p, [1]) for p in parts)

    if not probable:
        return Scores(_joined(frame, values, count, seconds, "decisions"), probable=False)

    def build(*parts: Any) -> Any:
        each = seconds(*parts)
        return mb.real_div(x=each, y=mb.reduce_sum(x=each, axes=[0], keep_dims=True))

    value = _joined(frame, values, count, build, "probabilities")
    if decides == values:
        return Scores(value)
    return Scores(value, decide=_joined(frame, decides, count, seconds, "decisions"))


@maps("classifier", "OneVsOneClassifier", how="its members' votes and decisions")
def one_vs_one(estimator: Any, frame: Frame) -> Scores:
    """Votes of all pairs, with the sum of decisions to break ties."""
    count = len(classes_of(estimator))
    members = [score(m, frame) for m in estimator.estimators_]
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    probable = [m.probable for m in members]

    def build(*parts: Any) -> Any:
        second = concat(gather(p, [1]) for p in parts)
        # scikit-learn takes decisions if there are, else the second class's probability.
        shift = np.where(probable, 0.5, 0.0)
        wins = mb.cast(x=mb.greater(x=second, y=const(shift)), dtype="fp32")
        votes = np.zeros((count, len(pairs)))
        signs = np.zeros((count, len(pairs)))
        base = np.zeros(count)
        for place, (i, j) in enumerate(pairs):
            votes[i, place], votes[j, place] = -1, 1
            signs[i, place], signs[j, place] = -1, 1
            base[i] += 1
        confidence = affine(second, signs)
        size = mb.mul(x=mb.add(x=mb.abs(x=confidence), y=np.float32(1)), y=np.float32(3))
        return mb.add(x=affine(wins, votes, base), y=mb.real_div(x=confidence, y=size))

    if any(probable):
        raise Problem(
            "OneVsOneClassifier of estimators with probabilities is not mapped to Core ML",
            hint="take members with a decision function, such as LinearSVC or SVC",
        )
    values = [m.value for m in members]
    return Scores(_joined(frame, values, count, build, "votes"), probable=False)


@maps("regressor", "MultiOutputRegressor", how="its members side by side")
def multi_output(estimator: Any, frame: Frame) -> Value:
    """One model for each output."""
    return vectorize(frame.graph, [regress(m, frame) for m in estimator.estimators_])


@maps("regressor", "RegressorChain", how="its members, each with the ones before as columns")
def regressor_chain(estimator: Any, frame: Frame) -> Value:
    """Each output's model sees the outputs before it."""
    values: list[Value] = []
    for member in estimator.estimators_:
        seen = frame.join([Frame.of(frame.graph, value) for value in values])
        values.append(regress(member, seen))
    order = list(np.argsort(estimator.order_))
    return vectorize(frame.graph, [values[i] for i in order])


@maps(
    "classifier", "CalibratedClassifierCV", how="its members, sigmoid or isotonic steps, the mean"
)
def calibrated(estimator: Any, frame: Frame) -> Scores:
    """The mean of all calibrated members."""
    count = len(classes_of(estimator))
    values = [_calibrated(member, frame, count) for member in estimator.calibrated_classifiers_]
    return Scores(weighted_mean(frame, values, None))


def _calibrated(member: Any, frame: Frame, count: int) -> Value:
    scores = score(member.estimator, frame)
    inner = scores.value
    if len(member.estimator.classes_) != count:
        raise Problem("CalibratedClassifierCV with members that lack a class is not mapped")
    if scores.probable and _decides(member.estimator):
        if scores.decide is None and hasattr(_bare(member.estimator), "decision_function"):
            inner = _decisions_of(member.estimator, frame)
        elif scores.decide is not None:
            inner = scores.decide
    places = [1] if count == 2 else range(count)

    def build(x: Any) -> Any:
        parts = [
            _calibrator(c)(gather(x, [p])) for c, p in zip(member.calibrators, places, strict=True)
        ]
        if count == 2:
            return concat([mb.sub(x=np.float32(1), y=parts[0]), parts[0]])
        each = concat(parts)
        total = mb.reduce_sum(x=each, axes=[0], keep_dims=True)
        none = mb.cast(x=mb.equal(x=total, y=np.float32(0)), dtype="fp32")
        each = mb.add(x=each, y=none)  # nobody claims it: all alike
        return mb.real_div(x=each, y=mb.reduce_sum(x=each, axes=[0], keep_dims=True))

    return frame.graph.compute("calibrated", inner, count, build)


def _bare(estimator: Any) -> Any:
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def _decides(estimator: Any) -> bool:
    return hasattr(estimator, "decision_function")


def _decisions_of(estimator: Any, frame: Frame) -> Value:
    """The decision function of a linear model, which calibration takes before probabilities."""
    from .decisions import decision_function  # it needs the mappers of all families

    return decision_function(estimator, frame)


def _calibrator(calibrator: Any) -> Any:
    if type(calibrator).__name__ == "_SigmoidCalibration":
        a, b = np.float32(-calibrator.a_), np.float32(-calibrator.b_)
        return lambda x: mb.sigmoid(x=mb.add(x=mb.mul(x=x, y=a), y=b))
    return isotonic_steps(calibrator.X_thresholds_, calibrator.y_thresholds_)


def isotonic_steps(points: Any, values: Any) -> Any:
    """Linear between points, constant beyond them: a sum of clipped ramps."""
    low, high = const(points[:-1]), const(points[1:])
    steps = np.diff(values)
    width = np.where(high > low, high - low, np.float32(1))

    def build(x: Any) -> Any:
        if not len(steps):
            return mb.add(x=mb.mul(x=x, y=np.float32(0)), y=np.float32(values[0]))
        ramps = mb.clip(
            x=mb.real_div(x=mb.sub(x=x, y=low), y=width), alpha=np.float32(0), beta=np.float32(1)
        )
        return affine(ramps, steps[None, :], values[:1])

    return build


@maps(
    "classifier",
    "FixedThresholdClassifier",
    "TunedThresholdClassifierCV",
    how="its member's probabilities; the label by the threshold",
)
def thresholded(estimator: Any, frame: Frame) -> Scores:
    """The second class from its threshold on, whatever the greatest probability is."""
    inner = score(estimator.estimator_, frame)
    if not inner.probable:
        raise Problem(f"{type(estimator).__name__} on decisions is not mapped to Core ML")
    threshold = getattr(estimator, "best_threshold_", getattr(estimator, "threshold", "auto"))
    threshold = 0.5 if threshold == "auto" else float(threshold)
    positive = 1
    if getattr(estimator, "pos_label", None) is not None:
        positive = int(np.flatnonzero(estimator.classes_ == estimator.pos_label)[0])

    # Asked in doubles, and a little early: a mean of trees is a threshold up to its rounding.
    slack = 1e-12 if inner.value.dtype == "float64" else 1e-7
    yes, no = ([0.0, 1.0], [1.0, 0.0]) if positive else ([1.0, 0.0], [0.0, 1.0])
    question = stump(positive, threshold - slack, no, yes, LESS)
    decide = regressor(Frame.of(frame.graph, inner.value), [question], np.zeros(2))
    return Scores(inner.value, decide=decide)
