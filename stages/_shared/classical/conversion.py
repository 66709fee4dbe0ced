"""From a model to a written and verified Core ML model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..problem.problem import Problem
from . import mapped, reference, verify
from .assemble import Result, assemble
from .graph import TEXT, Graph, ProgramStep, Value
from .outputs import End, Names
from .results import transform
from .sampling import draw
from .sk_compose import in_training_order


@dataclass(frozen=True)
class Task:
    """What is to be converted.

    Attributes:
        library: "sklearn", "xgboost", "lightgbm" or "libsvm".
        model: estimator, booster or machine.
        native: what LIBSVM's own functions take.
        columns: (name, type) of its inputs.
        description: what its training wrote; may be empty.
        vector: the name of the input that takes all columns, or None: an input for each.
        names: of outputs.
        labels: given ones, in the order of the classes.
        target: the deployment target.
        seed: of the rows that are drawn.
        drawn: how many; each threshold and category is met now and then.
    """

    library: str
    model: Any
    columns: Sequence[tuple[str, str]]
    description: Mapping[str, Any]
    vector: str | None
    names: Names
    labels: Sequence[Any] | None
    target: str
    native: Any = None
    seed: int = 0
    drawn: int = 120


@dataclass(frozen=True)
class Made:
    """An MLModel and what is needed to compare it."""

    model: Any
    graph: Graph
    end: End
    role: str

    @property
    def inputs(self) -> list[Value]:
        """What the model takes: columns that nothing depends on are left out."""
        names = {f.name for f in self.model.get_spec().description.input}
        return [value for value in self.graph.inputs if value.name in names]

    @property
    def exact(self) -> bool:
        """Whether everything is computed in doubles, as the library does."""
        return not any(isinstance(step, ProgramStep) for step in self.graph.steps)


def make(task: Task, folder: Path) -> Made:
    """Map and assemble; weights lie in ``folder``."""
    graph, frame = mapped.begin(task.columns, task.vector)
    if task.library == "sklearn":
        end, role = mapped.sklearn_end(
            task.model, frame, task.description.get("task"), task.names, task.labels
        )
    elif task.library == "libsvm":
        end, role = mapped.svm_end(task.model, frame, task.description, task.names, task.labels)
    else:
        end, role = mapped.booster_end(
            task.library, task.model, frame, task.description, task.names, task.labels
        )
    return Made(assemble(graph, end.result, task.target, folder), graph, end, role)


def check(
    task: Task, made: Made, package: Path, samples: Sequence[Mapping[str, Any]]
) -> verify.Figures:
    """Compare the written package with the library on samples and on rows drawn for it.

    Raises:
        Problem: they differ; names the step that does.
    """
    rows, expected = _rows(task, made, list(samples))
    if not made.exact:
        rows, expected = _firm(task, made.role, rows, expected)
    try:
        answers = verify.ask(package, made.inputs, _as_inputs(task, rows))
        return verify.compare(answers, expected, made.end, rows)
    except verify.Disagreement as error:
        raise Problem(f"{_guilty(task, rows, package)}: {error}", hint=error.hint) from error


def _expected(task: Task, role: str, rows: reference.Rows) -> reference.Expected:
    if task.library == "sklearn":
        return reference.of_sklearn(task.model, task.columns, rows, role)
    numbers = reference.numbers_of(task.columns, rows, task.description)
    if task.library == "xgboost":
        best = task.model.attr("best_iteration")
        return reference.of_xgboost(
            task.model, numbers, role, None if best is None else int(best) + 1
        )
    if task.library == "lightgbm":
        return reference.of_lightgbm(task.model, numbers, role)
    return reference.of_libsvm(task.native, numbers, role, task.model.probable)


def _rows(
    task: Task, made: Made, samples: list[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], reference.Expected]:
    """Rows that the library accepts, and what it says of them.

    Drawn rows may be what a model never meets (a logarithm of -1); then tamer ones are taken.
    """
    drawn = _drawn(task, made)
    holes = _with_holes(made, drawn, task)
    tame = [
        {n: abs(v) + 1e-3 if not isinstance(v, str) else v for n, v in r.items()} for r in drawn
    ]
    tries = [[*samples, *holes], [*samples, *drawn], [*samples, *tame]]
    if samples:
        tries.append(samples)
    told: Exception | None = None
    for rows in tries:
        try:
            expected = _expected(task, made.role, rows)
        except (ValueError, TypeError, KeyError, FloatingPointError) as error:
            told = error
            continue
        kept = _finite(expected, len(rows))
        if kept.sum() >= len(rows) // 2 and kept.any():
            chosen = [row for row, keep in zip(rows, kept, strict=True) if keep]
            return chosen, _expected(task, made.role, chosen)
    text = str(told).splitlines()[0] if told else "its answers are not finite"
    raise Problem(
        f"the model cannot be verified on rows drawn at random: {text}",
        hint="give the stage an input `samples`: a table of rows as the model meets them",
    ) from told


def _firm(
    task: Task, role: str, rows: list[Mapping[str, Any]], expected: reference.Expected
) -> tuple[list[Mapping[str, Any]], reference.Expected]:
    """Rows whose answer does not jump where an input moves by the last bits of a float32.

    A model in float32 may take the next neighbour or branch there. Models in doubles have to agree
    on every row.
    """
    random = np.random.default_rng(task.seed + 2)
    numbers = {n for n, kind in task.columns if kind == "number"}
    spread = {n: 4e-7 * (np.nanstd([r[n] for r in rows]) or 1.0) for n in numbers}
    moved = [
        {
            n: v + spread[n] * random.choice((-1, 1)) if n in numbers and v % 1 else v
            for n, v in r.items()
        }
        for r in rows
    ]
    other = _expected(task, role, moved)
    kept = np.ones(len(rows), bool)
    for gives, values in expected.values.items():
        if gives in ("label", "cluster", "anomaly"):
            continue
        a, b = (np.asarray(v, float).reshape(len(rows), -1) for v in (values, other.values[gives]))
        scale = np.maximum(np.abs(np.nan_to_num(a)).max(axis=0), 1e-300)
        kept &= (np.abs(np.nan_to_num(a - b)) <= 1e-4 * scale).all(axis=1)
    if kept.sum() * 2 < len(rows):
        raise Problem(
            f"{type(task.model).__name__} answers differently where inputs move by the last bits "
            "of a float32: it cannot be computed on a device",
            hint="scale its inputs, or regularize it",
        )
    chosen = [row for row, keep in zip(rows, kept, strict=True) if keep]
    return chosen, _expected(task, role, chosen)


def _finite(expected: reference.Expected, count: int) -> Any:
    """Rows without infinite answers."""
    kept = np.ones(count, bool)
    for values in expected.values.values():
        kept &= ~np.isinf(np.asarray(values, float).reshape(count, -1)).any(axis=1)
    return kept


def _drawn(task: Task, made: Made) -> list[dict[str, Any]]:
    rows = draw(made.graph.inputs, made.graph.hints, task.drawn, task.seed)
    if task.vector is None:
        return rows
    names = [n for n, _ in task.columns]
    return [dict(zip(names, row[task.vector].tolist(), strict=True)) for row in rows]


def _with_holes(made: Made, rows: list[dict[str, Any]], task: Task) -> list[dict[str, Any]]:
    """The same with some values left out, where the model allows that."""
    random = np.random.default_rng(task.seed + 1)
    texts = {v.name for v in made.graph.inputs if v.kind == TEXT}
    optional = {v.name for v in made.graph.inputs if v.optional}
    return [
        {
            n: (None if n in texts else np.nan) if n in optional and random.random() < 0.1 else v
            for n, v in row.items()
        }
        for row in rows
    ]


def _as_inputs(task: Task, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if task.vector is None:
        return list(rows)
    return [{task.vector: [row[n] for n, _ in task.columns]} for row in rows]


def _guilty(task: Task, rows: Sequence[Mapping[str, Any]], package: Path) -> str:
    """The first step of a pipeline whose result differs, or the model itself."""
    steps = getattr(task.model, "steps", None)
    if task.library != "sklearn" or not steps:
        return type(task.model).__name__ if task.library == "sklearn" else task.library
    for count in range(1, len(steps)):
        part = task.model[:count]
        try:
            _compare_part(task, part, rows, package.with_name(f"part-{count}"))
        except verify.Disagreement:
            name, step = steps[count - 1]
            return f"step '{name}' ({type(step).__name__})"
        except Problem:
            break  # texts, or nothing that can be asked by itself
    name, step = steps[-1]
    return f"step '{name}' ({type(step).__name__})"


def _compare_part(task: Task, part: Any, rows: Any, folder: Path) -> None:
    graph, frame = mapped.begin(task.columns, task.vector)
    value = transform(part, in_training_order(part, frame)).vector()
    value.name = "transformed"
    end = End(Result((value,)), (("transformed", "vector"),))
    model = assemble(graph, end.result, task.target, folder / "weights")
    written = folder / "part.mlpackage"
    model.save(str(written))
    expected = reference.of_sklearn(part, task.columns, rows, "transformer")
    verify.compare(verify.ask(written, graph.inputs, _as_inputs(task, rows)), expected, end, rows)


def description_of(task: Task, made: Made) -> str:
    """The JSON text that a model carries on itself."""
    kinds = dict(task.columns)
    if task.vector is None:
        inputs = [_input(n, "column", [], "string" if kinds[n] == "category" else "float64")
                  for n, _ in task.columns]  # fmt: skip
    else:
        inputs = [_input(task.vector, "tensor", [len(kinds)], "float64")]
    tasks = {"classifier": "classification", "regressor": "regression", "clusterer": "clustering",
             "detector": "anomaly", "transformer": "transform"}  # fmt: skip
    found = {k: v for k, v in task.description.items() if k not in ("features", "library_versions")}
    found.update(
        inputs=inputs,
        outputs=[{"name": n, "gives": g} for n, g in made.end.gives],
        labels=list(made.end.labels) or None,
        task=tasks[made.role],
        columns=task.description.get("columns")
        or [{"name": n, "type": k, "categories": None} for n, k in task.columns],
    )
    return json.dumps(found, sort_keys=True, ensure_ascii=False)


def _input(name: str, kind: str, shape: list[int], dtype: str) -> dict[str, Any]:
    return {"name": name, "kind": kind, "layout": None, "shape": shape, "dtype": dtype,
            "preprocessing": None}  # fmt: skip
