"""Train a sound classifier: read, cut, judge, learn once more on everything, save."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..._shared.problem.problem import Problem, told
from ..._shared.sequence_training import outcome
from ..._shared.sequence_training.judge import Learner, Verdict, finish, judge
from ..._shared.sequence_training.rows import Rows
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.log_mel import empty_bands
from ..._shared.torch_model.model_file import Description, Input
from ..._shared.torch_model.sequence_nets import FLOAT32_MODULES
from ..._shared.torch_setup.configure import configure
from .windows import Windows, by_recording, changes, load, window_size

INPUT = "audioSamples"  # what Sound Analysis and Create ML call it
_BATCH = 256


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    arguments = _arguments(params)
    data, labels = load(job, "sounds", None)
    others = {r: load(job, r, labels)[0] for r in ("validation", "test") if r in job.inputs}
    test, watch = others.get("test"), others.get("validation")
    learner = Learner(
        params,
        labels,
        lambda rows: _network(rows, arguments, len(labels)),
        job.progress,
        changes(params),
    )
    watched = watch.rows if watch else None
    verdict = judge(learner, data.rows, test.rows if test else None, watched, labels)
    learnt = finish(learner, data.rows, watched, verdict)
    asked = _asked(verdict, test or data)
    scores = outcome.record_classifier(job, *asked[:2], labels)
    right = verdict.answers.argmax(axis=1) == verdict.rows.truth
    job.metric("window_accuracy", float(right.mean()), n=len(right))
    folds = outcome.record_folds(job, verdict)
    _count(job, data, others, labels, learnt.epochs)
    outcome.plot_training(job, verdict)
    facts = {
        **outcome.classifier_facts(scores, verdict, learnt),
        "recordings": len(data.names),
        "windows": len(data.rows),
        "seed": params.seed,
    }
    description = Description(
        architecture="sound-cnn",
        arguments=arguments,
        labels=labels,
        preprocessing=None,
        training=facts,
        task="sound-classifier",
        facts=_facts(params),
        inputs=(Input(INPUT, (window_size(params),), help=_help(params)),),
    )
    outcome.write_model(job, learnt, description)
    _write_samples(job, verdict, labels)
    unreadable = {"sounds": data.unreadable, **{r: w.unreadable for r, w in others.items()}}
    report = {
        **facts,
        "labels": list(labels),
        "per_class": scores.per_class(),
        "confusion": scores.confusion.tolist(),
        "fold_accuracy": folds,
        "mistakes": outcome.mistakes(*asked, labels),
        "unreadable": {role: found for role, found in unreadable.items() if found},
        "curve": learnt.curve,
    }
    outcome.write_report(job, report)
    job.log(
        f"accuracy {scores.accuracy:.3f} of {scores.n} recordings ({verdict.how}), "
        f"{right.mean():.3f} of {len(right)} windows"
    )


def _arguments(params: Any) -> dict[str, Any]:
    """Of the architecture."""
    rate = params.sample_rate
    high = params.high_hz or rate / 2
    fft, hop = round(rate * params.frame_seconds), round(rate * params.hop_seconds)
    if high > rate / 2:
        raise Problem(f"high_hz: {high:g}, but {rate} samples a second reach {rate / 2:g} Hz")
    if params.low_hz >= high:
        raise Problem(f"low_hz: {params.low_hz:g} is not below high_hz, {high:g}")
    deaf = empty_bands(rate, fft, params.bands, params.low_hz, high)
    if deaf:
        raise Problem(
            f"bands: {deaf} of {params.bands} lie between two frequencies and would hear nothing",
            hint="ask for fewer bands or a longer frame_seconds",
        )
    frames = (window_size(params) - fft) // hop + 1
    least = 2 ** len(params.channels)
    if frames < least or params.bands < least:
        raise Problem(
            f"{len(params.channels)} layers need at least {least} bands and frames, there are "
            f"{params.bands} and {max(0, frames)}",
            hint="lengthen window_seconds, shorten hop_seconds, or give fewer channels",
        )
    return {
        "samples": window_size(params),
        "rate": rate,
        "fft": fft,
        "hop": hop,
        "bands": params.bands,
        "low": params.low_hz,
        "high": high,
        "channels": list(params.channels),
        "dense": params.dense,
        "dropout": params.dropout,
    }


def _network(rows: Rows, arguments: dict[str, Any], classes: int) -> torch.nn.Module:
    """A fresh network whose front is scaled to what will be learnt."""
    net = build("sound-cnn", arguments, classes)
    sums, squares, count = 0.0, 0.0, 0
    with torch.no_grad():
        for start in range(0, len(rows), _BATCH):
            mel = net.front.mel(torch.from_numpy(rows.inputs[0][start : start + _BATCH])).double()
            sums, squares = sums + mel.sum(dim=(0, 2)), squares + (mel * mel).sum(dim=(0, 2))
            count += mel.shape[0] * mel.shape[2]
        mean = sums / count
        net.front.scale.fit(mean.float(), (squares / count - mean**2).clamp(min=0).sqrt().float())
    return net


def _asked(verdict: Verdict, data: Windows) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Truth, mean probabilities and names of the recordings that were asked."""
    recordings = {name: place for place, name in enumerate(data.names)}
    owner = np.array([recordings[name.rpartition("#")[0]] for name in verdict.rows.names])
    means, there = by_recording(verdict.answers, owner)
    truth = np.array([verdict.rows.truth[owner == place][0] for place in there])
    return truth, means, [data.names[place] for place in there]


def _count(
    job: Any, data: Windows, others: dict[str, Windows], labels: tuple[str, ...], epochs: int
) -> None:
    job.metric("recordings", len(data.names))
    job.metric("windows", len(data.rows))
    job.metric("seconds", data.seconds)
    job.metric("labels", len(labels))
    job.metric("unreadable", sum(len(w.unreadable) for w in (data, *others.values())))
    job.metric("epochs", epochs)


def _facts(params: Any) -> dict[str, Any]:
    return {
        "sample_rate": params.sample_rate,
        "window_seconds": params.window_seconds,
        "overlap": params.overlap,
        "float32_modules": FLOAT32_MODULES,
    }


def _help(params: Any) -> str:
    return (
        f"{window_size(params)} samples between -1 and 1, "
        f"{params.sample_rate} a second, one channel"
    )


def _write_samples(job: Any, verdict: Verdict, labels: tuple[str, ...]) -> None:
    rows = verdict.rows
    outcome.write_samples(
        job.outputs["samples"],
        [{INPUT: audio} for audio in rows.inputs[0]],
        rows.names,
        [labels[truth] for truth in rows.truth],
        job.params.samples,
    )
