"""Convert a Caffe net to a Core ML package, with the last coremltools that could."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple  # noqa: UP035 - evaluated, on 3.8 too

from ..._shared.caffe.folder import Blob, CaffeFolder, read
from ..._shared.caffe.mean import write_mean
from ..._shared.caffe.pictures import chosen, is_picture, listed, mean_of, preprocessing
from ..._shared.description.description import inside
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.preprocessing import Preprocessing
from .plain import describe, finish, halve_weights, refuse, rename

_BIASES = {
    "RGB": ("red_bias", "green_bias", "blue_bias"),
    "BGR": ("blue_bias", "green_bias", "red_bias"),
    "GRAY": ("gray_bias",),
}


@told
def run(job: Any) -> None:
    """Look, convert, name, describe, save."""
    params = job.params
    refuse(params, "a Caffe net")
    net = read(job.inputs["model"])
    labels = _labels(net, params)
    description = inside(job.inputs["model"])
    pictures = {
        blob.name: wanted
        for blob in net.inputs
        for wanted in [_wanted(net, blob, description, params)]
        if wanted is not None
    }
    job.progress(0, 2, "converting")
    spec = _converted(job, net, labels, pictures)
    _check_outputs(spec, params, labels)
    if params.precision == "float16":
        halve_weights(spec)
    names = _names(params, spec, net)
    rename(spec, names)
    describe(spec, params, _description(net, pictures, spec, labels, names))
    job.progress(1, 2, "saving")
    finish(job, spec, labels)


def _labels(net: CaffeFolder, params: Any) -> Tuple[str, ...]:  # noqa: UP006
    if params.output == "classifier" and not (params.labels or net.labels):
        raise Problem("output: classifier needs labels", hint="give labels: [...], or labels.txt")
    if params.output not in ("auto", "classifier"):
        return ()
    return tuple(params.labels or net.labels)


def _wanted(net: CaffeFolder, blob: Blob, description: Any, params: Any) -> Optional[Preprocessing]:  # noqa: UP045
    """How an input's pictures are prepared; None for an array."""
    given = {each["name"]: each for each in params.inputs or ()}
    unknown = sorted(set(given) - {b.name for b in net.inputs})
    if unknown:
        raise Problem(
            f"inputs: the net has no input '{unknown[0]}'",
            hint=f"it has {', '.join(b.name for b in net.inputs)}",
        )
    facts = given.get(blob.name)
    if facts is None and not params.image:
        return None
    if facts is None:
        return chosen(net, blob, description) if is_picture(blob) else None
    if facts.get("kind") != "image":
        return None
    if not is_picture(blob):
        raise Problem(f"input '{blob.name}' {list(blob.shape)} is no picture")
    channels = blob.shape[1]
    scale, bias = (listed(facts.get(n, d), channels) for n, d in (("scale", 1.0), ("bias", 0.0)))
    return chosen(net, blob, None, preprocessing(blob, facts.get("colour", "RGB"), scale, bias))


def _converted(
    job: Any,
    net: CaffeFolder,
    labels: tuple[str, ...],
    pictures: Dict[str, Preprocessing],  # noqa: UP006
) -> Any:
    from coremltools.converters import caffe  # heavy
    from coremltools.proto import Model_pb2

    options = _options(pictures)
    if labels:  # a path: of a list it makes nonsense without a word
        file = job.scratch / "labels.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        options.update(class_labels=str(file), predicted_feature_name=job.params.label_output)
    means = _means(job, net, pictures)
    files: List[Any] = [str(net.weights), str(net.network)]  # noqa: UP006
    given = (*files, means) if means else tuple(files)
    target = job.scratch / "converted.mlmodel"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        caffe._caffe_converter._export(str(target), given, **options)
    except (RuntimeError, ValueError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise Problem(
            f"{net.network.name} cannot be converted: {lines[0] if lines else error!r}"
        ) from error
    spec = Model_pb2.Model()
    spec.ParseFromString(Path(target).read_bytes())
    return spec


def _means(
    job: Any,
    net: CaffeFolder,
    pictures: Dict[str, Preprocessing],  # noqa: UP006
) -> Dict[str, str]:  # noqa: UP006
    """Files of the mean picture, in the one form of several that coremltools reads."""
    found = {}
    for blob in net.inputs:
        values = mean_of(net, blob) if blob.name in pictures else None
        if values is not None:
            file = job.scratch / f"mean-{len(found)}.binaryproto"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_mean(file, values)
            found[blob.name] = str(file)
    return found


def _options(pictures: Dict[str, Preprocessing]) -> Dict[str, Any]:  # noqa: UP006
    """What coremltools is told of pictures: value = pixel * scale + bias."""
    options: Dict[str, Any] = {"image_input_names": sorted(pictures), "is_bgr": {}}  # noqa: UP006
    for name, wanted in sorted(pictures.items()):
        if len({round(s, 9) for s in wanted.std}) != 1:
            raise Problem(
                f"input '{name}': channels have different scales, which Core ML has no place for",
                hint="one scale for all, or kind: tensor",
            )
        options["is_bgr"][name] = wanted.colour == "BGR"
        options.setdefault("image_scale", {})[name] = 1 / wanted.std[0]
        for key, mean, std in zip(_BIASES[wanted.colour], wanted.mean, wanted.std):  # noqa: B905
            options.setdefault(key, {})[name] = -mean / std
    for keys in _BIASES.values():
        for key in keys:
            biases = options.get(key)
            if biases is not None:
                options[key] = {name: biases.get(name, 0.0) for name in pictures}
    return options


def _check_outputs(spec: Any, params: Any, labels: Tuple[str, ...]) -> None:  # noqa: UP006
    """Refuse other numbers of labels than of scores, where the net says how many it gives."""
    if not labels:
        return
    network = spec.neuralNetworkClassifier
    for layer in reversed(network.layers):
        if layer.WhichOneof("layer") == "innerProduct":
            count = layer.innerProduct.outputChannels
            if count != len(labels):
                raise Problem(f"the net has {count} scores, there are {len(labels)} labels")
            return


def _names(params: Any, spec: Any, net: CaffeFolder) -> Dict[str, str]:  # noqa: UP006
    found = {}
    scores = spec.description.predictedProbabilitiesName
    if scores and params.score_output:
        found[scores] = params.score_output
    if params.input_name != "image" and len(net.inputs) == 1:
        found[net.inputs[0].name] = params.input_name
    return found


def _description(
    net: CaffeFolder, pictures: Dict[str, Preprocessing], spec: Any,  # noqa: UP006
    labels: Tuple[str, ...], names: Dict[str, str],  # noqa: UP006
) -> Dict[str, Any]:  # fmt: skip # noqa: UP006
    inputs = []
    for blob in net.inputs:
        wanted = pictures.get(blob.name)
        if wanted is not None and net.mean is not None:
            wanted = replace(wanted, mean=(0.0,) * wanted.channels)
        inputs.append(
            {
                "name": names.get(blob.name, blob.name),
                "kind": "tensor" if wanted is None else "image",
                "layout": "NCHW" if len(blob.shape) == 4 else None,
                "shape": list(blob.shape),
                "dtype": "float32",
                "preprocessing": None if wanted is None else wanted.to_json(),
            }
        )
    label = spec.description.predictedFeatureName
    outputs = [
        {"name": f.name, "gives": "label" if f.name == label else "probabilities" if label else ""}
        for f in spec.description.output
    ]
    task = "classification" if labels else ""
    return {"inputs": inputs, "outputs": outputs, "labels": list(labels) or None, "task": task}
