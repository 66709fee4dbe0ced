"""Pruning of weights: what it takes and gives."""

from typing import Literal

from mlbuild.api import Field, In, Kind, LayerMatch, Metric, Out, Params

MethodName = Literal["magnitude", "threshold", "block", "n_m"]


class Options(Params):
    """What an override may set for the layers that it matches."""

    method: MethodName | None = Field(None, description="See `method`.")
    sparsity: float | None = Field(None, ge=0, le=1, description="See `sparsity`.")
    threshold: float | None = Field(None, ge=0, description="See `threshold`.")
    minimum_sparsity: float | None = Field(None, ge=0, le=1, description="See `minimum_sparsity`.")
    n_m: tuple[int, int] | None = Field(None, description="See `n_m`.")
    block_size: int | None = Field(None, ge=2, description="See `block_size`.")
    dim: Literal[0, 1] | None = Field(None, description="See `dim`.")
    weight_threshold: int | None = Field(None, ge=0, description="See `weight_threshold`.")


class Override(Params):
    """Other options, or none, for some layers."""

    match: LayerMatch = Field(description="The layers: all that is given must hold.")
    set: Options | None = Field(None, description="Options of these layers.")
    skip: bool = Field(False, description="Leave these layers as they are.")


class PruneParams(Params):
    """Parameters of quantize/prune."""

    method: MethodName = Field(
        "magnitude",
        description="Zero the smallest share of a layer's weights, all below a threshold, whole "
        "blocks of channels, or n of every m weights.",
    )
    sparsity: float = Field(
        0.5, ge=0, le=1, description="For magnitude and block: share of weights that become zero."
    )
    threshold: float = Field(
        1e-12, ge=0, description="For threshold: weights of at most this magnitude become zero."
    )
    minimum_sparsity: float = Field(
        0.5,
        ge=0,
        le=1,
        description="For threshold: layers with a smaller share of zeros stay as they are.",
    )
    n_m: tuple[int, int] = Field(
        (2, 4), description="For n_m: how many (first) of how many weights (second) become zero."
    )
    block_size: int = Field(
        4, ge=2, description="For block: neighbouring channels that become zero together."
    )
    dim: Literal[0, 1] | None = Field(
        None,
        description="For block and n_m: along output (0) or input channels (1); by default 0 for "
        "block and 1 for n_m.",
    )
    weight_threshold: int = Field(
        2048, ge=0, description="Weights of at most so many elements stay as they are."
    )
    overrides: list[Override] = Field(
        [], description="Other options for some layers, in order: a later one wins."
    )
    joint: bool = Field(
        False, description="Prune further what was quantized or palettized before (iOS18)."
    )
    raise_target: bool = Field(
        False, description="Accept that a model for iOS15 needs iOS16 afterwards."
    )


KIND = Kind(
    summary="Sets a Core ML model's small weights to zero and stores the others only.",
    toolchain="torch",
    params=PruneParams,
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
        "bits_mean": Metric("Stored bits for each weight, masks included.", better="min"),
        "compressed": Metric("Number of weights that were compressed.", better="none"),
        "skipped": Metric("Number of weights that stay as they are.", better="none"),
        "sparsity": Metric("Share of zeros in the weights that were pruned.", better="none"),
    },
    details=(
        "The sparsity of each weight is read back from the result and must be what was asked for. "
        "To combine with fewer bits, prune first and give `joint: true` to quantize/linear or "
        "quantize/palettize behind it (iOS18). An override that matches no layer is an error. "
        "Pruning without training afterwards costs accuracy: validate. "
        "Source of the method: coremltools.optimize.coreml.prune_weights; magnitudes are compared "
        "in float32, because in float16 numpy finds no percentile of large layers."
    ),
    example={"sparsity": 0.4, "overrides": [{"match": {"depthwise": True}, "skip": True}]},
)
