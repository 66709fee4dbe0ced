"""train/text-classifier: from labelled texts to a classifier and its tokenizer."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.sequence_training.spec_learning import LearningParams


class TextParams(LearningParams):
    """What is read, what is trained, and how it is judged."""

    text_column: str = Field("text", description="Of a table, or of JSON files: the text.")
    label_column: str = Field("label", description="Of a table: the label.")
    files: str = Field("*", min_length=1, description="Of folders: which files, `*.json`.")
    labels: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Labels to learn, with patterns for what they are called in the data; others "
        "are left out: `{ham: ['easy-ham-*', hard-ham], spam: ['spam-*']}`.",
    )
    architecture: Literal["average", "convolution"] = Field(
        "average",
        description="The mean of all words' vectors, or convolutions that search for runs of "
        "words, the best find of each.",
    )
    ngrams: int = Field(2, ge=1, le=4, description="Longest run of words in the vocabulary.")
    vocabulary: int = Field(
        20000, ge=10, le=500000, description="Entries at most; those in most texts win."
    )
    min_count: int = Field(3, ge=1, description="Texts in which an entry occurs at least.")
    length: int = Field(
        256, ge=4, le=16384, description="Entries that the model reads; a longer text is cut."
    )
    width: int = Field(32, ge=2, le=1024, description="Numbers of a word's vector.")
    filters: int = Field(64, ge=1, le=1024, description="Of convolutions: width of each.")
    kernels: list[int] = Field(
        default_factory=lambda: [3, 5],
        min_length=1,
        max_length=6,
        description="Of convolutions: words that each sees; odd.",
    )
    word_dropout: float = Field(
        0.1, ge=0, lt=1, description="Share of words that are hidden, at random, while training."
    )
    epochs: int = Field(8, ge=1, le=1000, description="Passes over what is learnt, at most.")

    @model_validator(mode="after")
    def _together(self) -> "TextParams":
        if self.text_column == self.label_column:
            raise ValueError("text_column: is the same as label_column")
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError("kernels: each must be odd")
        if self.architecture == "convolution" and self.ngrams > 1:
            raise ValueError("ngrams: convolutions find runs of words themselves: set ngrams: 1")
        if len(self.labels) == 1:
            raise ValueError("labels: a classifier needs at least two")
        if not self.refit and self.evaluate == "kfold":
            raise ValueError("refit: k folds leave k networks; the last one needs refit: true")
        return self


KIND = Kind(
    summary="Trains a text classifier, with the tokenizer that an app needs.",
    toolchain="torch",
    params=TextParams,
    inputs={
        "texts": In("Table | Folder", "A table with a column of texts, or a folder a label."),
        "validation": In("Table | Folder", "For choosing: early stopping.", optional=True),
        "test": In("Table | Folder", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture, labels and tokenizer."),
        "tokenizer": Out("Tokenizer", "tokenizer", "The vocabulary, as JSON."),
        "report": Out("Report", "report.json", "Figures and mistakes."),
        "samples": Out("Folder", "samples", "Judged texts as the model takes them, for parity."),
    },
    metrics={
        "accuracy": Metric("Share of texts, not learnt, with the right label.", share=True),
        "accuracy_spread": Metric("Standard deviation over folds.", better="min"),
        "log_loss": Metric("Mean of -log of the true label's score.", better="min"),
        "calibration_error": Metric("Expected calibration error, 15 bins.", better="min"),
        "precision.*": Metric("Share of right ones among those called so.", share=True),
        "recall.*": Metric("Share of a label that was found.", share=True),
        "texts": Metric("Texts.", better="none"),
        "vocabulary": Metric("Entries of the vocabulary.", better="none"),
        "unknown_words": Metric("Share of judged words that are not in it.", better="min"),
        "labels": Metric("Number of labels.", better="none"),
        "epochs": Metric("Epochs of the last training.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "Texts are cut into words (runs of letters and digits, in lower case); words and runs of "
        "words that occur in several texts are the vocabulary. The model takes their numbers. The "
        "tokenizer is an output of its own, stands in the metadata of the converted model, and "
        "`package/swift` puts it into the package with the Swift code that uses it. Files may be "
        "plain text, e-mails, or JSON with a text under `text_column`. Equal texts stay on one "
        "side of every split."
    ),
    example={"text_column": "text", "label_column": "category"},
)
