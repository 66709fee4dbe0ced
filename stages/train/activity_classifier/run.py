"""Train an activity classifier: read, cut, judge, learn once more on everything, save."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch

from ..._shared.problem.problem import Problem, told
from ..._shared.sequence_training import outcome
from ..._shared.sequence_training.judge import Learner, Verdict, finish, judge
from ..._shared.sequence_training.loop import Change
from ..._shared.sequence_training.rows import Rows, fingerprints, indices, starts
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, Input
from ..._shared.torch_model.sequence_nets import FLOAT32_MODULES
from ..._shared.torch_setup.configure import configure
from .sessions import Session, Sessions, feature_names, load


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    data = load(job.inputs["sessions"], params)
    names = feature_names(data.columns)
    labels = tuple(sorted({label for session in data.items for label in session.labels}))
    rows = windows(data, labels, params, "sessions")
    others = {
        role: windows(load(job.inputs[role], params, data.columns), labels, params, role)
        for role in ("validation", "test")
        if role in job.inputs
    }
    arguments = _arguments(params, len(names))
    learner = Learner(
        params,
        labels,
        lambda learn: _network(learn, arguments, len(labels)),
        job.progress,
        _changes(params),
    )
    watch = others.get("validation")
    verdict = judge(learner, rows, others.get("test"), watch, labels)
    learnt = finish(learner, rows, watch, verdict)
    scores = outcome.record_classifier(job, verdict.rows.truth, verdict.answers, labels)
    sessions = _by_session(job, verdict)
    folds = outcome.record_folds(job, verdict)
    job.metric("sessions", len(data.items))
    job.metric("windows", len(rows))
    job.metric("labels", len(labels))
    job.metric("epochs", learnt.epochs)
    outcome.plot_training(job, verdict)
    facts = {
        **outcome.classifier_facts(scores, verdict, learnt),
        "sessions": len(data.items),
        "windows": len(rows),
        "session_accuracy": sessions,
        "seed": params.seed,
    }
    description = Description(
        architecture="activity-net",
        arguments=arguments,
        labels=labels,
        preprocessing=None,
        training=facts,
        task="activity-classifier",
        facts={
            "window": params.window,
            "columns": list(data.columns),
            "float32_modules": FLOAT32_MODULES,
        },
        inputs=tuple(
            Input(name, (params.window,), help=f"{params.window} moments of {column}")
            for name, column in zip(names, data.columns, strict=True)
        ),
    )
    outcome.write_model(job, learnt, description)
    _write_samples(job, verdict, names, labels)
    report = {
        **facts,
        "labels": list(labels),
        "columns": list(data.columns),
        "per_class": scores.per_class(),
        "confusion": scores.confusion.tolist(),
        "fold_accuracy": folds,
        "mistakes": outcome.mistakes(
            verdict.rows.truth, verdict.answers, verdict.rows.names, labels
        ),
        "curve": learnt.curve,
    }
    outcome.write_report(job, report)
    job.log(f"accuracy {scores.accuracy:.3f} of {scores.n} windows ({verdict.how})")


def windows(data: Sessions, labels: tuple[str, ...], params: Any, role: str) -> Rows:
    """Windows of all sessions; a window's label is the most frequent one in it."""
    pieces, told_labels, groups, names = [], [], [], []
    for session in data.items:
        for number, (piece, label) in enumerate(cut(session, params.window, params.overlap)):
            pieces.append(piece)
            told_labels.append(label)
            groups.append(session.name)
            names.append(f"{session.name}#{number}")
    values = np.stack(pieces)
    truth = indices(told_labels, labels, role)
    contents = fingerprints([values], truth)
    # A session that stands there twice, under two names, is one group.
    first: dict[str, str] = {}
    firsts: dict[str, str] = {}
    for group, content in zip(groups, contents, strict=True):
        firsts.setdefault(group, first.setdefault(content, group))
    inputs = tuple(np.ascontiguousarray(values[:, :, c]) for c in range(values.shape[2]))
    return Rows(inputs, truth, tuple(firsts[group] for group in groups), tuple(names))


def cut(session: Session, size: int, overlap: float) -> list[tuple[np.ndarray, str]]:
    """Windows with their labels; the last one is filled with the last moment.

    A rest shorter than half a window is left out, unless there is nothing else.
    """
    step = max(1, round(size * (1 - overlap)))
    total = len(session.values)
    found = []
    for start in starts(total, size, step):
        piece = session.values[start : start + size]
        label = Counter(session.labels[start : start + size]).most_common(1)[0][0]
        lacking = size - len(piece)
        found.append((np.concatenate([piece, np.repeat(piece[-1:], lacking, axis=0)]), label))
    return found


def _arguments(params: Any, channels: int) -> dict[str, Any]:
    if params.window < 2 ** len(params.filters):
        raise Problem(
            f"window: {params.window} moments are too few for {len(params.filters)} convolutions "
            "that halve them"
        )
    return {
        "channels": channels,
        "window": params.window,
        "filters": list(params.filters),
        "kernel": params.kernel,
        "recurrent": params.recurrent,
        "dense": params.dense,
        "dropout": params.dropout,
    }


def _network(rows: Rows, arguments: dict[str, Any], classes: int) -> torch.nn.Module:
    """A fresh network whose front is scaled to what will be learnt."""
    net = build("activity-net", arguments, classes)
    values = torch.from_numpy(np.stack(rows.inputs)).double().flatten(1)
    net.front.scale.fit(values.mean(dim=1).float(), values.std(dim=1, correction=0).float())
    return net


def _changes(params: Any) -> Change | None:
    how = params.augment
    if not (how["scale"] or how["noise"]):
        return None

    def change(
        batch: tuple[torch.Tensor, ...], generator: torch.Generator
    ) -> tuple[torch.Tensor, ...]:
        changed = []
        for column in batch:
            factor = 1 + how["scale"] * (2 * torch.rand(len(column), 1, generator=generator) - 1)
            noise = torch.randn(column.shape, generator=generator)
            spread = column.std(dim=1, keepdim=True, correction=0)
            changed.append(column * factor + noise * spread * how["noise"])
        return tuple(changed)

    return change


def _by_session(job: Any, verdict: Verdict) -> float:
    """Share of sessions whose windows' mean score is highest for their most frequent label."""
    owners = np.array([name.rpartition("#")[0] for name in verdict.rows.names])
    right = []
    for owner in dict.fromkeys(owners):
        mine = owners == owner
        truth = np.bincount(verdict.rows.truth[mine]).argmax()
        right.append(verdict.answers[mine].mean(axis=0).argmax() == truth)
    share = float(np.mean(right))
    job.metric("session_accuracy", share, n=len(right))
    return share


def _write_samples(
    job: Any, verdict: Verdict, names: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    rows = verdict.rows
    outcome.write_samples(
        job.outputs["samples"],
        [dict(zip(names, columns, strict=True)) for columns in zip(*rows.inputs, strict=True)],
        rows.names,
        [labels[truth] for truth in rows.truth],
        job.params.samples,
    )
