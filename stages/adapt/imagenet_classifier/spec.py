"""adapt/imagenet-classifier: a backbone's own head, cut down to some of its labels."""

from typing import Literal

from mlbuild.api import Field, Kind, Metric, Out, Params, field_validator

_CLASSES = 1000

Choice = int | str


class AdaptParams(Params):
    """What to keep of an ImageNet classifier."""

    backbone: Literal["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"] = Field(
        "efficientnet-lite0", description="The pretrained network."
    )
    labels: Literal["imagenet", "imagenet-dogs"] | list[Choice] | dict[str, Choice] = Field(
        "imagenet-dogs",
        description="Which classes to keep: `imagenet-dogs` (118 breeds), `imagenet` (all 1,000), "
        "a list of class names or numbers (0 to 999), or a map from your own label to a class.",
    )
    image_size: int | None = Field(
        None, ge=64, le=512, description="Side of the input; the backbone's own if not given."
    )
    crop: float = Field(
        0.875, gt=0, le=1, description="Share of the shorter side that the central crop keeps."
    )
    resize: Literal["crop", "squash", "pad"] = Field(
        "crop", description="How a picture of other proportions becomes a square."
    )
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = Field(
        "bicubic", description="How pixels are resampled."
    )

    @field_validator("labels")
    @classmethod
    def _enough_and_in_range(cls, labels: object) -> object:
        if isinstance(labels, str):
            return labels
        chosen = list(labels.values() if isinstance(labels, dict) else labels)  # type: ignore[call-overload, attr-defined]
        if len(chosen) < 2:
            raise ValueError(f"a classifier needs at least two labels, got {len(chosen)}")
        for choice in chosen:
            if isinstance(choice, int) and not 0 <= choice < _CLASSES:
                raise ValueError(f"class {choice} is outside 0 to {_CLASSES - 1}")
        repeated = sorted({str(c) for c in chosen if chosen.count(c) > 1})
        if repeated:
            raise ValueError(f"class {repeated[0]} stands twice")
        return labels


KIND = Kind(
    summary="Cuts an ImageNet classifier down to a list of its labels; nothing is trained.",
    toolchain="torch",
    params=AdaptParams,
    inputs={},
    outputs={"model": Out("TorchModel", "model", "The network with the chosen outputs only.")},
    metrics={
        "labels": Metric("Number of labels kept.", better="none"),
        "parameters": Metric("Number of weights.", better="min"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    details=(
        "The pretrained backbone keeps its features and, of its 1,000 outputs, those that are "
        "chosen: the scores are what ImageNet's own head gives, spread over fewer classes. A "
        "picture of anything else still gets one of these labels. Names are matched without "
        "regard to case, with ImageNet's synonyms; a number is a class's place in ImageNet-1k. "
        "To learn labels of your own use `train/image-classifier`."
    ),
    example={"backbone": "efficientnet-lite0", "labels": "imagenet-dogs"},
)
