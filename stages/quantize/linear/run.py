"""Linear quantization of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._shared.compression.apply import Method, common_obstacle, compress
from ..._shared.compression.plan import Choice
from ..._shared.compression.weights import Weight

_OPTIONS = ("mode", "dtype", "granularity", "block_size", "weight_threshold")
_MODES = {"symmetric": "linear_symmetric", "asymmetric": "linear"}
_SHORTEST_TABLE = 10  # elements; coremltools keeps shorter constants in the model file


def run(job: Any) -> None:
    """Compress the model and report what was reached."""
    joint = job.params.joint
    method = Method(
        kind="quantize/linear",
        defaults={option: getattr(job.params, option) for option in _OPTIONS},
        obstacle=lambda weight, options: _obstacle(weight, options, joint),
        run=lambda model, choices: _quantize(model, choices, joint),
        check=_lacking,
        ios18=lambda options: _newer(options, joint),
    )
    compress(job, method)


def _obstacle(weight: Weight, options: Mapping[str, Any], joint: bool) -> str | None:
    reason = common_obstacle(weight, options, joint) or _indivisible(weight, options)
    if reason or not joint:
        return reason
    if "linear" in weight.stored:
        return "already quantized"
    if "palette" in weight.stored:
        if options["granularity"] != "per_tensor":
            return "a palette's table can only be quantized with `granularity: per_tensor`"
        if 2**weight.bits < _SHORTEST_TABLE:
            return "its palette's table is too short to be worth it"
    return None


def _indivisible(weight: Weight, options: Mapping[str, Any]) -> str | None:
    """What does not divide into whole blocks is left out by coremltools nearly silently."""
    block = options["block_size"]
    if options["granularity"] != "per_block" or not isinstance(block, int) or block == 0:
        return None
    axis = {"conv": 1, "linear": 1, "conv_transpose": 0}.get(weight.op)
    if axis is None or weight.shape[axis] % block == 0:
        return None
    channels = weight.shape[axis]
    return f"its {channels} input channels do not divide into blocks of block_size {block}"


def _newer(options: Mapping[str, Any], joint: bool) -> str | None:
    if joint:
        return "joint: true"
    if options["dtype"].endswith("4"):
        return f"dtype: {options['dtype']}"
    return "granularity: per_block" if options["granularity"] == "per_block" else None


def _quantize(model: Any, choices: Sequence[Choice], joint: bool) -> Any:
    # Inside the function: the import of coremltools costs 1.5 s, and a refusal needs none.
    from coremltools.optimize import coreml as cto

    configs = {choice.weight.name: _config(cto, choice.options or {}) for choice in choices}
    wanted = cto.OptimizationConfig(op_name_configs=configs)
    return cto.linear_quantize_weights(model, wanted, joint_compression=joint)


def _config(cto: Any, options: Mapping[str, Any]) -> Any:
    return cto.OpLinearQuantizerConfig(
        mode=_MODES[options["mode"]],
        dtype=options["dtype"],
        granularity=options["granularity"],
        block_size=options["block_size"],
        weight_threshold=options["weight_threshold"],
    )


def _lacking(choice: Choice, reached: Weight) -> str | None:
    asked = 4 if (choice.options or {})["dtype"].endswith("4") else 8
    if "linear" not in reached.stored:
        return f"stored as {reached.stored}, not as integers with scales"
    if "palette" in reached.stored:
        return None  # there it is the table that was quantized
    return None if reached.bits == asked else f"{reached.bits:g} bits instead of {asked}"
