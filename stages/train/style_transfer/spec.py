"""train/style-transfer: a network that paints photographs in the style of a picture."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator


class StyleParams(Params):
    """What is trained, how, and how it is judged."""

    image_size: int = Field(
        256, ge=64, le=1024, description="Side of the picture that is painted; a multiple of 32."
    )
    style_size: int | None = Field(
        None, ge=64, le=1024, description="Side at which the style is seen; default: image_size."
    )
    resize: Literal["crop", "squash", "pad"] = Field(
        "crop", description="How a picture of other proportions becomes a square."
    )
    channels: list[int] = Field(
        default_factory=lambda: [16, 32, 64],
        min_length=2,
        max_length=4,
        description="Width of each stage; size is halved between stages.",
    )
    blocks: int = Field(3, ge=0, le=16, description="Residual blocks in the middle.")
    style_weight: float = Field(
        10.0, gt=0, le=1e6, description="How much the style counts beside the content."
    )
    smoothness: float = Field(
        0.1, ge=0, le=1e6, description="How much neighbouring pixels should be alike."
    )
    iterations: int = Field(1000, ge=1, le=100_000, description="Steps.")
    batch_size: int = Field(4, ge=1, le=256, description="Pictures a step.")
    learning_rate: float = Field(0.003, gt=0, le=1, description="Of Adam; it falls to zero.")
    flip: bool = Field(True, description="Mirror training pictures at random.")
    holdout: float = Field(
        0.2, gt=0, lt=0.9, description="Share of the photographs held out for the figures."
    )
    unreadable: Literal["skip", "fail"] = Field(
        "skip", description="Files that are no picture: listed and left out, or an error."
    )
    seed: int = Field(0, ge=0, description="Of every random choice.")

    @model_validator(mode="after")
    def _together(self) -> "StyleParams":
        for name, size in (("image_size", self.image_size), ("style_size", self.style_size)):
            if size is not None and size % 32:
                raise ValueError(f"{name}: {size} is no multiple of 32")
        if any(not 1 <= c <= 512 for c in self.channels):
            raise ValueError("channels: each must be 1 to 512")
        return self


KIND = Kind(
    summary="Trains a network that paints photographs in the style of a picture.",
    toolchain="torch",
    params=StyleParams,
    inputs={
        "images": In("ImageFolder | Folder", "Photographs to learn on; what they show is kept."),
        "style": In("File | ImageFolder | Folder", "The picture whose style is learnt, one file."),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture and preprocessing."),
        "examples": Out("ImageFolder", "examples", "Held-out photographs, painted."),
        "report": Out("Report", "report.json", "Figures and the course of the training."),
    },
    metrics={
        "style_distance": Metric("Of painted photographs from the style.", better="min"),
        "style_distance_before": Metric("Of the photographs themselves.", better="none"),
        "style_gain": Metric("How many times nearer to the style painting brought them."),
        "content_distance": Metric("Of painted photographs from what they show.", better="min"),
        "images": Metric("Photographs that were learnt.", better="none"),
        "evaluated": Metric("Photographs held out.", better="none"),
        "unreadable": Metric("Files that were left out.", better="min"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "Picture in, picture out, one pass. Style is what EfficientNet-Lite0's features have in "
        "common over a picture (their products, at five depths), content is where they are (at the "
        "third depth); both are measured on photographs that were not learnt. Distances are mean "
        "squared differences, relative to the size of what they differ from. The network is fully "
        "convolutional; its Core ML model takes and gives an image of the trained size."
    ),
    example={"image_size": 256, "iterations": 1000},
)
