"""train/drawing-classifier: from strokes or small pictures of drawings to a classifier."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.vision_training.spec_learning import Moves, Stepping


class Augment(Moves):
    """Random changes of training drawings; 0 or false turns one off."""

    flip: bool = Field(False, description="Mirror left and right.")
    zoom: float = Field(0.1, ge=0, lt=1, description="Size changes by up to this share.")
    shift: float = Field(0.05, ge=0, lt=1, description="Moves by up to this share of a side.")


class DrawingParams(Stepping):
    """What is trained, how, and how it is judged."""

    image_size: int = Field(28, ge=16, le=256, description="Side of the drawing that is read.")
    stroke_width: float = Field(
        1.6, gt=0, le=20, description="Of strokes, in pixels of the drawing that is read."
    )
    margin: float = Field(
        0.07, ge=0, lt=0.5, description="Border left empty around strokes, as share of a side."
    )
    smooth: bool = Field(True, description="Draw strokes with soft edges.")
    dark: bool = Field(
        False, description="Drawings are dark on bright ground: turned before they are learnt."
    )
    drawing_column: str = Field("drawing", description="Of strokes: the list of strokes.")
    label_column: str = Field("label", description="Of strokes or a table: the class.")
    path_column: str = Field("path", description="Of a table of pictures: the file.")
    unreadable: Literal["skip", "fail"] = Field(
        "skip", description="Drawings that cannot be read: listed and left out, or an error."
    )

    channels: list[int] = Field(
        default_factory=lambda: [16, 32, 64],
        min_length=1,
        max_length=5,
        description="Width of each stage; size is halved between stages.",
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="Before the last layer, while training.")
    epochs: int = Field(12, ge=1, le=1000, description="Times that each drawing is seen.")
    batch_size: int = Field(32, ge=1, le=4096, description="Drawings a step.")
    learning_rate: float | None = Field(None, gt=0, le=10, description="Highest; default 0.003.")
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop when the loss of the `validation` input did not fall for so many epochs.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Softens the targets.")
    augment: Augment = Field(default_factory=Augment, description="Random changes while training.")
    holdout: float = Field(
        0.2, gt=0, lt=0.9, description="Share held out for the figures where no `test` is given."
    )

    @model_validator(mode="after")
    def _together(self) -> "DrawingParams":
        if self.image_size < 2 ** (len(self.channels) - 1):
            raise ValueError(f"image_size: too small for {len(self.channels)} stages")
        if any(not 1 <= c <= 1024 for c in self.channels):
            raise ValueError("channels: each must be 1 to 1024")
        return self


_DRAWINGS = "Strokes (.json, .jsonl, .ndjson, .csv), a folder for each class, or a table of files."
_TYPES = "ImageFolder | Table | Folder | File"

KIND = Kind(
    summary="Trains a classifier of drawings, from strokes or small pictures.",
    toolchain="torch",
    params=DrawingParams,
    inputs={
        "drawings": In(_TYPES, _DRAWINGS),
        "validation": In(_TYPES, "For choosing: early stopping.", optional=True),
        "test": In(_TYPES, "For the figures; never learnt.", optional=True),
        "start": In("TorchModel", "A drawing classifier to go on from.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture, labels and preprocessing."),
        "report": Out("Report", "report.json", "Figures and mistakes."),
    },
    metrics={
        "accuracy": Metric("Share of right answers on drawings that were not learnt.", share=True),
        "log_loss": Metric("Mean of -log of the true class's score.", better="min"),
        "calibration_error": Metric("Expected calibration error, 15 bins.", better="min"),
        "precision.*": Metric("Share of right ones among those called so.", share=True),
        "recall.*": Metric("Share of a class that was found.", share=True),
        "drawings": Metric("Readable drawings.", better="none"),
        "unreadable": Metric("Drawings that were left out.", better="min"),
        "labels": Metric("Number of classes.", better="none"),
        "epochs": Metric("Epochs of the training.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "Strokes are Turi Create's (`drawing`: a list of strokes, each a list of `{x, y}`) or "
        "those of Quick, Draw! (`[[x...], [y...]]`, class under `word`), an entry or line each. "
        "They are scaled into the square, proportions kept, and drawn bright on dark: an app that "
        "renders what its user draws must do the same. Pictures are taken as they are, `dark: "
        "true` turns dark drawings on bright paper. The model reads one grey square and gives "
        "label and scores, see `convert/coreml`."
    ),
    example={"image_size": 28, "epochs": 12},
)
