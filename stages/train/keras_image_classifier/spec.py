"""train/keras-image-classifier: from labelled pictures to a classifier in Keras."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, field_validator, model_validator

from ..._shared.keras_model.applications import APPLICATIONS
from ..._shared.vision_training.spec_learning import Augment, ClassifierParams

SMALL = "small-cnn"


class TrainParams(ClassifierParams):
    """What is trained, how, and how it is judged."""

    backbone: str = Field(
        "MobileNetV2",
        description="A network of tf.keras.applications, such as MobileNet, MobileNetV2 or "
        "Xception; or `small-cnn`.",
    )
    weights: Literal["auto", "imagenet", "scratch"] = Field(
        "auto",
        description="`imagenet` starts from the file on the input `weights`, `scratch` from "
        "nothing; `auto` from the file where there is one. Nothing is downloaded.",
    )
    alpha: float | None = Field(None, gt=0, le=2, description="Width of a MobileNet; default: 1.")
    image_size: int | None = Field(
        None, ge=8, le=1024, description="Side of the input; default: the backbone's, else 32."
    )
    grayscale: bool = Field(False, description="One channel; `small-cnn` only.")

    strengths: list[float] = Field(
        default_factory=lambda: [0.01, 0.03, 0.1, 0.3, 1.0],
        min_length=1,
        description="With weights: inverse regularisations of the head that cross-validation "
        "chooses from.",
    )
    views: list[Literal["center", "flip", "zoom", "zoom-flip"]] = Field(
        default_factory=lambda: ["center", "flip"],
        min_length=1,
        description="With weights: how each training picture is shown to the frozen backbone: "
        "center, flip, zoom, zoom-flip. The trained network takes one picture, as in `center`.",
    )
    fine_tune_layers: int = Field(
        0, ge=0, le=1000, description="With weights: how many of the last layers train further."
    )

    channels: list[int] = Field(
        default_factory=lambda: [16, 32, 64],
        min_length=1,
        max_length=6,
        description="Of `small-cnn`: width of each stage; size is halved between stages.",
    )
    augment: Augment = Field(default_factory=Augment, description="Random changes while training.")

    @field_validator("backbone")
    @classmethod
    def _known(cls, backbone: str) -> str:
        known = [SMALL, *APPLICATIONS]
        if backbone in known:
            return backbone
        plain = {name.lower().replace("-", ""): name for name in known}
        near = plain.get(backbone.lower().replace("-", "").replace("_", ""))
        hint = f"; did you mean {near}?" if near else f"; allowed: {', '.join(known)}"
        raise ValueError(f"'{backbone}' is none of tf.keras.applications{hint}")

    @model_validator(mode="after")
    def _together(self) -> "TrainParams":
        known = APPLICATIONS.get(self.backbone)
        if known is None and self.weights == "imagenet":
            raise ValueError("weights: small-cnn has none of ImageNet")
        if known is not None and self.grayscale:
            raise ValueError(f"grayscale: {self.backbone} takes three channels")
        if known is not None and self.image_size is not None and self.image_size < known.least:
            raise ValueError(f"image_size: {self.backbone} needs at least {known.least}")
        if self.alpha is not None and not (known and known.width):
            raise ValueError("alpha: is of the MobileNets")
        if self.fine_tune_layers and (known is None or self.weights == "scratch"):
            raise ValueError("fine_tune_layers: a network from scratch is trained as a whole")
        if "center" not in self.views:
            raise ValueError("views: `center` is what the trained network sees, it must be there")
        if any(s <= 0 for s in self.strengths):
            raise ValueError("strengths: each must be above 0")
        if any(not 1 <= c <= 2048 for c in self.channels):
            raise ValueError("channels: each must be 1 to 2048")
        return self


KIND = Kind(
    summary="Trains an image classifier in Keras: a network of tf.keras.applications, or a small "
    "one.",
    toolchain="tensorflow",
    params=TrainParams,
    inputs={
        "images": In("ImageFolder | Table | Folder", "A folder for each class, or a table."),
        "validation": In(
            "ImageFolder | Table | Folder", "For choosing: early stopping.", optional=True
        ),
        "test": In("ImageFolder | Table | Folder", "For the figures; never learnt.", optional=True),
        "weights": In(
            "File", "Weights of the backbone, .h5, with or without its top.", optional=True
        ),
    },
    outputs={
        "model": Out("KerasModel", "model.h5", "The network, with labels and preprocessing."),
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
        "The networks are those of tf.keras.applications in tf-keras, with the scaling of pixels "
        "that each was trained with. Nothing is downloaded: weights come from a file on the input "
        "`weights` (the authors' .h5, with or without its top layers), and `weights: imagenet` "
        "without that file is refused with where to fetch it. With weights, features are computed "
        "once for each picture, a linear head is fitted, and its regularisation is chosen by "
        "cross-validation inside the training part; `fine_tune_layers` then trains the last layers "
        "further. Without weights the whole network is trained. The figures always come from "
        "pictures that were not learnt, nor used to choose anything. The file is in Keras's HDF5 "
        "format, gives probabilities, and carries `mlbuild.description`: labels and how pictures "
        "are prepared."
    ),
    example={"backbone": "MobileNetV2", "seed": 7},
)
