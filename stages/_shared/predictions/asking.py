"""Asks a model about samples and writes its answers: what each toolchain's run file calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Callable  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..coreml_package.canonical import size_of
from ..digests.tree import model_sha256
from ..parity.asking import ask as ask_samples
from ..parity.samples import Reader, Sample, find
from ..problem.problem import Problem
from ..torch_model.preprocessing import Preprocessing, from_json
from .feeding import Wanted, feed
from .form import About, Predictions, write

Ask = Callable[[Any], Any]  # to outputs by name


def ask_all(job: Any, about: About, inputs: Sequence[Wanted], ask: Ask) -> None:
    """Ask about every sample, record the answers.

    Args:
        job: its input ``samples``, output ``predictions``, and the parameters of predict/outputs.
        about: what the model says of itself; what it does not say, the parameters do.
        inputs: what it takes.
        ask: from arrays by name to outputs by name, each with its batch dimension of one.
    """
    about = completed(job, about)
    preprocessing = from_json(about.preprocessing) if about.preprocessing else None
    wanted = _laid(inputs, job.params.layout)
    ask_each(job, about, lambda content: ask(feed(content, wanted, preprocessing)))


def ask_each(job: Any, about: About, answer: Ask) -> None:
    """Ask about every sample, of a model that prepares samples by itself.

    Args:
        job: as of ``ask_all``.
        about: what is known of the model, completed.
        answer: from a sample's content to outputs by name.
    """
    samples = find(job.inputs["samples"], job.params.limit)
    reader = Reader(skip=job.params.unreadable == "skip")
    names, found = [], {}

    def keep(sample: Sample, content: Any) -> None:
        answers = answer(content)
        names.append(sample.name)
        for name, value in answers.items():
            found.setdefault(name, []).append(np.asarray(value))

    ask_samples(job, samples, reader, keep)
    record(job, Predictions(about, names, found))


def completed(job: Any, about: About) -> About:
    """With size and digest, and with what the parameters say of a model that is silent."""
    path = job.inputs["model"]
    size, sha256 = size_of(path), model_sha256(path)
    about = replace(about, model=path.name, size=size, sha256=sha256)
    if not about.labels and job.params.labels:
        about = replace(about, labels=tuple(job.params.labels))
    if about.preprocessing is None and job.params.pictures:
        about = replace(about, preprocessing=_pictures(job.params.pictures))
    return about


def record(job: Any, found: Predictions) -> None:
    """Write the answers and their figures.

    Raises:
        Problem: an answer holds what no file of arrays can.
    """
    for name, arrays in found.outputs.items():
        if any(a.dtype == object for a in arrays):
            raise Problem(f"output {name} gives neither numbers nor text")
    write(job.outputs["predictions"], found)
    job.metric("samples", len(found.samples))
    job.metric("size_mb", found.about.size / 1e6)


def described(description: Mapping[str, Any], format: str) -> About:
    """From a model's ``mlbuild.description``."""
    inputs = description.get("inputs") or [{}]
    preprocessing = inputs[0].get("preprocessing") if len(inputs) == 1 else None
    outputs = description.get("outputs") or []
    return About(
        model="",
        format=format,
        labels=tuple(description.get("labels") or ()),
        gives={o["name"]: o.get("gives") or "" for o in outputs},
        preprocessing=preprocessing,
        task=description.get("task") or "",
        bits=description.get("bits"),
        half=bool(description.get("half")),
    )


def layouts(description: Mapping[str, Any]) -> dict[str, str]:
    """The order of axes of each input that says it."""
    inputs = description.get("inputs") or []
    return {i["name"]: i["layout"] for i in inputs if i.get("layout")}


def _laid(inputs: Sequence[Wanted], layout: str) -> list[Wanted]:
    if layout == "auto":
        return [replace(w, layout=w.layout or _guess(w.shape or ())) for w in inputs]
    return [replace(w, layout=layout) for w in inputs]


def _guess(shape: Sequence[int | None]) -> str | None:
    if len(shape) != 4:
        return None
    return "NHWC" if shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4) else "NCHW"


def _pictures(given: Mapping[str, Any]) -> dict[str, Any]:
    values = {k: v for k, v in given.items() if v is not None}
    made = Preprocessing(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    return from_json(made.to_json()).to_json()
