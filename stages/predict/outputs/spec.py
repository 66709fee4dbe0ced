"""predict/outputs: a model's answers to samples, whatever framework it is of."""

from typing import Literal

from mlbuild.api import ByInput, Field, In, Kind, Metric, Out, Params

from ..._shared.predictions.spec_asked import TOOLCHAINS, asked


class Pictures(Params):
    """How a model that does not say it wants pictures: (pixel - mean) / std."""

    height: int = Field(..., ge=1, le=8192, description="Of the model's input.")
    width: int = Field(..., ge=1, le=8192, description="Of the model's input.")
    colour: Literal["RGB", "BGR", "GRAY"] = Field("RGB", description="Order of the channels.")
    mean: list[float] = Field(
        [0.0, 0.0, 0.0], description="Taken from each channel of values from 0 to 255."
    )
    std: list[float] = Field([1.0, 1.0, 1.0], description="What each channel is divided by.")
    resize: Literal["crop", "squash", "pad"] = Field(
        "crop", description="How a picture of other proportions is brought to the size."
    )
    crop: float = Field(1.0, gt=0, le=1, description="Share of the shorter side that is kept.")
    interpolation: Literal["bilinear", "bicubic", "lanczos", "nearest"] = Field(
        "bicubic", description="How pixels are resampled."
    )


class PredictParams(Params):
    """Which samples, and what a model of others does not say of itself."""

    limit: int | None = Field(
        None, ge=1, description="Ask about so many samples, evenly spread over their names."
    )
    unreadable: Literal["fail", "skip"] = Field(
        "fail", description="What to do with a sample that cannot be read."
    )
    pictures: Pictures | None = Field(
        None, description="How the model wants pictures, where it does not say it itself."
    )
    layout: Literal["auto", "NCHW", "NHWC"] = Field(
        "auto", description="Order of axes of the model's inputs of four dimensions."
    )
    labels: list[str] | None = Field(
        None, description="Class labels in the order of the outputs, where the model has none."
    )


KIND = Kind(
    summary="Asks a model of any framework about samples and keeps its answers.",
    toolchain=ByInput("model", TOOLCHAINS),
    params=PredictParams,
    uses_coreml=True,
    inputs={
        "model": In(asked(), "Who is asked."),
        "samples": In(
            "ImageFolder | Folder | Table | File",
            "Pictures, .npz files with an array for each input, or a table.",
        ),
    },
    outputs={"predictions": Out("Predictions", "predictions", "The answers, by sample.")},
    metrics={
        "samples": Metric("Number of samples.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    details=(
        "The model runs in its own framework, in the toolchain of its format. `validate/parity` "
        "and `validate/formats` put such a stage before themselves for each model that their own "
        "toolchain cannot run; it is cached like any other, so that a reference is asked once. "
        "Models that mlbuild's kinds wrote say themselves how they want pictures, what their "
        "labels are and what they give; for others, `pictures`, `layout` and `labels` do. A "
        "sample's arrays find a model's inputs by name, and by shape where names differ between "
        "frameworks; channels move to where the model has them. The folder holds "
        "`predictions.json` and `arrays.npz`: each output as an array [N, ...] in the order of the "
        "samples."
    ),
    example={"limit": 100},
)
