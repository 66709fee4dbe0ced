"""From a TensorFlow network to an MLModel: always through a graph with its weights as constants.

Whatever form a network has, it becomes a frozen graph; what Core ML needs before and behind it
(factors of channels, casts, a softmax, names) is put around that graph.
"""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import coremltools as ct

from ..._shared.keras_model.folding import folded
from ..._shared.keras_model.net import Frozen, Net, unrolled
from ..._shared.problem.problem import Problem
from .conversion import classifier_of, precision_of, refused, type_of, wants_softmax
from .formats import options, settled
from .sources import Feature, Source


def convert(tf: Any, source: Source, params: Any, returns: str, log: Any) -> Any:
    """Run coremltools; a recurrent network whose loops it cannot read once more without loops.

    Args:
        tf: TensorFlow.
        source: its program is a ``Net``.
        params: of the kind.
        returns: "classifier", "probabilities", "logits", or "outputs" for those that it names.
        log: takes a line of text.

    Returns:
        The MLModel, not yet named and described.

    Raises:
        Problem: the network or one of its operators is not supported.
    """
    net: Net = source.program
    softmax = wants_softmax(source, params, returns)
    try:
        return _converted(tf, net, source, params, returns, softmax)
    except Problem:
        raise
    except Exception as error:  # coremltools raises whatever its passes stumble over
        log(traceback.format_exc())
        flat = unrolled(tf, net) if _fixed(source) else None
        if flat is None:
            raise refused(error) from error
        log("coremltools cannot read the network's loops: they are written out, step by step")
    try:
        return _converted(tf, flat, source, params, returns, softmax, fold=True)
    except Exception as error:  # as above
        log(traceback.format_exc())
        raise refused(error) from error


def _converted(
    tf: Any,
    net: Net,
    source: Source,
    params: Any,
    returns: str,
    softmax: bool,
    fold: bool = False,
) -> Any:
    names = _names(source, params, returns)
    frozen = net.freeze([_free(feature) for feature in source.features])
    graph_def = _dressed(tf, frozen, source.features, names, softmax)
    if fold:
        graph_def = folded(tf, graph_def, names)
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # of deprecations, and of names that it changes
        converted = ct.convert(
            graph_def,
            source="tensorflow",
            inputs=[type_of(f) for f in source.features],
            outputs=[ct.TensorType(name=name) for name in names],
            classifier_config=classifier_of(source, params, returns),
            skip_model_load=True,
            **options(params, precision_of(source, params)),
        )
        return settled(converted, params)


def _names(source: Source, params: Any, returns: str) -> list[str]:
    if returns == "outputs":
        return [output.name for output in source.outputs]
    return [params.score_output or "scores"] if returns == "classifier" else [
        params.score_output or returns
    ]  # fmt: skip


def _dressed(
    tf: Any, frozen: Frozen, features: list[Feature], names: list[str], softmax: bool
) -> Any:
    """The graph with placeholders and ends of our own."""
    graph = tf.Graph()
    with graph.as_default():
        mapped = {}
        types = _types(tf, frozen)
        for feature, name in zip(features, frozen.inputs, strict=True):
            whole = tf.int32 if feature.dtype == "int32" else tf.float32
            given = tf.compat.v1.placeholder(whole, _free(feature), name=feature.name)
            pixels = feature.pixels
            if pixels is not None and pixels.multiply is not None:
                given = given * _factors(tf, feature)
            mapped[name] = given if types[name] == given.dtype else tf.cast(given, types[name])
        found = tf.import_graph_def(
            frozen.graph_def, input_map=mapped, return_elements=list(frozen.outputs), name="net"
        )
        for name, value in zip(names, found, strict=True):
            tf.identity(tf.nn.softmax(value) if softmax else value, name=name)
    return graph.as_graph_def()


def _types(tf: Any, frozen: Frozen) -> dict[str, Any]:
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(frozen.graph_def, name="")
    return {name: graph.get_tensor_by_name(name).dtype.base_dtype for name in frozen.inputs}


def _factors(tf: Any, feature: Feature) -> Any:
    assert feature.pixels is not None and feature.shape is not None
    last = feature.shape[3] == len(feature.pixels.multiply)
    sizes = [1, 1, 1, -1] if last else [1, -1, 1, 1]
    return tf.reshape(tf.constant(feature.pixels.multiply, tf.float32), sizes)


def _free(feature: Feature) -> list[int | None]:
    """The shape as a graph takes it: None for a range or where shapes differ."""
    if feature.shapes:
        return [
            sizes[0] if len(set(sizes)) == 1 else None
            for sizes in zip(*feature.shapes, strict=True)
        ]
    return [size if isinstance(size, int) else None for size in feature.shape or ()]


def _fixed(source: Source) -> bool:
    return source.program.keras is not None and all(None not in _free(f) for f in source.features)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without coremltools' lines of progress and of versions that it was not tested with."""
    log = logging.getLogger("coremltools")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
