"""Asks a model of Turi Create."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Dict, List  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.parity.samples import Reader, Sample, find
from ..._shared.predictions.asking import completed, described, record
from ..._shared.predictions.form import Predictions
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.preprocessing import from_json
from ..._shared.turi import asking, toolkits
from ..._shared.turi.frames import of_cells
from ..._shared.turi.setting import configure
from ..._shared.turi.stored import described as description_of
from ..._shared.turi.stored import load

Facts = Dict[str, Any]  # noqa: UP006


@told
def run(job: Any) -> None:
    """Read all samples, ask about them at once, keep the answers."""
    turicreate = configure(job)
    path = job.inputs["model"]
    model = load(path, turicreate)
    description = description_of(path)
    if not description:
        raise Problem(
            f"{path.name} does not say which columns it takes",
            hint="train/turicreate writes models that do",
        )
    samples = find(job.inputs["samples"], job.params.limit, description.get("reading"))
    reader = Reader(skip=job.params.unreadable == "skip")
    read = [(sample, reader.read(sample)) for sample in samples]
    reader.report(job, len(samples))
    kept = [(sample, content) for sample, content in read if content is not None]
    job.progress(0, 1, f"asking about {len(kept)}")
    found = _answers(model, description, kept, turicreate)
    about = completed(job, described(description, "Turi Create"))
    about = replace(about, reading=description.get("reading"))
    names = [sample.name for sample, _ in kept]
    outputs = {n: [np.asarray(value) for value in values] for n, values in found.items()}
    record(job, Predictions(about, names, outputs))
    job.progress(1, 1, "asked")


def _answers(
    model: Any, description: Facts, kept: Sequence[Any], turicreate: Any
) -> Mapping[str, Any]:
    toolkit = description["toolkit"]
    contents = [content for _, content in kept]
    if toolkit == toolkits.ACTIVITY:
        _demand(kept, dict, toolkit, ".npz files with an array for each column")
        return asking.windows(model, description, contents, turicreate)
    if toolkit == toolkits.DRAWING:
        wanted = from_json(description["inputs"][0]["preprocessing"])
        if any(isinstance(content, dict) for content in contents):
            raise Problem(f"samples of {toolkit} are pictures")
        return asking.drawings(model, description, [wanted.fit(c) for c in contents], turicreate)
    _demand(kept, dict, toolkit, "the rows of a table")
    if toolkit in toolkits.SIMILAR_ITEMS:
        return {"scores": [_scores(model, description, row, turicreate) for row in contents]}
    if toolkit == toolkits.TEXT:
        frame = of_cells(contents, description["columns"], turicreate)
        for name in frame.column_names():
            frame[name] = frame[name].fillna("")
        return asking.texts(model, description, frame)
    if toolkit in toolkits.PRETRAINED or toolkit in toolkits.RECOMMENDERS:
        raise Problem(f"{toolkit} cannot be asked here")
    frame = of_cells(contents, description["columns"], turicreate)
    return asking.table(model, description, frame)


def _demand(kept: Sequence[Any], kind: type, toolkit: str, what: str) -> None:
    wrong: List[Sample] = [s for s, content in kept if not isinstance(content, kind)]  # noqa: UP006
    if wrong:
        raise Problem(f"sample {wrong[0].name}: {toolkit} takes {what}")


def _scores(model: Any, description: Facts, row: Facts, turicreate: Any) -> np.ndarray:
    """Sums of similarities of all items that are not given, by name of the item.

    Turi Create says the mean over the given items.
    """
    given = asking.interactions(row.get("interactions"))
    if not given:
        raise Problem("a sample gives no items")
    items = list(given)
    asked = {description["item"]: items, description["user"]: [""] * len(items)}
    if description.get("target"):
        asked[description["target"]] = [given[item] for item in items]
    known = description["items"]
    said = model.recommend(
        users=[""], new_observation_data=turicreate.SFrame(asked), k=len(known), verbose=False
    )
    by_item = dict(zip(said[description["item"]], said["score"]))  # noqa: B905
    left = [item for item in known if item not in given]
    return np.array([float(by_item.get(item, 0.0)) * len(given) for item in left])
