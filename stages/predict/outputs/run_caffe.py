"""Asks a Caffe net, which OpenCV runs: Caffe itself can be installed nowhere any more."""

from __future__ import annotations

import re
from typing import Any, Dict, List  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.caffe.folder import CaffeFolder, layers, read
from ..._shared.caffe.pictures import chosen, is_picture, mean_of
from ..._shared.description.description import inside
from ..._shared.parity.samples import find
from ..._shared.predictions.asking import ask_all
from ..._shared.predictions.feeding import Wanted
from ..._shared.predictions.form import About
from ..._shared.problem.problem import Problem, told


@told
def run(job: Any) -> None:
    """Ask about every sample."""
    import cv2  # heavy

    folder = job.inputs["model"]
    net, description = read(folder), inside(folder)
    cv2.setNumThreads(job.threads)
    try:
        ours = cv2.dnn.readNetFromCaffe(str(net.network), str(net.weights))
    except cv2.error as error:
        raise Problem(f"{net.network.name} cannot be run by OpenCV: {_first(error)}") from error
    stated = None
    mean = None
    if len(net.inputs) == 1 and is_picture(net.inputs[0]) and job.params.pictures is None:
        stated = chosen(net, net.inputs[0], description).to_json()
        # Of arrays it was subtracted already: they are what the first layer takes.
        if find(job.inputs["samples"], 1)[0].is_picture:
            mean = mean_of(net, net.inputs[0])
    about = About(
        model=folder.name,
        format="Caffe",
        labels=net.labels,
        gives=dict.fromkeys(_softmaxed(net), "probabilities"),
        preprocessing=stated,
    )
    names = {name: _top(net, name) for name in ours.getUnconnectedOutLayersNames()}
    wanted = [Wanted(b.name, (1, *b.shape[1:]), "float32", "NCHW") for b in net.inputs]

    def ask(feeds: Any) -> Dict[str, np.ndarray]:  # noqa: UP006
        for blob in net.inputs:
            value = feeds[blob.name] if mean is None else feeds[blob.name] - mean
            ours.setInput(np.ascontiguousarray(value, dtype=np.float32), blob.name)
        try:
            found = ours.forward(list(names))
        except cv2.error as error:
            raise Problem(f"OpenCV cannot run the net: {_first(error)}") from error
        return {names[n]: np.array(v) for n, v in zip(names, found)}  # noqa: B905

    ask_all(job, about, wanted, ask)


def _softmaxed(net: CaffeFolder) -> List[str]:  # noqa: UP006
    return [top for kind, _, tops in layers(net.text) if kind == "Softmax" for top in tops]


def _top(net: CaffeFolder, name: str) -> str:
    """What a layer's result is called: OpenCV knows layers, Core ML results."""
    found = [tops for _, called, tops in layers(net.text) if called == name and tops]
    return found[0][0] if found else name


def _first(error: Exception) -> str:
    return re.sub(r"^OpenCV\([^)]*\)\s*\S*\s*", "", str(error).strip().splitlines()[0])
