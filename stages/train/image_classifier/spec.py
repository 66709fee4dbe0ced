"""train/image-classifier: from labelled pictures to a classifier."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.vision_training.spec_learning import Augment as Changes
from ..._shared.vision_training.spec_learning import ClassifierParams

_PRETRAINED = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")


class Augment(Changes):
    """Random changes of training pictures; 0 or false turns one off."""

    erase: float = Field(0.0, ge=0, le=1, description="Share of pictures with a grey patch.")


class TrainParams(ClassifierParams):
    """What is trained, how, and how it is judged."""

    backbone: Literal[
        "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "small-cnn", "none"
    ] = Field(
        "efficientnet-lite0",
        description="A pretrained network, or `small-cnn` from scratch (`none` means the same).",
    )
    image_size: int | None = Field(
        None, ge=8, le=512, description="Side of the input; default: the backbone's, else 32."
    )
    grayscale: bool = Field(False, description="One channel; from scratch only.")

    head: Literal["linear", "unit-linear"] = Field(
        "linear", description="Last layer: on the features, or on features of unit length."
    )
    strengths: list[float] = Field(
        default_factory=lambda: [0.01, 0.03, 0.1, 0.3, 1.0],
        min_length=1,
        description="Pretrained: inverse regularisations of the head that cross-validation "
        "chooses from.",
    )
    views: list[Literal["center", "flip", "zoom", "zoom-flip"]] = Field(
        default_factory=lambda: ["center", "flip"],
        min_length=1,
        description="Pretrained: how each training picture is shown to the frozen backbone. The "
        "trained network takes one picture, as in `center`.",
    )
    fine_tune_blocks: int = Field(
        0, ge=0, le=30, description="Pretrained: how many of the last blocks are trained further."
    )

    channels: list[int] = Field(
        default_factory=lambda: [16, 32, 64],
        min_length=1,
        max_length=6,
        description="From scratch: width of each stage; size is halved between stages.",
    )
    augment: Augment = Field(default_factory=Augment, description="Random changes while training.")

    @model_validator(mode="after")
    def _together(self) -> "TrainParams":
        pretrained = self.backbone in _PRETRAINED
        if self.grayscale and pretrained:
            raise ValueError(f"grayscale: {self.backbone} was trained on three channels")
        if pretrained and self.image_size is not None and self.image_size < 64:
            raise ValueError(f"image_size: {self.backbone} needs at least 64")
        if self.fine_tune_blocks and not pretrained:
            raise ValueError("fine_tune_blocks: a network from scratch is trained as a whole")
        if self.head == "unit-linear" and not pretrained:
            raise ValueError("head: unit-linear needs a pretrained backbone")
        if "center" not in self.views:
            raise ValueError("views: `center` is what the trained network sees, it must be there")
        if any(s <= 0 for s in self.strengths):
            raise ValueError("strengths: each must be above 0")
        if any(not 1 <= c <= 2048 for c in self.channels):
            raise ValueError("channels: each must be 1 to 2048")
        return self


KIND = Kind(
    summary="Trains an image classifier, on a pretrained backbone or from scratch.",
    toolchain="torch",
    params=TrainParams,
    inputs={
        "images": In("ImageFolder | Table | Folder", "A folder for each class, or a table."),
        "validation": In(
            "ImageFolder | Table | Folder", "For choosing: early stopping.", optional=True
        ),
        "test": In("ImageFolder | Table | Folder", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture, labels and preprocessing."),
        "report": Out("Report", "report.json", "Figures, mistakes, files that were left out."),
    },
    metrics={
        "accuracy": Metric("Share of right answers on pictures that were not learnt.", share=True),
        "log_loss": Metric("Mean of -log of the true class's score.", better="min"),
        "calibration_error": Metric("Expected calibration error, 15 bins.", better="min"),
        "accuracy_spread": Metric("Standard deviation over folds.", better="min"),
        "precision.*": Metric("Share of right ones among those called so.", share=True),
        "recall.*": Metric("Share of a class that was found.", share=True),
        "images": Metric("Readable pictures.", better="none"),
        "unreadable": Metric("Files that were left out.", better="min"),
        "labels": Metric("Number of classes.", better="none"),
        "strength": Metric("Inverse regularisation that was chosen.", better="none"),
        "epochs": Metric("Epochs of the last training.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "With a pretrained backbone, features are computed once for each picture, a linear head is "
        "fitted, and its regularisation is chosen by cross-validation inside the training part; "
        "`fine_tune_blocks` then trains the last blocks further with augmentation. `small-cnn` is "
        "trained from scratch. The figures always come from pictures that were not learnt, nor "
        "used to choose anything: k folds, a held-out part, or the `test` input. Identical files "
        "stay on one side of every split. Pictures are read in any common format, turned as their "
        "EXIF orientation says. The result describes itself, see `convert/coreml`."
    ),
    example={"backbone": "efficientnet-lite0", "seed": 7},
)
