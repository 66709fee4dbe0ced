"""Accuracy of a Core ML classifier on labelled pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._shared.coreml_package.canonical import size_of
from ..._shared.images.listing import Item, labelled
from ..._shared.metrics_classification.scores import Scores, plot_confusion, record, score
from ..._shared.parity import figures
from ..._shared.parity.asking import ask
from ..._shared.parity.samples import Reader, Sample, spread
from ..._shared.parity.sides import CoreMLSide, match, open_side
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_setup.configure import configure
from .write import write

_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Answers:
    """What the models said to each picture; rows of logits in the order of the model's labels."""

    items: list[Item]
    truth: np.ndarray
    logits: np.ndarray
    reference: np.ndarray | None


@told
def run(job: Any) -> None:
    """Ask the model about every picture, count, report."""
    configure(job)
    params = job.params
    model = CoreMLSide(job.inputs["model"], params.precision, params.scaling)
    if not model.labels:
        raise Problem("the model is no classifier: it has no labels")
    reference, order = _reference(job, model)
    items = _items(job, model.labels)
    reader = Reader(skip=params.unreadable == "skip")
    answers = _ask(job, items, reader, model, reference)
    if order is not None:  # into the order of the model's own labels
        answers = replace(answers, reference=answers.reference[:, np.argsort(order)])
    scores = score(np.exp(figures.log_softmax(answers.logits)), answers.truth, model.labels)
    metrics = _record(job, answers, scores)
    write(job, answers, scores, metrics, reader.unreadable)


def _reference(job: Any, model: CoreMLSide) -> tuple[Any, np.ndarray | None]:
    path = job.inputs.get("reference")
    if path is None:
        return None, None
    reference = open_side(path, "float32", job.params.scaling)
    return reference, match(reference, model)


def _items(job: Any, labels: tuple[str, ...]) -> list[Item]:
    """The labelled pictures, under the model's own labels."""
    params = job.params
    found = labelled(job.inputs["samples"], params.path_column, params.label_column)
    here = {item.label for item in found}
    unused = sorted(set(params.labels) - here)
    if unused:
        raise Problem(f"labels: the samples have no {unused[0]!r}", f"they have {_some(here)}")
    items = [replace(item, label=params.labels.get(item.label, item.label)) for item in found]
    unknown = {item.label for item in items} - set(labels)
    if unknown and params.unknown == "fail":
        raise Problem(
            f"the model does not know {len(unknown)} of the labels: {_some(unknown)}",
            f"map them with `labels`, or set `unknown: skip`; it knows {_some(labels)}",
        )
    items = [item for item in items if item.label not in unknown]
    if not items:
        raise Problem(f"the model knows none of the labels: {_some(unknown)}")
    if unknown:
        job.log(f"left out, because the model does not know them: {_some(unknown)}")
    return spread(items, params.limit)


def _some(names: Any) -> str:
    names = sorted(names)
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _ask(job: Any, items: list[Item], reader: Reader, model: Any, reference: Any) -> Answers:
    sides = [side for side in (model, reference) if side is not None]
    samples = [Sample(item.name, item.path) for item in items]
    item_of = dict(zip(map(id, samples), items, strict=True))  # a table may name a picture twice

    def each(sample: Sample, picture: Any) -> tuple[Any, ...]:
        return (item_of[id(sample)], *(side.logits(picture) for side in sides))

    kept, rows, *others = zip(*ask(job, samples, reader, each), strict=True)
    logits = np.stack(rows)
    if not np.isfinite(logits).all():
        raise Problem(
            "the model gives scores that are not finite",
            "in float16 numbers end at 65504: convert with `precision: float32`",
        )
    truth = np.array([model.labels.index(item.label) for item in kept])
    return Answers(list(kept), truth, logits, np.stack(others[0]) if others else None)


def _record(job: Any, answers: Answers, scores: Scores) -> dict[str, Any]:
    """Record all metrics; gives back those of the whole set, for the report."""
    ranked, truth = figures.ranking(answers.logits), answers.truth
    best, k = ranked[:, 0], min(job.params.topk, ranked.shape[1])
    shares = {
        "accuracy": best == truth,
        "accuracy_topk": (ranked[:, :k] == truth[:, None]).any(axis=1),
    }
    numbers: dict[str, float] = {
        "log_loss": scores.log_loss,
        "calibration_error": scores.calibration_error,
        "f1_macro": _f1(scores),
        "samples": len(truth),
        "size_mb": size_of(job.inputs["model"]) / 1e6,
    }
    if answers.reference is not None:
        theirs = figures.ranking(answers.reference)[:, 0]
        shares["reference_accuracy"] = theirs == truth
        shares["agreement_top1"] = theirs == best
        numbers["drop"] = float(np.mean(theirs == truth) - np.mean(best == truth))
    record(job, scores)
    told_shares = {name: figures.share(hits).to_json() for name, hits in shares.items()}
    for name, value in told_shares.items():
        job.metric(name, value["value"], n=value["n"])
    for name, number in numbers.items():
        job.metric(name, number)
    plot_confusion(job, truth, best, scores)
    return {**told_shares, **numbers}


def _f1(scores: Scores) -> float:
    """Mean F1 over the classes that occur, 0 for one that is never right."""
    counts = scores.confusion
    right, true, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    present = true > 0
    return float(np.mean(2 * right[present] / (true[present] + said[present])))
