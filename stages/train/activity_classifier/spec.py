"""train/activity-classifier: from labelled recordings of sensors to a classifier of movement."""

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator

from ..._shared.sequence_training.spec_learning import LearningParams


class Augment(Params):
    """Random changes of windows while training; 0 turns one off."""

    scale: float = Field(0.1, ge=0, lt=1, description="Factor 1 plus or minus this, a column each.")
    noise: float = Field(
        0.05, ge=0, le=10, description="White noise, as a share of the window's own deviation."
    )


class ActivityParams(LearningParams):
    """What is read, what is trained, and how it is judged."""

    label_column: str = Field("label", description="Of a table: the activity.")
    session_column: str = Field(
        "session",
        description="Of a table: which recording a row is of; without it, each file is one.",
    )
    columns: list[str] | None = Field(
        None, min_length=1, description="What the model reads; default: all columns of numbers."
    )
    window: int = Field(
        100, ge=4, le=100000, description="Moments that the model reads for one answer."
    )
    overlap: float = Field(
        0.0, ge=0, lt=1, description="Share of a window that the next one repeats, for training."
    )
    filters: list[int] = Field(
        default_factory=lambda: [32, 64],
        min_length=1,
        max_length=6,
        description="Width of each convolution over time; each halves the moments.",
    )
    kernel: int = Field(5, ge=1, le=101, description="Moments that a convolution sees; odd.")
    recurrent: int = Field(
        64, ge=0, le=2048, description="Width of the recurrent layer (LSTM); 0: a mean over time."
    )
    dense: int = Field(64, ge=1, le=4096, description="Width of the layer before the last.")
    augment: Augment = Field(default_factory=Augment, description="Random changes while training.")
    epochs: int = Field(30, ge=1, le=1000, description="Passes over what is learnt, at most.")

    @model_validator(mode="after")
    def _together(self) -> "ActivityParams":
        if self.kernel % 2 == 0:
            raise ValueError("kernel: must be odd")
        if any(not 1 <= c <= 2048 for c in self.filters):
            raise ValueError("filters: each must be 1 to 2048")
        if self.label_column == self.session_column:
            raise ValueError("session_column: is the same as label_column")
        if self.columns and {self.label_column, self.session_column} & set(self.columns):
            raise ValueError("columns: label and session are not read by the model")
        if not self.refit and self.evaluate == "kfold":
            raise ValueError("refit: k folds leave k networks; the last one needs refit: true")
        return self


KIND = Kind(
    summary="Trains a classifier of movement from recordings of sensors.",
    toolchain="torch",
    params=ActivityParams,
    inputs={
        "sessions": In("Table | Folder | File", "Tables, .npz or .ts files, or a folder of them."),
        "validation": In("Table | Folder | File", "For choosing: early stopping.", optional=True),
        "test": In("Table | Folder | File", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture, labels and inputs."),
        "report": Out("Report", "report.json", "Figures and mistakes."),
        "samples": Out("Folder", "samples", "Judged windows as the model takes them, for parity."),
    },
    metrics={
        "accuracy": Metric("Share of windows, not learnt, with the right answer.", share=True),
        "session_accuracy": Metric(
            "Share of recordings whose windows together give the right answer.", share=True
        ),
        "accuracy_spread": Metric("Standard deviation over folds.", better="min"),
        "log_loss": Metric("Mean of -log of the true label's score.", better="min"),
        "calibration_error": Metric("Expected calibration error, 15 bins.", better="min"),
        "precision.*": Metric("Share of right ones among those called so.", share=True),
        "recall.*": Metric("Share of a label that was found.", share=True),
        "sessions": Metric("Recordings.", better="none"),
        "windows": Metric("Windows of them.", better="none"),
        "labels": Metric("Number of labels.", better="none"),
        "epochs": Metric("Epochs of the last training.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "A table has a row for each moment, in order, with a column for the label and one for the "
        "recording; a folder may hold a table for each recording, in folders named by label. An "
        "`.npz` file holds `values` [sessions, moments, columns], `labels` and, if you like, "
        "`columns`; `.ts` is the format of the UEA archive. The model takes one array for each "
        "column, `window` values long, as Create ML's do, and scales them itself, in float32. "
        "Windows of one recording, and recordings of equal content, stay on one side of every "
        "split. `samples` holds judged windows for `validate/parity`."
    ),
    example={"window": 100, "label_column": "activity"},
)
