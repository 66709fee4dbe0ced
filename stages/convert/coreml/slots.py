"""Programs that name what they take: how their inputs and outputs become Core ML's.

ONNX files and what jax.export serialized know names, sizes and types. What a description or the
parameters add: which input is a picture, labels, what the numbers are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._shared.problem.problem import Problem
from ..._shared.torch_model.model_file import Output
from ..._shared.torch_model.preprocessing import Preprocessing, from_json
from .pixels import Pixels
from .sources import Feature, Source

_SAID = ("labels", "inputs", "output_names")
SCORES = ("logits", "probabilities")


@dataclass(frozen=True)
class Slot:
    """One input of the program itself."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    def __str__(self) -> str:
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype}[{sizes}]"

    def __len__(self) -> int:
        return len(self.shape)


@dataclass(frozen=True)
class Front:
    """What stands before an input of the program: nothing, channels' own factors, another order."""

    factors: tuple[float, ...] | None
    last: bool  # the program wants channels last; a picture of Core ML has them first


def source_of(
    program: Any,
    form: str,
    slots: Sequence[Slot],
    outputs: Mapping[str, str | None],
    told: Mapping[str, Any],
    params: Any,
) -> Source:
    """All that the converter must know.

    Args:
        program: whatever the converter reads.
        form: of which kind it is.
        slots: its inputs.
        outputs: its outputs, with what is seen that they give.
        told: its ``mlbuild.description``, or nothing.
        params: of the kind.

    Raises:
        Problem: parameters and program do not go together, or leave something open.
    """
    if params.format != "mlprogram":
        raise Problem(f"format: {params.format} is not made of {form}, only ML Programs are")
    metadata: dict[str, Any] = {}
    if told.get("inputs"):
        given = [name for name in _SAID if getattr(params, name)]
        if given:
            raise Problem(f"{given[0]}: this model describes itself", f"leave out {given[0]}")
        features = _described(slots, told, params, metadata)
        said = {o["name"]: o.get("gives") or "value" for o in told.get("outputs") or ()}
        named = {name: said.get(name, gives) for name, gives in outputs.items()}
    else:
        features = _given(slots, params)
        named = _named(outputs, params.output_names)
    labels = tuple(params.labels or told.get("labels") or ()) or None
    source = Source(program, form, features, labels, None, metadata)
    source.task = told.get("task") or "network"
    if len(named) == 1:
        (gives,) = named.values()
        source.gives = gives if gives in SCORES else None
        if labels or source.gives or params.output != "auto":
            return source
    elif labels and not told:
        raise Problem(f"labels: the model has {len(named)} outputs, a classifier has one")
    source.outputs = tuple(Output(name, gives or "value") for name, gives in named.items())
    return source


def front_of(slot: Slot, feature: Feature) -> Front | None:
    """What stands between Core ML's input and the program's; None for nothing."""
    if feature.pixels is None:
        return None
    last = not _fits(slot, feature.shape or ())
    factors = feature.pixels.multiply
    return Front(factors, last) if last or factors else None


def _described(
    slots: Sequence[Slot], told: Mapping[str, Any], params: Any, metadata: dict[str, Any]
) -> list[Feature]:
    facts = {i["name"]: i for i in told["inputs"]}
    lacking = [slot.name for slot in slots if slot.name not in facts]
    if lacking:
        raise Problem(f"the model's description says nothing of its input {lacking[0]}")
    features = []
    for slot in slots:
        stated = facts[slot.name].get("preprocessing")
        shape = _sizes(slot, facts[slot.name].get("shape"))
        if stated is None:
            features.append(Feature(_plain(slot.name), shape, _dtype(slot)))
            continue
        how = from_json(stated)
        metadata["mlbuild.preprocessing"] = how.to_json()
        name = params.input_name if len(slots) == 1 else _plain(slot.name)
        if params.image:
            features.append(Feature(name, list(how.shape), pixels=_pixels(how)))
        else:
            features.append(Feature(name, shape))
    return features


def _pixels(how: Preprocessing) -> Pixels:
    """(pixel - mean) / std as scale and bias; deviations that differ become factors."""
    pairs = zip(how.mean, how.std, strict=True)
    return Pixels.given(
        {
            "colour": how.colour,
            "scale": [1 / s for s in how.std],
            "bias": [-m / s for m, s in pairs],
        }
    )


def _given(slots: Sequence[Slot], params: Any) -> list[Feature]:
    given = list(params.inputs or ())
    if given and len(given) != len(slots):
        taken = "; ".join(map(str, slots))
        raise Problem(f"inputs: {len(given)} are given, the model takes {len(slots)}: {taken}")
    by_name = {g["name"]: g for g in given} if given else {}
    if set(by_name) != {slot.name for slot in slots}:
        by_name = {slot.name: g for slot, g in zip(slots, given, strict=False)}
    return [_feature(slot, by_name.get(slot.name)) for slot in slots]


def _feature(slot: Slot, facts: Mapping[str, Any] | None) -> Feature:
    if facts is None:
        return Feature(_plain(slot.name), _sizes(slot, None), _dtype(slot))
    if facts.get("shapes") or any(not isinstance(s, int) for s in facts.get("shape") or ()):
        raise Problem(f"input '{slot.name}': the converter of such models needs fixed sizes")
    if facts.get("kind") != "image":
        return Feature(facts["name"], _sizes(slot, facts.get("shape")), _dtype(slot))
    pixels = Pixels.given(dict(facts))
    channels = 1 if pixels.colour == "GRAY" else 3
    shape = facts.get("shape")
    if shape is None:  # with channels first, as Core ML has them
        own = _sizes(slot, None)
        last = len(own) == 4 and own[1] != channels and own[3] == channels
        shape = [own[0], own[3], own[1], own[2]] if last else own
    turned = [shape[0], *shape[2:], shape[1]]
    if shape[1] != channels or not (_fits(slot, shape) or _fits(slot, turned)):
        raise Problem(f"input '{slot.name}': no picture of {channels} channels goes into {slot}")
    return Feature(facts["name"], list(shape), pixels=pixels)


def _fits(slot: Slot, shape: Sequence[int]) -> bool:
    return len(shape) == len(slot.shape) and all(
        own in (None, size) for own, size in zip(slot.shape, shape, strict=True)
    )


def _sizes(slot: Slot, given: Sequence[int | None] | None) -> list[int]:
    """The shape; sizes that the model leaves open are given, the first one is a batch of one."""
    if given is not None and not all(
        own in (None, size) or size is None for own, size in zip(slot.shape, given, strict=False)
    ):
        raise Problem(f"input '{slot.name}': shape {list(given)}, the model takes {slot}")
    known = [own or (given[i] if given else None) for i, own in enumerate(slot.shape)]
    sizes = [1 if place == 0 and size is None else size for place, size in enumerate(known)]
    if None in sizes:
        asked = ", ".join("?" if size is None else str(size) for size in sizes)
        raise Problem(
            f"input '{slot.name}' leaves sizes open: {slot}",
            hint=f"give them: inputs: {{{slot.name}: {{shape: [{asked}]}}}}",
        )
    return [int(size) for size in sizes if size is not None]


def _dtype(slot: Slot) -> str:
    return "int32" if slot.dtype.startswith(("int", "uint", "bool")) else "float32"


def _named(outputs: Mapping[str, str | None], names: Sequence[str] | None) -> dict[str, Any]:
    if names and len(names) != len(outputs):
        raise Problem(
            f"output_names: {len(names)} names, the model has {len(outputs)} outputs: "
            + ", ".join(outputs)
        )
    return dict(zip(names or map(_plain, outputs), outputs.values(), strict=True))


def _plain(name: str) -> str:
    """A name that Core ML takes: other characters become underscores."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{plain}" if plain[:1].isdigit() or not plain else plain
