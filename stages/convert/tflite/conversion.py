"""From a network to the bytes of a TFLite file, through a graph with constants."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..._shared.keras_model.net import Net, unrolled
from ..._shared.problem.problem import Problem

Example = Mapping[str, np.ndarray]


def convert(
    tf: Any,
    net: Net,
    shapes: Sequence[Sequence[int]],
    samples: Sequence[Example],
    params: Any,
    log: Any,
) -> bytes:
    """Run TensorFlow's converter; a network whose loops it cannot write once more without loops.

    Raises:
        Problem: an operator has no counterpart.
    """
    try:
        return _converted(tf, net, shapes, samples, params)
    except Exception as error:  # the converter raises whatever its passes stumble over
        log(traceback.format_exc())
        flat = unrolled(tf, net) if net.keras is not None else None
        if flat is None:
            raise _refused(error) from error
        log("the converter cannot write the network's loops: they are written out, step by step")
    try:
        return _converted(tf, flat, shapes, samples, params)
    except Exception as error:  # as above
        log(traceback.format_exc())
        raise _refused(error) from error


def _converted(
    tf: Any, net: Net, shapes: Sequence[Sequence[int]], samples: Sequence[Example], params: Any
) -> bytes:
    # Given functions with variables, the converter writes files that answer NaN for Keras 3.
    function, owner = _function(tf, net, shapes)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], owner)
    if params.quantization != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if params.quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if params.quantization == "int8":
        converter.representative_dataset = lambda: _fed(samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = getattr(tf, params.io)
        converter.inference_output_type = getattr(tf, params.io)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that statistics of ranges are left to the samples
        return bytes(converter.convert())


def _function(tf: Any, net: Net, shapes: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """The network as a function with names, and the object that the converter wants beside it."""
    frozen = net.freeze(shapes)

    def imported() -> None:
        tf.import_graph_def(frozen.graph_def, name="")

    inner = tf.compat.v1.wrap_function(imported, []).prune(
        list(frozen.inputs), list(frozen.outputs)
    )

    def outer(**given: Any) -> dict[str, Any]:
        found = tf.nest.flatten(inner(*(given[slot.name] for slot in net.slots)))
        return dict(zip(net.outputs, found, strict=True))

    specs = {
        slot.name: tf.TensorSpec(shape, slot.dtype, name=slot.name)
        for slot, shape in zip(net.slots, shapes, strict=True)
    }
    return tf.function(outer).get_concrete_function(**specs), tf.Module()


def _fed(samples: Sequence[Example]) -> Iterator[dict[str, np.ndarray]]:
    for sample in samples:
        yield dict(sample)


def _refused(error: Exception) -> Problem:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if "error:" in line), lines[0] if lines else "")
    return Problem(
        f"the network cannot be written as TFLite: {told[:400] or type(error).__name__}",
        hint="the whole message is in the stage's log; replace the operator that it names",
    )
