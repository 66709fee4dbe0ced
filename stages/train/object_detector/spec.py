"""train/object-detector: from annotated pictures to a detector that Vision understands."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.vision_training.spec_learning import Colours, Stepping


class Augment(Colours):
    """Random changes of training pictures; 0 or false turns one off."""

    flip: bool = Field(True, description="Mirror left and right; not for digits and text.")
    zoom: float = Field(0.2, ge=0, lt=1, description="Size changes by up to this share.")
    shift: float = Field(0.1, ge=0, lt=1, description="Moves by up to this share of a side.")


class DetectorParams(Stepping):
    """What is trained, how, and how it is judged."""

    backbone: Literal["small-cnn", "efficientnet-lite0"] = Field(
        "small-cnn",
        description="From scratch, or ImageNet's features, which are trained further.",
    )
    image_size: int = Field(
        128,
        ge=32,
        le=640,
        description="Side of the input; a multiple of the coarsest grid's step (16 or 32).",
    )
    grayscale: bool = Field(False, description="One channel; from scratch only.")
    resize: Literal["squash", "pad"] = Field(
        "squash",
        description="How a picture of other proportions becomes a square: `squash` is Vision's "
        "`scaleFill`, `pad` its `scaleFit`.",
    )
    unreadable: Literal["skip", "fail"] = Field(
        "skip", description="Files that are no picture: listed and left out, or an error."
    )
    labels: list[str] | None = Field(
        None, min_length=1, description="Classes to learn; others are left out. Default: all."
    )
    least_size: float = Field(
        0.0, ge=0, lt=1, description="Boxes narrower than this share of the picture are left out."
    )

    channels: list[int] = Field(
        default_factory=lambda: [16, 32, 64, 128],
        min_length=2,
        max_length=6,
        description="From scratch: width of each stage; each halves the size.",
    )
    levels: int = Field(2, ge=1, le=3, description="Grids that look for objects, the last stages.")
    neck: int = Field(64, ge=8, le=512, description="Width of the layers that look for objects.")
    train_backbone: bool = Field(
        True, description="Pretrained: whether its features are trained further."
    )
    epochs: int = Field(40, ge=1, le=2000, description="Times that each picture is seen.")
    batch_size: int = Field(16, ge=1, le=1024, description="Pictures a step.")
    learning_rate: float | None = Field(
        None, gt=0, le=10, description="Highest one; default: 0.003, pretrained 0.001."
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop when the loss of the `validation` input did not fall for so many epochs.",
    )
    box_weight: float = Field(2.0, gt=0, le=100, description="Of the boxes' loss.")
    augment: Augment = Field(default_factory=Augment, description="Random changes while training.")

    iou_threshold: float = Field(
        0.45, gt=0, le=1, description="Overlap from which the less confident box is dropped."
    )
    confidence_threshold: float = Field(
        0.25, gt=0, lt=1, description="Least confidence that the model tells by default."
    )
    per_class: bool = Field(True, description="Boxes of other classes do not suppress each other.")
    holdout: float = Field(
        0.2, gt=0, lt=0.9, description="Share held out for the figures where no `test` is given."
    )

    @model_validator(mode="after")
    def _together(self) -> "DetectorParams":
        scratch = self.backbone == "small-cnn"
        if self.grayscale and not scratch:
            raise ValueError(f"grayscale: {self.backbone} was trained on three channels")
        step = 2 ** len(self.channels) if scratch else 32
        if self.image_size % step:
            raise ValueError(
                f"image_size: {self.image_size} is no multiple of {step}, the coarsest grid's step"
            )
        if scratch and self.levels > len(self.channels):
            raise ValueError(f"levels: {self.levels} of {len(self.channels)} stages")
        if scratch and not self.train_backbone:
            raise ValueError("train_backbone: a network from scratch is trained as a whole")
        if any(not 1 <= c <= 2048 for c in self.channels):
            raise ValueError("channels: each must be 1 to 2048")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a label stands twice")
        return self


_PICTURES = "Pictures with annotations.json (Create ML, COCO) or annotations.csv."

KIND = Kind(
    summary="Trains an object detector: classes and boxes.",
    toolchain="torch",
    params=DetectorParams,
    inputs={
        "images": In("Folder | File", _PICTURES),
        "annotations": In("File", "Of `images`, where they lie elsewhere.", optional=True),
        "validation": In("Folder | File", "For choosing: early stopping.", optional=True),
        "test": In("Folder | File", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture, labels and preprocessing."),
        "report": Out("Report", "report.json", "Figures by class and by overlap."),
    },
    metrics={
        "map50": Metric("Mean average precision at an overlap of 0.5, on unlearnt pictures."),
        "map": Metric("Mean average precision over overlaps 0.5, 0.55, ..., 0.95 (COCO's)."),
        "map75": Metric("Mean average precision at an overlap of 0.75."),
        "map50_low": Metric("Lower end of its 95 % interval, by drawing pictures."),
        "map50_high": Metric("Upper end of its 95 % interval.", better="none"),
        "ap50.*": Metric("Average precision of a class at an overlap of 0.5."),
        "recall": Metric("Share of objects found, at the confidence threshold.", share=True),
        "precision": Metric("Share of right boxes, at the confidence threshold.", share=True),
        "images": Metric("Pictures that were learnt.", better="none"),
        "boxes": Metric("Objects that were learnt.", better="none"),
        "unreadable": Metric("Files that were left out.", better="min"),
        "labels": Metric("Number of classes.", better="none"),
        "epochs": Metric("Epochs of the training.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "An anchor-free network: each place of its grids that lies in the middle of an object "
        "tells the object's class and the distances to its sides. Annotations are Create ML's "
        "(`[{image, annotations: [{label, coordinates: {x, y, width, height}}]}]`, x and y of the "
        "middle in pixels), COCO's, or a table with a row for each box: path, label and x, y, "
        "width, height or xmin, ymin, xmax, ymax. The figures follow COCO's evaluation (101 "
        "recalls, at most 100 boxes a picture, after the suppression that the model will do) and "
        "come from pictures that were not learnt. `convert/coreml` makes of it a pipeline with "
        "Core ML's own suppression, which Vision reads as recognized objects; `map50_low` and "
        "`map50_high` are 2.5 and 97.5 % of 200 draws of the pictures."
    ),
    example={"image_size": 128, "epochs": 40, "seed": 7},
)
