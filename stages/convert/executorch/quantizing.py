"""Weights and activations in 8 bits, on scales that are measured on samples."""

from __future__ import annotations

from typing import Any

import torch

from ..._shared.parity.samples import Reader, find
from ..._shared.predictions.feeding import Wanted, feed
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import from_json
from ..._shared.torch_program.program import Program


def quantized(job: Any, program: Program, source: Any) -> Any:
    """The exported program with quantizing steps in it, as XNNPACK takes them.

    Raises:
        Problem: there are no samples, or they do not fit the model.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (  # heavy
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    if "samples" not in job.inputs:
        raise Problem(
            "quantize: int8 measures its scales on samples, and there are none",
            hint="give the stage an input samples: pictures or .npz files",
        )
    config = get_symmetric_quantization_config(is_per_channel=True)
    prepared = prepare_pt2e(source.module(), XNNPACKQuantizer().set_global(config))
    for given in _given(job, program):
        prepared(*given)
    return torch.export.export(convert_pt2e(prepared), program.examples())


def _given(job: Any, program: Program) -> Any:
    """The samples as the network takes them."""
    samples = find(job.inputs["samples"], job.params.calibration_samples)
    wanted = [Wanted(g.name, g.shape, g.dtype, g.layout) for g in program.inputs]
    stated = program.inputs[0].preprocessing if len(program.inputs) == 1 else None
    how = from_json(stated) if stated else None
    reader = Reader(skip=False)
    for sample in samples:
        try:
            arrays = feed(reader.read(sample), wanted, how)
        except Problem as problem:
            raise Problem(f"sample {sample.name}: {problem}", problem.hint) from problem
        yield tuple(torch.from_numpy(arrays[w.name]) for w in wanted)
