"""train/tabular: from a table to a network that takes its columns."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.sequence_training.spec_learning import LearningParams

_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


class TabularParams(LearningParams):
    """What is read, what is trained, and how it is judged."""

    target: str | None = Field(None, description="Column to predict; default: the last one.")
    task: Literal["auto", "classification", "regression"] = Field(
        "auto", description="`auto`: regression where the target holds numbers alone."
    )
    columns: list[str] | None = Field(
        None, min_length=1, description="What the model reads; default: all but the target."
    )
    exclude: list[str] = Field(default_factory=list, description="Columns to leave out.")
    types: dict[str, Literal["number", "category"]] = Field(
        default_factory=dict,
        description="Types by column; others are numbers where all their values are.",
    )
    missing: list[str] = Field(
        default_factory=lambda: list(_MISSING), description="Texts that mean that nothing is there."
    )
    max_categories: int = Field(
        200, ge=2, le=100000, description="More different texts in a column are an error."
    )
    header: list[str] | None = Field(
        None, description="Names of all columns, of a file without a header line."
    )
    skip: int = Field(0, ge=0, description="Lines in front of the header to skip.")
    delimiter: str = Field(
        "auto", description="Between values: a character, or comma, semicolon, tab, space, pipe."
    )
    layers: list[int] = Field(
        default_factory=lambda: [64, 32],
        max_length=8,
        description="Widths of the hidden layers; none: a linear model.",
    )
    loss: Literal["squared", "absolute", "huber"] = Field(
        "squared", description="Of a regression, on targets brought to deviation 1."
    )
    epochs: int = Field(60, ge=1, le=1000, description="Passes over what is learnt, at most.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Before the last layer, while training.")

    @model_validator(mode="after")
    def _together(self) -> "TabularParams":
        if self.target is not None and self.target in [*(self.columns or ()), *self.exclude]:
            raise ValueError(f"target: '{self.target}' is also among columns or exclude")
        both = sorted(set(self.columns or ()) & set(self.exclude))
        if both:
            raise ValueError(f"exclude: '{both[0]}' is among columns")
        if any(not 1 <= width <= 4096 for width in self.layers):
            raise ValueError("layers: each must be 1 to 4096")
        if self.task == "classification" and self.loss != "squared":
            raise ValueError("loss: is for regression")
        if not self.refit and self.evaluate == "kfold":
            raise ValueError("refit: k folds leave k networks; the last one needs refit: true")
        return self


KIND = Kind(
    summary="Trains a network on the columns of a table, for labels or numbers.",
    toolchain="torch",
    params=TabularParams,
    inputs={
        "table": In("Table | Folder", "CSV or TSV."),
        "validation": In("Table | Folder", "For choosing: early stopping.", optional=True),
        "test": In("Table | Folder", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture, labels and columns."),
        "report": Out("Report", "report.json", "Figures, worth of columns, mistakes."),
        "samples": Out("Folder", "samples", "Judged rows as the model takes them, for parity."),
    },
    metrics={
        "accuracy": Metric("Share of rows, not learnt, with the right label.", share=True),
        "accuracy_spread": Metric("Standard deviation over folds.", better="min"),
        "log_loss": Metric("Mean of -log of the true label's score.", better="min"),
        "calibration_error": Metric("Expected calibration error, 15 bins.", better="min"),
        "precision.*": Metric("Share of right ones among those called so.", share=True),
        "recall.*": Metric("Share of a label that was found.", share=True),
        "rmse": Metric("Root mean square error, of a regression.", better="min"),
        "mae": Metric("Mean absolute error.", better="min"),
        "max_error": Metric("Largest error.", better="min"),
        "r2": Metric("Share of the target's variance that is explained."),
        "rows": Metric("Rows with a target.", better="none"),
        "columns": Metric("Columns that the model reads.", better="none"),
        "labels": Metric("Number of labels.", better="none"),
        "epochs": Metric("Epochs of the last training.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "Numbers are scaled inside the model, in float32, texts are embedded; a number that is "
        "missing counts as the mean and, where training saw gaps, tells so; a text that is missing "
        "or was never seen has an embedding of its own. Converted, the model takes one input for "
        "each column (numbers and texts), or with `features: vector` of `convert/coreml` one "
        "array. Equal rows stay on one side of every split. The worth of a column is how much the "
        "loss grows when its values are shuffled among the judged rows."
    ),
    example={"target": "species", "layers": [64, 32]},
)
