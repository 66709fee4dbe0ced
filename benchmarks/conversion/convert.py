"""From a network to the package that coremltools makes of it."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.conversion.nets import LABELS, MEAN, STD, Net

COMPRESSIONS = ("palette8", "palette6", "palette4", "int8", "int4", "pruned")


def convert(net: Net, seed: int, precision: str, target: str, folder: Path, how: str = "") -> Path:
    """Convert, compress if asked for, and save; a package that stands is taken as it is.

    Args:
        net: The family.
        seed: Of its weights.
        precision: float16 or float32.
        target: iOS15 to iOS18.
        folder: Where packages lie.
        how: One of ``COMPRESSIONS``, or nothing.
    """
    name = "-".join(part for part in (net.name, str(seed), precision, target, how) if part)
    path = folder / f"{name}.mlpackage"
    if path.exists():
        return path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _converted(net, seed, precision, target)
        if how:
            model = _compressed(model, how)
        scratch = folder / f".{name}.mlpackage"
        model.save(str(scratch))
    scratch.rename(path)
    return path


def coremltools() -> Any:
    """The library, quiet about what it lacks on Linux."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import coremltools as ct  # takes 1.5 s, and a standing package needs none of it
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    return ct


def _converted(net: Net, seed: int, precision: str, target: str) -> Any:
    ct = coremltools()
    example = torch.zeros(net.shape, dtype=torch.int32) if net.tokens else torch.randn(net.shape)
    options: dict[str, Any] = {}
    if net.picture:
        bias = [-m / STD for m in MEAN]
        options["inputs"] = [ct.ImageType("image", shape=net.shape, scale=1 / STD, bias=bias)]
        options["classifier_config"] = ct.ClassifierConfig(list(LABELS))
    else:
        kind = {"dtype": int} if net.tokens else {}
        options["inputs"] = [ct.TensorType("x", shape=net.shape, **kind)]
        options["outputs"] = [ct.TensorType("y")]
    return ct.convert(
        torch.jit.trace(net.made(seed), example),
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, target),
        compute_precision=getattr(ct.precision, precision.upper()),
        skip_model_load=True,
        **options,
    )


def _compressed(model: Any, how: str) -> Any:
    from coremltools.optimize import coreml as opt  # with coremltools itself

    if how.startswith("palette"):
        config = opt.OpPalettizerConfig(mode="kmeans", nbits=int(how[-1]), weight_threshold=100)
        whole = opt.OptimizationConfig(global_config=config)
        return opt.palettize_weights(model, whole)
    if how == "pruned":
        config = opt.OpMagnitudePrunerConfig(target_sparsity=0.3, weight_threshold=100)
        return opt.prune_weights(model, opt.OptimizationConfig(global_config=config))
    extra = {"granularity": "per_block", "block_size": 4} if how == "int4" else {}
    config = opt.OpLinearQuantizerConfig(
        mode="linear_symmetric", dtype=how, weight_threshold=100, **extra
    )
    return opt.linear_quantize_weights(model, opt.OptimizationConfig(global_config=config))
