"""train/segmentation: from pictures and masks to a network that names each pixel."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.vision_training.spec_learning import Augment as Changes
from ..._shared.vision_training.spec_learning import Stepping


class Augment(Changes):
    """Random changes of training pictures; 0 or false turns one off."""

    flip: bool = Field(True, description="Mirror left and right.")


class SegmentationParams(Stepping):
    """What is trained, how, and how it is judged."""

    backbone: Literal["unet", "efficientnet-lite0"] = Field(
        "unet",
        description="A U-Net from scratch, or with ImageNet's features on its way down.",
    )
    train_backbone: bool = Field(
        True, description="Pretrained: whether its features are trained further."
    )
    image_size: int = Field(
        128, ge=16, le=1024, description="Side of the input; a multiple of the coarsest step."
    )
    grayscale: bool = Field(False, description="One channel.")
    resize: Literal["squash", "pad"] = Field(
        "squash", description="How a picture of other proportions becomes a square."
    )
    labels: list[str] | None = Field(
        None,
        min_length=2,
        description="Names of the masks' numbers 0, 1, ...; default: `classes.json` beside the "
        "masks, else background, class 1, ...",
    )
    colours: dict[str, list[int]] | None = Field(
        None, description="Of colour masks: for each label red, green, blue, in order of labels."
    )
    ignore: int | None = Field(
        255, ge=0, le=255, description="Number of pixels that count for nothing; null: none."
    )
    unreadable: Literal["skip", "fail"] = Field(
        "skip", description="Files that are no picture: listed and left out, or an error."
    )

    channels: list[int] = Field(
        default_factory=lambda: [16, 32, 64, 128],
        min_length=2,
        max_length=6,
        description="From scratch: width of each stage of the U; size is halved between stages.",
    )
    dice_weight: float = Field(
        1.0, ge=0, le=100, description="Of the overlap's loss beside that of each pixel."
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="`balanced` counts each class the same, however many pixels it has."
    )
    epochs: int = Field(30, ge=1, le=2000, description="Times that each picture is seen.")
    batch_size: int = Field(8, ge=1, le=1024, description="Pictures a step.")
    learning_rate: float | None = Field(
        None, gt=0, le=10, description="Highest one; default: 0.003, pretrained 0.001."
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop when the loss of a tenth that is watched did not fall for so many "
        "epochs; its best weights are kept.",
    )
    augment: Augment = Field(default_factory=Augment, description="Random changes while training.")
    holdout: float = Field(
        0.2, gt=0, lt=0.9, description="Share held out for the figures where no test is given."
    )

    @model_validator(mode="after")
    def _together(self) -> "SegmentationParams":
        scratch = self.backbone == "unet"
        if self.grayscale and not scratch:
            raise ValueError(f"grayscale: {self.backbone} was trained on three channels")
        if scratch and not self.train_backbone:
            raise ValueError("train_backbone: a network from scratch is trained as a whole")
        step = 2 ** (len(self.channels) - 1) if scratch else 32
        if self.image_size % step:
            raise ValueError(f"image_size: {self.image_size} is no multiple of {step}")
        if any(not 1 <= c <= 1024 for c in self.channels):
            raise ValueError("channels: each must be 1 to 1024")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a label stands twice")
        if self.labels is not None and self.colours is not None:
            raise ValueError("labels and colours: colours name the labels already")
        for label, colour in (self.colours or {}).items():
            if len(colour) != 3 or not all(0 <= c <= 255 for c in colour):
                raise ValueError(f"colours: '{label}' needs red, green, blue, 0 to 255")
        return self


KIND = Kind(
    summary="Trains a semantic segmentation: a class for each pixel.",
    toolchain="torch",
    params=SegmentationParams,
    inputs={
        "images": In("ImageFolder | Folder", "Pictures."),
        "masks": In("ImageFolder | Folder", "Masks under the pictures' names, as PNG."),
        "test_images": In("ImageFolder | Folder", "For the figures; never learnt.", optional=True),
        "test_masks": In("ImageFolder | Folder", "Their masks.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture, labels and preprocessing."),
        "report": Out("Report", "report.json", "Figures by class, the confusion of pixels."),
    },
    metrics={
        "miou": Metric("Mean over classes of intersection over union, on unlearnt pictures."),
        "miou_low": Metric("Lower end of its 95 % interval, by drawing pictures."),
        "miou_high": Metric("Upper end of its 95 % interval.", better="none"),
        "iou.*": Metric("Intersection over union of a class."),
        "pixel_accuracy": Metric("Share of pixels that are named right (pixels are no sample)."),
        "images": Metric("Pictures that were learnt.", better="none"),
        "unreadable": Metric("Files that were left out.", better="min"),
        "labels": Metric("Number of classes.", better="none"),
        "epochs": Metric("Epochs of the training.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "A U-Net, from scratch or on ImageNet's features. Masks are grey or palette pictures whose "
        "numbers are classes (where all hold 0 and 255 alone, background and object), or colour "
        "pictures with `colours`; they are resized without mixing. The model gives "
        "`probabilities` of each class, and `classes`, the number of the best one, for each pixel "
        "of the square that it reads. Figures are counted at that size, on pictures that were not "
        "learnt; identical files stay on one side."
    ),
    example={"image_size": 128, "epochs": 30},
)
