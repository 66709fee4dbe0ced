"""Convert an ONNX file to a Core ML package."""

from __future__ import annotations

import traceback
from typing import Any

import coremltools as ct
from onnx2coreml import ConversionError, Converter, Onnx2CoreMLError, UnsupportedOpError

from ..._shared.problem.problem import Problem, told
from ..._shared.torch_setup.configure import configure
from .conversion import wants_softmax
from .milprogram import finish
from .onnx_sources import prepared, read
from .sources import returned
from .writing import write


@told
def run(job: Any) -> None:
    """Read, lower, convert, describe, check, save."""
    configure(job)
    source, slots = read(job)
    returns = returned(source, job.params)
    graph = prepared(source, slots, wants_softmax(source, job.params, returns))
    job.progress(0, 2, "converting")
    program = _lowered(graph, job.params, job.log)
    mlmodel = finish(program, source, job.params, returns, job.log)
    write(job, mlmodel, source, returns)


def _lowered(graph: Any, params: Any, log: Any) -> Any:
    """The graph in coremltools' language."""
    half = params.precision == "float16"
    precision = ct.precision.FLOAT16 if half else ct.precision.FLOAT32
    target = getattr(ct.target, params.target)
    try:
        return Converter().to_mil(graph, target=target, precision=precision)
    except UnsupportedOpError as error:
        operator, nodes = min(error.missing.items())
        more = f", and {len(error.missing) - 1} more operators" if len(error.missing) > 1 else ""
        raise Problem(
            f"onnx2coreml does not know the operator {operator}, at {nodes[0]}{more}",
            hint="rewrite it with others, or convert the network from its own framework",
        ) from error
    except ConversionError as error:
        log(traceback.format_exc())
        raise Problem(
            f"onnx2coreml cannot convert {error.op_key}, at {error.node_name}: {error.cause}",
            hint="another target may have that operator; the log has the whole traceback",
        ) from error
    except (Onnx2CoreMLError, ValueError, NotImplementedError) as error:
        log(traceback.format_exc())
        raise Problem(f"onnx2coreml cannot convert this graph: {error}") from error
