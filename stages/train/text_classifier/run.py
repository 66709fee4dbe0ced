"""Train a text classifier: read, learn a vocabulary, judge, learn once more on everything, save."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..._shared.problem.problem import Problem, told
from ..._shared.sequence_training import outcome
from ..._shared.sequence_training.judge import Learner, Verdict, finish, judge
from ..._shared.sequence_training.rows import Rows, fingerprints, indices
from ..._shared.text.files import save
from ..._shared.text.words import PADDING, UNKNOWN, WordTokenizer, learn_words
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, Input
from ..._shared.torch_setup.configure import configure
from .texts import Text, load

INPUT = "ids"


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    texts = load(job.inputs["texts"], params, "texts")
    labels = tuple(sorted({text.label for text in texts}))
    # Only what occurs in several texts is an entry, and no label is looked at: that a vocabulary
    # is learnt from all texts does not tell a judged one's answer.
    tokenizer = learn_words(
        (text.text for text in texts),
        params.ngrams,
        params.min_count,
        params.vocabulary,
        params.length,
    )
    if not tokenizer.vocabulary:
        raise Problem(
            f"no word occurs in {params.min_count} texts",
            hint="lower min_count, or give more texts",
        )
    data = _encoded(texts, tokenizer, labels, "texts")
    others = {
        role: _encoded(load(job.inputs[role], params, role), tokenizer, labels, role)
        for role in ("validation", "test")
        if role in job.inputs
    }
    arguments = _arguments(params, tokenizer)
    learner = Learner(
        params,
        labels,
        lambda _: build("text-net", arguments, len(labels)),
        job.progress,
        _changes(params),
    )
    watch = others.get("validation")
    verdict = judge(learner, data, others.get("test"), watch, labels)
    learnt = finish(learner, data, watch, verdict)
    scores = outcome.record_classifier(job, verdict.rows.truth, verdict.answers, labels)
    folds = outcome.record_folds(job, verdict)
    unknown = _unknown(verdict.rows)
    job.metric("texts", len(texts))
    job.metric("vocabulary", len(tokenizer.vocabulary))
    job.metric("unknown_words", unknown)
    job.metric("labels", len(labels))
    job.metric("epochs", learnt.epochs)
    outcome.plot_training(job, verdict)
    facts = {
        **outcome.classifier_facts(scores, verdict, learnt),
        "texts": len(texts),
        "vocabulary": len(tokenizer.vocabulary),
        "seed": params.seed,
    }
    description = Description(
        architecture="text-net",
        arguments=arguments,
        labels=labels,
        preprocessing=None,
        training=facts,
        task="text-classifier",
        facts={"tokenizer": tokenizer.to_json()},
        inputs=(Input(INPUT, (params.length,), "int32", "Numbers of words; 0 fills the end"),),
    )
    outcome.write_model(job, learnt, description)
    save(tokenizer, job.outputs["tokenizer"])
    _write_samples(job, verdict, labels)
    report = {
        **facts,
        "labels": list(labels),
        "unknown_words": unknown,
        "per_class": scores.per_class(),
        "confusion": scores.confusion.tolist(),
        "fold_accuracy": folds,
        "mistakes": outcome.mistakes(
            verdict.rows.truth, verdict.answers, verdict.rows.names, labels
        ),
        "curve": learnt.curve,
    }
    outcome.write_report(job, report)
    job.log(f"accuracy {scores.accuracy:.3f} of {scores.n} texts ({verdict.how})")


def _encoded(
    texts: list[Text], tokenizer: WordTokenizer, labels: tuple[str, ...], role: str
) -> Rows:
    ids = np.array([tokenizer.encode(text.text) for text in texts], dtype=np.int32)
    truth = indices([text.label for text in texts], labels, role)
    return Rows((ids,), truth, fingerprints([ids], truth), tuple(text.name for text in texts))


def _arguments(params: Any, tokenizer: WordTokenizer) -> dict[str, Any]:
    convolved = params.architecture == "convolution"
    return {
        "vocabulary": tokenizer.size,
        "length": params.length,
        "width": params.width,
        "filters": params.filters,
        "kernels": list(params.kernels) if convolved else [],
        "dropout": params.dropout,
    }


def _changes(params: Any) -> Any:
    if not params.word_dropout:
        return None

    def change(
        batch: tuple[torch.Tensor, ...], generator: torch.Generator
    ) -> tuple[torch.Tensor, ...]:
        (ids,) = batch
        dropped = torch.rand(ids.shape, generator=generator) < params.word_dropout
        return (torch.where(dropped & (ids != PADDING), UNKNOWN, ids),)

    return change


def _unknown(rows: Rows) -> float:
    ids = rows.inputs[0]
    return float((ids == UNKNOWN).sum() / max(1, int((ids != PADDING).sum())))


def _write_samples(job: Any, verdict: Verdict, labels: tuple[str, ...]) -> None:
    rows = verdict.rows
    outcome.write_samples(
        job.outputs["samples"],
        [{INPUT: ids} for ids in rows.inputs[0]],
        [name.rpartition("/")[2].rpartition(", ")[2] for name in rows.names],
        [labels[truth] for truth in rows.truth],
        job.params.samples,
    )
