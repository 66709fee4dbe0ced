"""validate/formats: one table that shows a model in several formats on the same samples."""

from typing import Any, Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator

from ..._shared.predictions.spec_asked import asked, through


class FormatsParams(Params):
    """Which samples, and what the columns are called."""

    names: list[str] | None = Field(
        None,
        description="What the models are called, in their order; if not given, by their formats.",
    )
    worst: int = Field(
        8, ge=0, le=100, description="How many samples to show on which the models disagree most."
    )
    limit: int | None = Field(
        None, ge=1, description="Ask about at most so many samples, evenly spread over their names."
    )
    path_column: str = Field("path", description="In labels.csv: the column of paths.")
    label_column: str = Field("label", description="In labels.csv: the column of labels.")
    unreadable: Literal["fail", "skip"] = Field(
        "fail", description="What to do with a sample that cannot be read."
    )
    pictures: dict[str, Any] | None = Field(
        None,
        description="How models want pictures that do not say it themselves; as in "
        "`predict/outputs`.",
    )
    layout: Literal["auto", "NCHW", "NHWC"] = Field(
        "auto", description="Order of axes of such models' inputs of four dimensions."
    )
    labels: list[str] | None = Field(
        None, description="Class labels of such models, in the order of their outputs."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> "FormatsParams":
        names = self.names or []
        if len(set(names)) != len(names):
            raise ValueError("names: two models have one name")
        if any(not name or not name.replace("-", "").replace("_", "").isalnum() for name in names):
            raise ValueError("names: letters, digits, '-' and '_'")
        return self


KIND = Kind(
    summary="Shows a model in several formats side by side: size, accuracy, agreement.",
    toolchain="torch",
    params=FormatsParams,
    inputs={
        "models": In(f"Predictions | {asked()}", "The model, in each format.", many=True),
        "reference": In(
            f"Predictions | {asked()}",
            "What they are held against; if not given, the first of the models.",
            optional=True,
        ),
        "samples": In(
            "ImageFolder | Folder | Table | File",
            "Pictures, .npz files with an array for each input, or a table; folders or labels.csv "
            "name classes.",
        ),
    },
    outputs={
        "report": Out("Report", "formats.json", "All figures, by model and by sample."),
        "page": Out("Page", "formats.html", "The table, and where the models disagree."),
    },
    metrics={
        "models": Metric("Number of models.", better="none"),
        "samples": Metric("Number of samples.", better="none"),
        "size_mb.*": Metric("Size of a model.", unit="MB", better="min"),
        "accuracy.*": Metric("Share of samples that a model labels rightly.", share=True),
        "agreement.*": Metric(
            "Share of samples on which a model's best class is the reference's.", share=True
        ),
        "psnr_db.*": Metric(
            "Peak signal to noise ratio of a model's outputs; 200 stands for equal.", unit="dB"
        ),
    },
    through={"models": through(), "reference": through()},
    details=(
        "Each model is asked about the same samples in its own framework and toolchain, by a stage "
        "`predict/outputs` that is put in (`formats-models-1`, ...); Core ML models by mlbuild's "
        "reference runtime. Metrics carry a model's name behind a dot: `accuracy.onnx`, "
        "`psnr_db.core-ml`; formats that come twice are numbered. Names, shapes and the order of "
        "labels are brought together as `validate/parity` does; of classifiers, the scores before "
        "the softmax are compared, less their mean over the classes. Accuracy needs samples whose "
        "folders or labels.csv name classes that the model knows."
    ),
    example={"limit": 200},
)
