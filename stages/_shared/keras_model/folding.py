"""Graphs that coremltools misreads, written so that it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def folded(tf: Any, graph_def: Any, outputs: Sequence[str]) -> Any:
    """The graph with what can be computed beforehand as constants.

    coremltools folds by itself, but takes the parts of a constant that is split for the whole, and
    the -1 of a split ("what is left") for a size.

    Args:
        tf: TensorFlow.
        graph_def: with weights as constants.
        outputs: names of the nodes that must stay.
    """
    from tensorflow.python.grappler import tf_optimizer  # public API has no other way

    meta = tf.compat.v1.train.export_meta_graph(graph_def=graph_def, graph=_graph(tf, graph_def))
    # Whatever is in this collection, the optimizer keeps.
    meta.collection_def["train_op"].node_list.value.extend(outputs)
    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.optimizers.extend(["constfold"])
    rewriting.meta_optimizer_iterations = 1
    return _with_sizes(tf, tf_optimizer.OptimizeGraph(config, meta))


def _with_sizes(tf: Any, graph_def: Any) -> Any:
    """Every split says each of its sizes."""
    graph = _graph(tf, graph_def)
    for node in [n for n in graph_def.node if n.op == "SplitV"]:
        operation = graph.get_operation_by_name(node.name)
        axis = tf.get_static_value(operation.inputs[2])
        if axis is None:
            continue
        sizes = [output.shape[int(axis)] for output in operation.outputs]
        if None in sizes:
            continue
        name = f"{node.name}/sizes"
        kind = tf.dtypes.as_dtype(node.attr["Tlen"].type)
        constant = graph_def.node.add(name=name, op="Const")
        constant.attr["dtype"].type = kind.as_datatype_enum
        value = tf.make_tensor_proto(sizes, kind)
        constant.attr["value"].tensor.CopyFrom(value)
        node.input[1] = name
    return graph_def


def _graph(tf: Any, graph_def: Any) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    return graph
