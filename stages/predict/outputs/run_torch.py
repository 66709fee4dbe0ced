"""Asks a torch model, TorchScript, an exported program or a Core ML model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlbuild.coreml import CoreMLError

from ..._shared.description.description import KEY, MEMBER, from_text
from ..._shared.parity.sides import CoreMLSide, TorchSide
from ..._shared.predictions.asking import ask_all, ask_each, completed, described, layouts
from ..._shared.predictions.feeding import Wanted
from ..._shared.predictions.form import About
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.model_file import is_torch_model
from ..._shared.torch_setup.configure import configure


@told
def run(job: Any) -> None:
    """Ask about every sample."""
    configure(job)
    path = job.inputs["model"]
    if path.suffix in (".mlpackage", ".mlmodel"):
        _coreml(job)
    elif is_torch_model(path):
        _torch_model(job)
    else:
        _program(job, path)


def _torch_model(job: Any) -> None:
    side = TorchSide(job.inputs["model"])
    description = side.model.description
    about = About(
        "",
        "torch",
        labels=side.labels,
        gives={"logits": "logits"} if description.is_classifier else {},
        preprocessing=description.preprocessing.to_json() if description.preprocessing else None,
        task=description.task,
    )
    _by_side(job, about, side)


def _coreml(job: Any) -> None:
    side = CoreMLSide(job.inputs["model"])
    half = any("fp16" in kind for use in side.model.operators() for _, kind in use.outputs)
    stated = side.preprocessing
    about = About(
        "",
        "Core ML",
        labels=side.labels,
        gives={"logits": "logits"} if side.labels else {},
        preprocessing=stated.to_json() if stated else None,
        half=half,
    )
    _by_side(job, about, side)


def _by_side(job: Any, about: About, side: Any) -> None:
    """Both prepare samples as their own descriptions say."""

    def answer(content: Any) -> Mapping[str, Any]:
        try:
            return side.outputs(content) if isinstance(content, dict) else side.pictured(content)
        except CoreMLError as error:
            raise Problem(str(error)) from error

    ask_each(job, completed(job, about), answer)


def _program(job: Any, path: Path) -> None:
    extra = {MEMBER: ""}
    try:
        if path.suffix == ".pt2":
            if not job.trust("model"):
                raise Problem(
                    f"{path.name} is an exported program, which may hold pickled objects",
                    hint="if you trust its origin, write the input as {from: ..., trust: true}",
                )
            exported = torch.export.load(str(path), extra_files=extra)
            program, names = exported.module(), _exported(exported)
        else:
            program = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
            names = [a.name for a in program.forward.schema.arguments[1:]]
    except (RuntimeError, ValueError, OSError) as error:
        raise Problem(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from error
    text = extra[MEMBER].decode() if isinstance(extra[MEMBER], bytes) else extra[MEMBER]
    description = from_text(text, path.name)
    inputs = _inputs(names, description, path.name)

    def ask(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            out = program(*(torch.from_numpy(feeds[w.name]) for w in inputs))
        return _named(out, description)

    form = "exported program" if path.suffix == ".pt2" else "TorchScript"
    ask_all(job, described(description, form), inputs, ask)


def _inputs(names: list[str], description: Mapping[str, Any], file: str) -> list[Wanted]:
    """What the program says of itself; a program that is silent takes samples by name."""
    known, given = layouts(description), description.get("inputs")
    if not given:
        return [Wanted(name, None, "") for name in names]
    if len(given) != len(names):
        raise Problem(f"{file}: its {KEY} names {len(given)} inputs, it takes {len(names)}")
    return [
        Wanted(g["name"], tuple(g["shape"]), g.get("dtype") or "float32", known.get(g["name"]))
        for g in given
    ]


def _exported(program: Any) -> list[str]:
    """The inputs that a caller gives, not weights and buffers."""
    return list(program.graph_signature.user_inputs)


def _named(out: Any, description: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if isinstance(out, Mapping):
        return {str(name): value.numpy() for name, value in out.items()}
    values = list(out) if isinstance(out, (tuple, list)) else [out]
    told_names = [o["name"] for o in description.get("outputs") or ()]
    if len(told_names) != len(values):
        told_names = [f"output_{i}" if i else "output" for i in range(len(values))]
    return {name: value.numpy() for name, value in zip(told_names, values, strict=True)}
