"""Linear quantization of weights: what it takes and gives."""

from typing import Literal

from mlbuild.api import Field, In, Kind, LayerMatch, Metric, Out, Params


class Options(Params):
    """What an override may set for the layers that it matches."""

    mode: Literal["symmetric", "asymmetric"] | None = Field(None, description="See `mode`.")
    dtype: Literal["int8", "uint8", "int4", "uint4"] | None = Field(
        None, description="See `dtype`."
    )
    granularity: Literal["per_tensor", "per_channel", "per_block"] | None = Field(
        None, description="See `granularity`."
    )
    block_size: int | list[int] | None = Field(None, description="See `block_size`.")
    weight_threshold: int | None = Field(None, ge=0, description="See `weight_threshold`.")


class Override(Params):
    """Other options, or none, for some layers."""

    match: LayerMatch = Field(description="The layers: all that is given must hold.")
    set: Options | None = Field(None, description="Options of these layers.")
    skip: bool = Field(False, description="Leave these layers as they are.")


class LinearParams(Params):
    """Parameters of quantize/linear."""

    mode: Literal["symmetric", "asymmetric"] = Field(
        "symmetric",
        description="Range of the integers: around zero, or from smallest to largest weight.",
    )
    dtype: Literal["int8", "uint8", "int4", "uint4"] = Field(
        "int8", description="Type of the stored integers; 4 bits need iOS18."
    )
    granularity: Literal["per_tensor", "per_channel", "per_block"] = Field(
        "per_channel", description="What shares a scale; per_block needs iOS18."
    )
    block_size: int | list[int] = Field(
        32,
        description="For per_block: input channels in a block, or a size for each axis (0: all).",
    )
    weight_threshold: int = Field(
        2048, ge=0, description="Weights of at most so many elements stay as they are."
    )
    overrides: list[Override] = Field(
        [], description="Other options for some layers, in order: a later one wins."
    )
    joint: bool = Field(
        False, description="Quantize further what was pruned or palettized before (iOS18)."
    )
    raise_target: bool = Field(
        False, description="Accept that a model for iOS15 needs iOS16 afterwards."
    )


KIND = Kind(
    summary="Stores a Core ML model's weights as 8-bit or 4-bit integers with scales.",
    toolchain="torch",
    params=LinearParams,
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
        "An override that matches no layer is an error. The device still computes in floating "
        "point. Source of the method: coremltools.optimize.coreml.linear_quantize_weights."
    ),
    example={
        "dtype": "int8",
        "overrides": [{"match": {"depthwise": True}, "set": {"mode": "asymmetric"}}],
    },
)
