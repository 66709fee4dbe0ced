"""What of TensorFlow can be converted: networks that describe themselves, and those that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._shared.keras_model.graph import gives_of
from ..._shared.keras_model.net import Net, Slot, open_net
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.model_file import Output
from ..._shared.torch_model.preprocessing import Preprocessing, from_json
from .pixels import Pixels
from .sources import Feature, Source

_SAID = ("labels", "inputs", "output_names", "output_tensors")


def read(tf: Any, job: Any) -> Source:
    """The job's model; ``program`` is a ``Net``.

    Raises:
        Problem: it cannot be read, or leaves open what must then be given.
    """
    params = job.params
    named = [g.get("tensor") or g["name"] for g in params.inputs or ()]
    pb = job.inputs["model"].is_file()
    net = open_net(
        tf,
        job.inputs["model"],
        job.trust("model"),
        signature=params.signature,
        tensors=params.output_tensors or (),
        inputs=named if pb else (),
    )
    if params.output_tensors and net.form != "FrozenGraph":
        raise Problem(f"output_tensors: are of a frozen graph, this is a {net.form} model")
    if net.description.get("inputs"):
        return _described(net, params)
    features = _features(net, params)
    labels = tuple(params.labels) if params.labels else None
    gives = _gives(tf, net)
    outputs = _outputs(net, params, labels)
    if outputs:  # named values: a linear end is no reason for a softmax
        gives = None
    return Source(net, net.form, features, labels, gives, outputs=outputs, task="network")


def _described(net: Net, params: Any) -> Source:
    given = [name for name in _SAID if getattr(params, name)]
    if given:
        raise Problem(f"{given[0]}: this model describes itself", hint=f"leave out {given[0]}")
    told, metadata = net.description, {}
    pictured = [i for i in told["inputs"] if i.get("preprocessing")]
    features = []
    for number, slot in enumerate(net.slots):
        how = told["inputs"][number].get("preprocessing") if pictured else None
        if how is None:
            features.append(Feature(slot.name, _sizes(slot, None), _dtype(slot, "float32")))
            continue
        preprocessing = from_json(how)
        metadata["mlbuild.preprocessing"] = preprocessing.to_json()
        pixels = _pixels(preprocessing) if params.image else None
        name = params.input_name if len(net.slots) == 1 else slot.name
        features.append(Feature(name, _sizes(slot, None), pixels=pixels))
    labels = tuple(told.get("labels") or ()) or None
    outputs = tuple(Output(o["name"], o["gives"]) for o in told["outputs"])
    classes = len(outputs) == 1 and outputs[0].gives in ("logits", "probabilities")
    return Source(
        program=net,
        form=net.form,
        features=features,
        labels=labels,
        gives=outputs[0].gives if classes else None,
        metadata=metadata,
        outputs=() if classes else outputs,
        task=told.get("task") or "network",
    )


def _pixels(how: Preprocessing) -> Pixels:
    """(pixel - mean) / std as scale and bias; deviations that differ become a factor."""
    return Pixels.given(
        {
            "colour": how.colour,
            "scale": [1 / s for s in how.std],
            "bias": [-m / s for m, s in zip(how.mean, how.std, strict=True)],
        }
    )


def _features(net: Net, params: Any) -> list[Feature]:
    given = list(params.inputs or ())
    if given and len(given) != len(net.slots):
        raise Problem(
            f"inputs: {len(given)} are given, the model takes {len(net.slots)}: "
            + ", ".join(f"{s.name} {_told(s)}" for s in net.slots)
        )
    own = {slot.name for slot in net.slots}
    by_name = bool(given) and {g["name"] for g in given} == own
    found = []
    for number, slot in enumerate(net.slots):
        facts: Mapping[str, Any] = {"name": slot.name}
        if by_name:
            facts = next(g for g in given if g["name"] == slot.name)
        elif given:
            facts = given[number]
        found.append(_feature(slot, facts))
    return found


def _feature(slot: Slot, facts: Mapping[str, Any]) -> Feature:
    image = facts.get("kind") == "image"
    shape = _sizes(slot, facts.get("shape"))
    shapes = facts.get("shapes")
    for sizes in shapes or ():
        _sizes(slot, sizes)
    pixels = Pixels.given(dict(facts)) if image else None
    if pixels is not None:
        channels = 1 if pixels.colour == "GRAY" else 3
        if channels not in (shape[1:2] + shape[3:4]):
            raise Problem(
                f"input '{facts['name']}' is a picture of {channels} channels, the model takes "
                f"{_told(slot)}"
            )
    dtype = _dtype(slot, facts.get("dtype") or "float32")
    return Feature(facts["name"], shape, dtype, pixels, shapes=shapes)


def _sizes(slot: Slot, given: Sequence[Any] | None) -> list[Any]:
    """The shape, where the model leaves sizes open those that are given; a batch of one."""
    if given is not None:
        fits = len(given) == len(slot.shape) or not slot.shape
        if not fits or any(
            own is not None and own != size for own, size in zip(slot.shape, given, strict=False)
        ):
            raise Problem(
                f"input '{slot.name}': shape {list(given)}, the model takes {_told(slot)}"
            )
        return list(given)
    sizes = [1 if place == 0 and n is None else n for place, n in enumerate(slot.shape)]
    if None in sizes:
        asked = ", ".join("?" if n is None else str(n) for n in sizes)
        raise Problem(
            f"input '{slot.name}' leaves sizes open: {_told(slot)}",
            hint=f"give them: inputs: {{{slot.name}: {{shape: [{asked}]}}}}",
        )
    return sizes


def _dtype(slot: Slot, given: str) -> str:
    if slot.dtype.startswith(("int", "uint", "bool")):
        return "int32"
    return "float32" if given == "int32" else given


def _gives(tf: Any, net: Net) -> str | None:
    """Seen in the graph's end, where there is one output."""
    if len(net.outputs) != 1:
        return None
    shapes = [[1 if n is None else n for n in slot.shape] for slot in net.slots]
    try:
        frozen = net.freeze(shapes)
    except Exception:  # a size of 1 fits few networks: then it stays unknown
        return None
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(frozen.graph_def, name="")
    return gives_of(graph, graph.get_tensor_by_name(frozen.outputs[0]))


def _outputs(net: Net, params: Any, labels: tuple[str, ...] | None) -> tuple[Output, ...]:
    """Named values, where this is no classifier."""
    names = list(params.output_names or ())
    if names and len(names) != len(net.outputs):
        raise Problem(
            f"output_names: {len(names)} names, the model has {len(net.outputs)} outputs: "
            + ", ".join(net.outputs)
        )
    if len(net.outputs) == 1 and not names and (labels or params.output != "auto"):
        return ()
    if labels and len(net.outputs) > 1:
        raise Problem(
            f"labels: the model has {len(net.outputs)} outputs, a classifier has one",
            hint="choose one, of a frozen graph by output_tensors",
        )
    return tuple(Output(n, "value") for n in names or net.outputs)


def _told(slot: Slot) -> str:
    return "[" + ", ".join("any" if n is None else str(n) for n in slot.shape) + "]"
