"""Accuracy of a Core ML classifier on labelled pictures."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params


class AccuracyParams(Params):
    """Parameters of validate/accuracy."""

    topk: int = Field(5, ge=1, description="For the share whose label is among the k best.")
    labels: dict[str, str] = Field(
        {},
        description="The model's label for a folder's name or a table's label, where they differ.",
    )
    unknown: Literal["fail", "skip"] = Field(
        "fail", description="What to do with labels that the model does not know."
    )
    path_column: str = Field("path", description="For a table: the column of the pictures.")
    label_column: str = Field("label", description="For a table: the column of the labels.")
    limit: int | None = Field(
        None, ge=1, description="Use at most so many pictures, evenly spread over the classes."
    )
    wrong: int = Field(12, ge=0, le=100, description="How many of the wrong answers to show.")
    precision: Literal["declared", "float32"] = Field(
        "declared",
        description="Arithmetic: each value rounded to its declared type, or float32 throughout.",
    )
    scaling: Literal["scaleFill", "scaleFit", "centerCrop"] = Field(
        "centerCrop",
        description="How pictures reach the size of a Core ML model that does not say it itself.",
    )
    unreadable: Literal["fail", "skip"] = Field(
        "fail", description="What to do with a picture that cannot be read."
    )


KIND = Kind(
    summary="Measures a Core ML classifier's accuracy on labelled pictures.",
    toolchain="torch",
    params=AccuracyParams,
    uses_coreml=True,
    plots=True,
    inputs={
        "model": In("CoreMLModel", "The classifier."),
        "samples": In("ImageFolder | Table", "A folder for each class, or a table of labels."),
        "reference": In("TorchModel | CoreMLModel", "The model it came from.", optional=True),
    },
    outputs={
        "report": Out("Report", "accuracy.json", "All figures, overall, by class and by sample."),
        "page": Out("Page", "accuracy.html", "The figures, the confusions, the wrong answers."),
    },
    metrics={
        "accuracy": Metric("Share of right answers.", share=True),
        "accuracy_topk": Metric("Share whose label is among the k best.", share=True),
        "log_loss": Metric("Mean negative log-probability of the truth.", better="min"),
        "calibration_error": Metric("Mean gap between confidence and accuracy.", better="min"),
        "f1_macro": Metric("Mean over classes of the harmonic mean of precision and recall."),
        "recall.*": Metric("Share of a class that is recognised.", share=True),
        "precision.*": Metric("Share of a class's answers that are right.", share=True),
        "reference_accuracy": Metric("Share of the reference's right answers.", share=True),
        "drop": Metric("The reference's accuracy less the model's.", better="min"),
        "agreement_top1": Metric("Share of the same answers as the reference's.", share=True),
        "samples": Metric("Number of pictures.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    details=(
        "The Core ML model itself is run, by mlbuild's reference runtime, on any system. Shares "
        "are recorded with their n and their 95 % interval (Wilson). With a reference model the "
        "drop in accuracy and the agreement are recorded too: gate `drop` by `max`, or `accuracy` "
        "by `min_lower` to count on the interval's lower end."
    ),
    example={"topk": 5},
)
