"""Train a network on a table: read, judge, learn once more on everything, save."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..._shared.problem.problem import told
from ..._shared.sequence_training import outcome
from ..._shared.sequence_training.judge import Learner, Verdict, finish, judge
from ..._shared.sequence_training.rows import Rows
from ..._shared.tables.table import Table
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, Input, Output
from ..._shared.torch_model.sequence_nets import FLOAT32_MODULES
from ..._shared.torch_setup.configure import configure
from .columns import Scheme, cells, open_table, rows, scheme
from .importance import importance

TASK = "tabular"
_WORST = 100  # rows listed in the report


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    sheet = open_table(job.inputs["table"], params)
    found = scheme(sheet, params)
    data, table = rows(sheet, found, params, "table")
    others = {
        role: rows(open_table(job.inputs[role], params), found, params, role)
        for role in ("validation", "test")
        if role in job.inputs
    }
    arguments = _arguments(params, found, table)
    learner = Learner(
        params,
        found.labels,
        lambda learn: _network(learn, arguments, found),
        job.progress,
    )
    watch = others["validation"][0] if "validation" in others else None
    test = others["test"][0] if "test" in others else None
    verdict = judge(learner, data, test, watch, found.labels)
    learnt = finish(learner, data, watch, verdict)
    figures = _figures(job, verdict, found)
    job.metric("rows", len(data))
    job.metric("columns", len(found.columns))
    job.metric("epochs", learnt.epochs)
    outcome.plot_training(job, verdict)
    weights = importance(learner, verdict, found)
    job.plot("importance", weights, x="column", y="loss", title="What each column is worth")
    facts = {
        **figures,
        "evaluated_on": verdict.how,
        "evaluated": len(verdict.rows),
        "epochs": learnt.epochs,
        **learnt.facts,
        "rows": len(data),
        "seed": params.seed,
    }
    outcome.write_model(job, learnt, _description(found, arguments, facts))
    asked = others["test"][1] if "test" in others else table
    _write_samples(job, verdict, asked, found)
    report = {
        **facts,
        **_details(verdict, found),
        "target": found.target,
        "numbers": list(found.numbers),
        "categories": {name: list(known) for name, known in found.categories.items()},
        "importance": weights,
        "curve": learnt.curve,
    }
    outcome.write_report(job, report)


def _arguments(params: Any, found: Scheme, table: Table) -> dict[str, Any]:
    gaps = [i for i, name in enumerate(found.numbers) if table.columns[name].empty.any()]
    return {
        "numbers": len(found.numbers),
        "indicators": gaps,
        "categories": [len(known) for known in found.categories.values()],
        "layers": list(params.layers),
        "dropout": params.dropout,
    }


def _network(learn: Rows, arguments: dict[str, Any], found: Scheme) -> torch.nn.Module:
    """A fresh network, scaled to what will be learnt."""
    net = build("tabular-net", arguments, len(found.labels))
    if found.numbers:
        values = np.concatenate(learn.inputs[: len(found.numbers)], axis=1).astype(np.float64)
        values = np.where(np.isnan(values).all(axis=0), 0.0, values)  # never there: it says nothing
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        net.front.scale.fit(torch.from_numpy(mean).float(), torch.from_numpy(std).float())
    if not found.labels:
        truth = learn.truth.astype(np.float64)
        net.unscale.mean.fill_(float(truth.mean()))
        net.unscale.std.fill_(max(float(truth.std()), 1e-12))
    return net


def _figures(job: Any, verdict: Verdict, found: Scheme) -> dict[str, Any]:
    if found.labels:
        scores = outcome.record_classifier(job, verdict.rows.truth, verdict.answers, found.labels)
        folds = outcome.record_folds(job, verdict)
        job.metric("labels", len(found.labels))
        job.log(f"accuracy {scores.accuracy:.3f} of {scores.n} rows ({verdict.how})")
        figures = {"accuracy": scores.accuracy, "log_loss": scores.log_loss}
        return {**figures, "fold_accuracy": folds} if folds else figures
    truth, said = verdict.rows.truth.astype(np.float64), verdict.answers[:, 0]
    error = said - truth
    spread = float(((truth - truth.mean()) ** 2).sum())
    figures = {
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
        "max_error": float(np.abs(error).max()),
    }
    if spread > 0:
        figures["r2"] = 1 - float((error**2).sum()) / spread
    for name, value in figures.items():
        job.metric(name, value)
    points = [{"actual": float(t), "predicted": float(s)} for t, s in zip(truth, said, strict=True)]
    job.plot(
        "predictions", points, x="actual", y="predicted", template="scatter", title="Predictions"
    )
    job.log(f"root mean square error {figures['rmse']:.4g} of {len(truth)} rows ({verdict.how})")
    return figures


def _description(found: Scheme, arguments: dict[str, Any], facts: dict[str, Any]) -> Description:
    numbers = [Input(name, (1,), help=f"Column {name}; NaN: missing") for name in found.numbers]
    texts = [
        Input(name, (1,), "int32", f"Column {name}; empty: missing", known)
        for name, known in found.categories.items()
    ]
    return Description(
        architecture="tabular-net",
        arguments=arguments,
        labels=found.labels,
        preprocessing=None,
        training=facts,
        task=TASK,
        outputs=() if found.labels else (Output(found.target, "value"),),
        facts={"target": found.target, "float32_modules": [*FLOAT32_MODULES, "unscale"]},
        inputs=(*numbers, *texts),
    )


def _details(verdict: Verdict, found: Scheme) -> dict[str, Any]:
    truth, names = verdict.rows.truth, verdict.rows.names
    if found.labels:
        wrong = outcome.mistakes(truth, verdict.answers, names, found.labels)
        return {"labels": list(found.labels), "mistakes": wrong}
    error = np.abs(verdict.answers[:, 0] - truth)
    worst = sorted(range(len(truth)), key=lambda i: (-error[i], i))[:_WORST]
    rows = [
        {"example": names[i], "actual": float(truth[i]), "predicted": float(verdict.answers[i, 0])}
        for i in worst
    ]
    return {"worst": rows}


def _write_samples(job: Any, verdict: Verdict, table: Table, found: Scheme) -> None:
    places = {table.place(row): row for row in range(len(table))}
    chosen = [places[name] for name in verdict.rows.names]
    labels = [found.labels[truth] for truth in verdict.rows.truth] if found.labels else None
    outcome.write_samples(
        job.outputs["samples"],
        [cells(table, found, row) for row in chosen],
        [name.rpartition(", ")[2] for name in verdict.rows.names],
        labels,
        job.params.samples,
    )
