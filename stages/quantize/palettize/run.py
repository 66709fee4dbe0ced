"""Palettization of weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..._shared.compression.apply import Method, common_obstacle, compress
from ..._shared.compression.plan import Choice
from ..._shared.compression.weights import IOS18, Weight
from .kmeans import palette

_OPTIONS = (
    "bits",
    "mode",
    "solver",
    "granularity",
    "group_size",
    "channel_axis",
    "cluster_dim",
    "enable_per_channel_scale",
    "weight_threshold",
)


def run(job: Any) -> None:
    """Compress the model and report what was reached."""
    joint = job.params.joint
    defaults = {option: getattr(job.params, option) for option in _OPTIONS}
    method = Method(
        kind="quantize/palettize",
        defaults=defaults,
        obstacle=lambda weight, options: _obstacle(weight, options, joint),
        run=lambda model, choices: _palettize(model, choices, joint, job.params.num_kmeans_workers),
        check=_lacking,
        ios18=lambda options: _newer(options, joint),
    )
    compress(job, method)


def _obstacle(weight: Weight, options: Mapping[str, Any], joint: bool) -> str | None:
    reason = common_obstacle(weight, options, joint)
    if reason:
        return reason
    if "palette" in weight.stored:
        return "already palettized"
    if options["mode"] == "uniform" and options["cluster_dim"] > 1:
        return "`mode: uniform` makes no palettes of vectors (`cluster_dim` above 1)"
    return None


def _newer(options: Mapping[str, Any], joint: bool) -> str | None:
    used = {
        "joint: true": joint,
        "bits: 3": options["bits"] == 3 and options["mode"] != "unique",
        "granularity: per_grouped_channel": options["granularity"] == "per_grouped_channel",
        f"cluster_dim: {options['cluster_dim']}": options["cluster_dim"] > 1,
        "enable_per_channel_scale: true": options["enable_per_channel_scale"],
    }
    return next((option for option, is_used in used.items() if is_used), None)


def _palettize(model: Any, choices: Sequence[Choice], joint: bool, workers: int) -> Any:
    # Inside the function: the import of coremltools costs 1.5 s, and a refusal needs none.
    from coremltools.optimize import coreml as cto

    configs = {c.weight.name: _config(cto, c.options or {}, workers) for c in choices}
    wanted = cto.OptimizationConfig(op_name_configs=configs)
    with _table_sizes(model.get_spec().specificationVersion):
        return cto.palettize_weights(model, wanted, joint_compression=joint)


@contextlib.contextmanager
def _table_sizes(version: int) -> Iterator[None]:
    """Keep `mode: unique` from choosing 3 bits where the target has no such tables."""
    from coremltools.optimize.coreml._quantization_passes import palettize_weights

    known = palettize_weights._SUPPORTED_NBITS
    if version < IOS18:
        palettize_weights._SUPPORTED_NBITS = tuple(bits for bits in known if bits != 3)
    try:
        yield
    finally:
        palettize_weights._SUPPORTED_NBITS = known


def _config(cto: Any, options: Mapping[str, Any], workers: int) -> Any:
    own = (
        options["mode"] == "kmeans" and options["solver"] == "fast" and options["cluster_dim"] == 1
    )
    how: dict[str, Any] = {"mode": options["mode"], "nbits": options["bits"]}
    if own:
        how = {"mode": "custom", "lut_function": partial(palette, bits=options["bits"])}
    elif options["mode"] == "unique":
        how = {"mode": "unique"}
    return cto.OpPalettizerConfig(
        **how,
        granularity=options["granularity"],
        group_size=options["group_size"],
        channel_axis=options["channel_axis"],
        cluster_dim=options["cluster_dim"],
        enable_per_channel_scale=options["enable_per_channel_scale"],
        num_kmeans_workers=workers,
        weight_threshold=options["weight_threshold"],
    )


def _lacking(choice: Choice, reached: Weight) -> str | None:
    options = choice.options or {}
    if "palette" not in reached.stored:
        return f"stored as {reached.stored}, not as indices into a table"
    if options["mode"] == "unique":
        return None  # the bits follow from the weights
    asked = options["bits"] / options["cluster_dim"]
    return None if reached.bits == asked else f"{reached.bits:g} bits instead of {asked:g}"
