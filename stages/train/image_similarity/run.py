"""Train image similarity: read, judge, put the set's embeddings into the network, save."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, Output, load, save
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_model.pretrained import preprocessing_of, pretrained
from ..._shared.torch_setup.configure import configure
from .features import Pictures, read
from .judge import RANKS, Verdict, found_again, judge
from .projection import apply, fit

OUTPUTS = (
    Output("distances", "distances"),
    Output("nearest", "indices"),
    Output("labels", "classes"),
    Output("embedding", "embedding"),
)


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    base, name, arguments, preprocessing = _base(job)
    images = read(job, "images", base, preprocessing)
    if params.neighbors > len(images.names):
        raise Problem(f"neighbors: {params.neighbors}, but there are {len(images.names)} pictures")
    test = read(job, "test", base, preprocessing) if "test" in job.inputs else None
    verdict = judge(images, test, params)
    again = found_again(images, params)
    net, arguments, labels = _network(base, name, arguments, images, params)
    summary = _record(job, images, test, verdict, again, net)
    references = [
        {"name": n, "label": label} for n, label in zip(images.names, images.labels, strict=True)
    ]
    description = Description(
        architecture="nearest",
        arguments=arguments,
        labels=labels,
        preprocessing=preprocessing,
        training=summary,
        task="image-similarity",
        outputs=OUTPUTS,
        facts={"references": references},
    )
    save(net, description, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    _write(job.outputs["references"], references)
    _write(job.outputs["report"], {**summary, "unreadable": images.unreadable})


def _base(job: Any) -> tuple[nn.Module, str, dict[str, Any], Preprocessing]:
    """The network whose features are compared, and how it is built again."""
    params = job.params
    if "backbone" in job.inputs:
        model = load(job.inputs["backbone"])
        described = model.description
        if not hasattr(model.net, "features"):
            raise Problem(f"backbone: {described.architecture} is no image classifier")
        return model.net, described.architecture, described.arguments, described.preprocessing
    net, _, arguments = pretrained(params.backbone, 2, image_size=params.image_size)
    how = preprocessing_of(params.backbone, params.image_size)
    how = replace(how, resize=params.resize, crop=params.crop)
    return net.to(memory_format=torch.channels_last), params.backbone, arguments, how


def _network(
    base: nn.Module, name: str, arguments: dict[str, Any], images: Pictures, params: Any
) -> tuple[nn.Module, dict[str, Any], tuple[str, ...]]:
    """The network that knows the set."""
    projection = fit(images.features, images.labels, params)
    embeddings = apply(projection, images.features)
    own = {
        "base": name,
        "base_arguments": arguments,
        "references": len(embeddings),
        "dimensions": None if projection is None else len(projection.weight),
        "neighbors": params.neighbors,
        "distance": params.distance,
    }
    net = build("nearest", own, 2)
    weights = {k: v for k, v in base.state_dict().items() if not k.startswith("head.")}
    net.base.load_state_dict(weights)
    labels = tuple(sorted({str(x) for x in images.labels})) if images.labelled else ()
    with torch.no_grad():
        if projection is not None:
            net.projection.weight.copy_(torch.from_numpy(projection.weight))
            net.projection.bias.copy_(torch.from_numpy(projection.bias))
        net.references.copy_(torch.from_numpy(embeddings))
        if labels:
            numbers = [labels.index(str(label)) for label in images.labels]
            net.labels.copy_(torch.tensor(numbers))
    return net.eval(), own, labels


def _record(
    job: Any,
    images: Pictures,
    test: Pictures | None,
    verdict: Verdict | None,
    again: np.ndarray | None,
    net: nn.Module,
) -> dict[str, Any]:
    unreadable = len(images.unreadable) + (len(test.unreadable) if test else 0)
    counts = {
        "images": len(images.names),
        "labels": len(set(images.labels)) if images.labelled else 0,
        "dimensions": net.references.shape[1],
    }
    for name, value in {**counts, "unreadable": unreadable}.items():
        job.metric(name, value)
    summary: dict[str, Any] = {**counts, "seed": job.params.seed}
    if verdict is not None:
        for rank in RANKS:
            hits = verdict.recall(rank)
            job.metric(f"recall_at_{rank}", float(hits.mean()), n=len(hits))
            summary[f"recall_at_{rank}"] = float(hits.mean())
        job.metric("map", float(verdict.precision.mean()))
        summary.update(
            map=float(verdict.precision.mean()),
            evaluated_on=verdict.how,
            questions=len(verdict.first),
        )
        most = min(20, counts["images"])
        rows = [{"rank": r, "recall": float(verdict.recall(r).mean())} for r in range(1, most + 1)]
        job.plot("recall", rows, x="rank", y="recall", title="Share answered within a rank")
        job.log(f"recall at 1 {rows[0]['recall']:.3f} of {len(verdict.first)} ({verdict.how})")
    if again is not None:
        job.metric("found_again", float(again.mean()), n=len(again))
        summary["found_again"] = float(again.mean())
    return summary


def _write(path: Any, content: Any) -> None:
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
