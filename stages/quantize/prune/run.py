"""Pruning of weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..._shared.compression.apply import Method, common_obstacle, compress
from ..._shared.compression.plan import Choice
from ..._shared.compression.weights import Weight

_OPTIONS = (
    "method",
    "sparsity",
    "threshold",
    "minimum_sparsity",
    "n_m",
    "block_size",
    "dim",
    "weight_threshold",
)
_STRUCTURED = ("block", "n_m")


def run(job: Any) -> None:
    """Compress the model and report what was reached."""
    joint = job.params.joint
    n, m = job.params.n_m
    if not 0 < n <= m:
        job.fail(f"`n_m: [{n}, {m}]`: n of every m weights become zero, so 0 < n <= m must hold")
    method = Method(
        kind="quantize/prune",
        defaults={option: getattr(job.params, option) for option in _OPTIONS},
        obstacle=lambda weight, options: _obstacle(weight, options, joint),
        run=lambda model, choices: _prune(model, choices, joint),
        check=_lacking,
        ios18=lambda _: "joint: true" if joint else None,
    )
    pruned = [row for row in compress(job, method) if row["skipped"] is None]
    zeros = sum(row["after"]["sparsity"] * row["elements"] for row in pruned)
    job.metric("sparsity", zeros / sum(row["elements"] for row in pruned))


def _obstacle(weight: Weight, options: Mapping[str, Any], joint: bool) -> str | None:
    reason = common_obstacle(weight, options, joint)
    if reason:
        return reason
    if "sparse" in weight.stored:
        return "already pruned"
    if options["method"] in _STRUCTURED:
        return _unstructured(weight, options)
    return None


def _unstructured(weight: Weight, options: Mapping[str, Any]) -> str | None:
    method = options["method"]
    if weight.op not in ("conv", "linear") or weight.operand != "weight":
        return f"`method: {method}` is for weights of conv and linear, this is one of {weight.op}"
    along = options["n_m"][1] if method == "n_m" else options["block_size"]
    channels = weight.shape[_dim(options)]
    if along > channels / 2:
        return f"`method: {method}` of {along} takes more than half of its {channels} channels"
    return None


def _dim(options: Mapping[str, Any]) -> int:
    if options["dim"] is not None:
        return int(options["dim"])
    return 1 if options["method"] == "n_m" else 0


def _prune(model: Any, choices: Sequence[Choice], joint: bool) -> Any:
    # Inside the function: the import of coremltools costs 1.5 s, and a refusal needs none.
    from coremltools.optimize import coreml as cto

    configs = {choice.weight.name: _config(cto, choice.options or {}) for choice in choices}
    wanted = cto.OptimizationConfig(op_name_configs=configs)
    with _float32_magnitudes():
        return cto.prune_weights(model, wanted, joint_compression=joint)


def _config(cto: Any, options: Mapping[str, Any]) -> Any:
    method, threshold = options["method"], options["weight_threshold"]
    if method == "threshold":
        return cto.OpThresholdPrunerConfig(
            threshold=float(options["threshold"]),
            minimum_sparsity_percentile=float(options["minimum_sparsity"]),
            weight_threshold=threshold,
        )
    how: dict[str, Any] = {"target_sparsity": float(options["sparsity"])}
    if method == "n_m":
        how = {"n_m_ratio": tuple(options["n_m"]), "dim": _dim(options)}
    elif method == "block":
        how |= {"block_size": options["block_size"], "dim": _dim(options)}
    return cto.OpMagnitudePrunerConfig(**how, weight_threshold=threshold)


@contextlib.contextmanager
def _float32_magnitudes() -> Iterator[None]:
    """Let coremltools find percentiles in float32.

    numpy 2.0 to 2.3 gives NaN for a percentile of more than about 65,500 float16 numbers, and
    nothing is pruned, without an error; sums of squares overflow in float16 besides.
    """
    from coremltools.optimize.coreml._quantization_passes import prune_weights

    original = prune_weights.compress_by_magnitude

    def in_float32(val: Any, **more: Any) -> Any:
        found = original(val.astype("float32"), **more)
        return found and found._replace(nonzero_data=found.nonzero_data.astype(val.dtype))

    prune_weights.compress_by_magnitude = staticmethod(in_float32)
    try:
        yield
    finally:
        prune_weights.compress_by_magnitude = staticmethod(original)


def _lacking(choice: Choice, reached: Weight) -> str | None:
    options = choice.options or {}
    if "sparse" not in reached.stored or reached.sparsity is None:
        return f"stored as {reached.stored}, not sparsely"
    asked = _asked_sparsity(options, choice.weight)
    if reached.sparsity >= asked:
        return None
    return f"{reached.sparsity:.3f} of it is zero instead of {asked:.3f}"


def _asked_sparsity(options: Mapping[str, Any], weight: Weight) -> float:
    """The least share of zeros that counts as reached, rounding at the edges allowed."""
    method = options["method"]
    if method == "threshold":
        return float(options["minimum_sparsity"])
    channels = weight.shape[_dim(options)]
    if method == "n_m":
        n, m = options["n_m"]
        return (channels // m) * n / channels  # a last, incomplete group may keep everything
    step = options["block_size"] if method == "block" else 1
    return max(0.0, float(options["sparsity"]) - 2 * step / weight.elements)
