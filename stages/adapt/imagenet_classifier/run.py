"""Cut a pretrained classifier's head down to the chosen labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ..._shared.problem.problem import told
from ..._shared.torch_model.model_file import Description, save
from ..._shared.torch_model.pretrained import preprocessing_of, pretrained
from ..._shared.torch_setup.configure import configure
from .classes import choose


@told
def run(job: Any) -> None:
    """The rows of the published head that belong to the labels become the new head."""
    configure(job)
    params = job.params
    chosen = choose(params.labels)
    net, imagenet, arguments = pretrained(
        params.backbone, classes=len(chosen), image_size=params.image_size
    )
    rows = [number for _, number in chosen]
    with torch.no_grad():
        net.head.weight.copy_(imagenet["weight"][rows])
        net.head.bias.copy_(imagenet["bias"][rows])
    preprocessing = replace(
        preprocessing_of(params.backbone, params.image_size),
        crop=params.crop,
        resize=params.resize,
        interpolation=params.interpolation,
    )
    description = Description(
        architecture=params.backbone,
        arguments=arguments,
        labels=tuple(label for label, _ in chosen),
        preprocessing=preprocessing,
        training={
            "method": "ImageNet's own head, cut down; nothing was trained",
            "classes": rows,
        },
    )
    folder = job.outputs["model"]
    save(net, description, folder)
    job.metric("labels", len(chosen))
    job.metric("parameters", sum(p.numel() for p in net.parameters()))
    job.metric("size_mb", (folder / "model.safetensors").stat().st_size / 1e6)
    job.log(f"{params.backbone} cut down to {len(chosen)} labels")
