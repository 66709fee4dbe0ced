"""Write a TensorFlow network as a TFLite file, and ask it beside TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._shared.description.description import Description, append
from ..._shared.keras_model.net import Net, open_net
from ..._shared.keras_model.setup import configure
from ..._shared.problem.problem import Problem, told
from .asking import asked, compared, facts_of
from .conversion import convert
from .examples import drawn, representative

_SHOWN = 8  # representative samples that are compared


@told
def run(job: Any) -> None:
    """Read, convert, compare, describe, save."""
    tf = configure(job)
    params = job.params
    net = open_net(
        tf,
        job.inputs["model"],
        job.trust("model"),
        signature=params.signature,
        tensors=params.output_tensors or (),
    )
    if params.output_tensors and net.form != "FrozenGraph":
        raise Problem(f"output_tensors: are of a frozen graph, this is a {net.form} model")
    shapes = _shapes(net, params.shapes or {})
    samples = _samples(job, net, shapes)
    job.progress(0, 3, "converting")
    content = convert(tf, net, shapes, samples, params, job.log)
    job.progress(1, 3, "comparing with TensorFlow")
    examples = samples[:_SHOWN] if samples else [drawn(net, shapes)]
    wanted = [net.call(example) for example in examples]
    description = _description(net, shapes, params, wanted[0])
    found = asked(tf, content, examples)
    off = compared(found, wanted, params.quantization, job.log)
    job.progress(2, 3, "saving")
    job.outputs["model"].write_bytes(content)
    append(job.outputs["model"], description)
    facts = {**facts_of(tf, content), "quantization": params.quantization}
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.metric("size_mb", job.outputs["model"].stat().st_size / 1e6)
    job.metric("operators", sum(facts["operators"].values()))
    if off is not None:
        job.metric("largest_difference", float(f"{off:.2g}"))


def _samples(job: Any, net: Net, shapes: list[list[int]]) -> list[dict[str, np.ndarray]]:
    full, given = job.params.quantization == "int8", "samples" in job.inputs
    if full and not given:
        raise Problem(
            "quantization: int8, but the input 'samples' is missing",
            hint="give pictures or .npz files as the model will meet them: how large values "
            "become is measured on them",
        )
    if given and not full:
        raise Problem(f"quantization: {job.params.quantization} uses no samples")
    return representative(job, net, shapes) if given else []


def _shapes(net: Net, given: dict[str, list[int]]) -> list[list[int]]:
    foreign = sorted(set(given) - {slot.name for slot in net.slots})
    if foreign:
        known = ", ".join(slot.name for slot in net.slots)
        raise Problem(f"shapes: there is no input '{foreign[0]}'", hint=f"there is {known}")
    found = []
    for slot in net.slots:
        told_ = "[" + ", ".join("any" if n is None else str(n) for n in slot.shape) + "]"
        sizes = given.get(slot.name)
        if sizes is None:
            sizes = [1 if place == 0 and n is None else n for place, n in enumerate(slot.shape)]
        elif len(sizes) != len(slot.shape) or any(
            own not in (None, size) for own, size in zip(slot.shape, sizes, strict=True)
        ):
            raise Problem(f"shapes: {slot.name}: {sizes}, the model takes {told_}")
        if None in sizes:
            raise Problem(
                f"input '{slot.name}' leaves sizes open: {told_}",
                hint=f"give them: shapes: {{{slot.name}: [...]}}",
            )
        found.append([int(size) for size in sizes])
    return found


def _description(
    net: Net, shapes: Sequence[Sequence[int]], params: Any, answer: dict[str, np.ndarray]
) -> Description:
    """What the file says: what the model said of itself, or what is given."""
    described = dict(net.description)
    given = [name for name in ("labels", "gives") if getattr(params, name) is not None]
    if described.get("inputs") and given:
        raise Problem(f"{given[0]}: this model describes itself", hint=f"leave out {given[0]}")
    if params.labels and (
        len(answer) != 1 or next(iter(answer.values())).size != len(params.labels)
    ):
        sizes = ", ".join(f"{name} {list(a.shape)}" for name, a in answer.items())
        raise Problem(f"labels: {len(params.labels)} are given, the model gives {sizes}")
    if not described.get("inputs"):
        described = {
            "inputs": [
                {
                    "name": slot.name,
                    "kind": "tensor",
                    "layout": "NHWC" if len(shape) == 4 and shape[3] in (1, 3, 4) else None,
                    "shape": list(shape),
                    "dtype": slot.dtype,
                    "preprocessing": None,
                }
                for slot, shape in zip(net.slots, shapes, strict=True)
            ],
            "outputs": [{"name": n, "gives": params.gives or ""} for n in net.outputs],
            "labels": params.labels,
            "task": "classifier" if params.labels else "",
        }
    # Names are those of the signature, whatever the model's own description calls them.
    named = zip(described["inputs"], net.slots, strict=True)
    described["inputs"] = [{**told_, "name": slot.name} for told_, slot in named]
    pairs = zip(described["outputs"], net.outputs, strict=True)
    described["outputs"] = [{**told_, "name": name} for told_, name in pairs]
    return {**described, **_width(params.quantization)}


def _width(quantization: str) -> dict[str, Any]:
    if quantization == "float16":
        return {"half": True}
    return {} if quantization == "none" else {"bits": 8}
