"""Palettization of weights: what it takes and gives."""

from typing import Literal

from mlbuild.api import Field, In, Kind, LayerMatch, Metric, Out, Params

Bits = Literal[1, 2, 3, 4, 6, 8]


class Options(Params):
    """What an override may set for the layers that it matches."""

    bits: Bits | None = Field(None, description="See `bits`.")
    mode: Literal["kmeans", "uniform", "unique"] | None = Field(None, description="See `mode`.")
    solver: Literal["fast", "coremltools"] | None = Field(None, description="See `solver`.")
    granularity: Literal["per_tensor", "per_grouped_channel"] | None = Field(
        None, description="See `granularity`."
    )
    group_size: int | None = Field(None, ge=1, description="See `group_size`.")
    channel_axis: int | None = Field(None, description="See `channel_axis`.")
    cluster_dim: int | None = Field(None, ge=1, le=64, description="See `cluster_dim`.")
    enable_per_channel_scale: bool | None = Field(
        None, description="See `enable_per_channel_scale`."
    )
    weight_threshold: int | None = Field(None, ge=0, description="See `weight_threshold`.")


class Override(Params):
    """Other options, or none, for some layers."""

    match: LayerMatch = Field(description="The layers: all that is given must hold.")
    set: Options | None = Field(None, description="Options of these layers.")
    skip: bool = Field(False, description="Leave these layers as they are.")


class PalettizeParams(Params):
    """Parameters of quantize/palettize."""

    bits: Bits = Field(
        6, description="Bits of each index; a table has 2^bits entries. 3 bits need iOS18."
    )
    mode: Literal["kmeans", "uniform", "unique"] = Field(
        "kmeans",
        description="How tables are made: least squared error, even steps, or the distinct values "
        "that the weights already have (bits are then found, 8 at most).",
    )
    solver: Literal["fast", "coremltools"] = Field(
        "fast",
        description="k-means of our own (error within 0.2 % of the optimum, ten times faster) or "
        "coremltools'. Palettes of vectors always use coremltools'.",
    )
    granularity: Literal["per_tensor", "per_grouped_channel"] = Field(
        "per_tensor", description="What shares a table; per_grouped_channel needs iOS18."
    )
    group_size: int = Field(32, ge=1, description="Channels that share a table.")
    channel_axis: int | None = Field(
        None, description="Axis of the groups; by default the output channels."
    )
    cluster_dim: int = Field(
        1, ge=1, le=64, description="Length of a table's entries; above 1, vectors, needs iOS18."
    )
    enable_per_channel_scale: bool = Field(
        False, description="Scale channels to one range first; needs iOS18. Can cost much space."
    )
    num_kmeans_workers: int = Field(
        1, ge=1, description="Processes of coremltools' k-means; the result does not depend on it."
    )
    weight_threshold: int = Field(
        2048, ge=0, description="Weights of at most so many elements stay as they are."
    )
    overrides: list[Override] = Field(
        [], description="Other options for some layers, in order: a later one wins."
    )
    joint: bool = Field(
        False, description="Palettize further what was pruned or quantized before (iOS18)."
    )
    raise_target: bool = Field(
        False, description="Accept that a model for iOS15 needs iOS16 afterwards."
    )


KIND = Kind(
    summary="Stores a Core ML model's weights as indices into small tables.",
    toolchain="torch",
    params=PalettizeParams,
    inputs={"model": In("CoreMLModel", "The ML Program to compress.")},
    outputs={
        "model": Out("CoreMLModel", "{Name}.mlpackage", "The compressed model."),
        "report": Out(
            "Report", "compression.json", "Format and size of each weight, before and after."
        ),
    },
    metrics={
        "size_mb": Metric("Size of the result.", unit="MB", better="min"),
        "size_before_mb": Metric("Size of the input.", unit="MB", better="none"),
        "ratio": Metric("How many times smaller the result is."),
        "bits_mean": Metric(
            "Stored bits for each weight, tables and scales included.", better="min"
        ),
        "compressed": Metric("Number of weights that were compressed.", better="none"),
        "skipped": Metric("Number of weights that stay as they are.", better="none"),
    },
    details=(
        "What was reached is read back from the result: the bits of each weight must be those that "
        "were asked for, and the report names each weight that stays as it is, with the reason. "
        "An override that matches no layer is an error. Few bits ruin depthwise convolutions and "
        "the first and the last layer: keep those at 8 bits with overrides. "
        "Source of the method: coremltools.optimize.coreml.palettize_weights."
    ),
    example={
        "bits": 6,
        "overrides": [
            {"match": {"depthwise": True}, "set": {"bits": 8}},
            {"match": {"first": True}, "set": {"bits": 8}},
            {"match": {"last": True}, "set": {"bits": 8}},
        ],
    },
)
