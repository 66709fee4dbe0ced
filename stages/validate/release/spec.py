"""Today's model against the released one, on the same samples."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params


class ReleaseParams(Params):
    """Parameters of validate/release."""

    labelled: bool = Field(
        True,
        description="Whether folders of pictures, a table's labels or its target say what is "
        "right; `false` compares the answers alone.",
    )
    labels: dict[str, str] = Field(
        {},
        description="The models' label for a folder's name or a table's label, where they differ.",
    )
    unknown: Literal["fail", "skip"] = Field(
        "fail", description="What to do with samples whose label neither model knows."
    )
    path_column: str = Field("path", description="For a table of pictures: their column.")
    label_column: str = Field("label", description="For a table of pictures: the labels' column.")
    target: str | None = Field(
        None,
        description="For a table of rows: the column of what is right; by default the one that "
        "today's model says it learnt.",
    )
    interval: Literal["score", "bootstrap"] = Field(
        "score",
        description="How the interval of `drop` is made: Tango's score interval, or the paired "
        "bootstrap, which is too sure of itself where few answers changed. `rise` is always by "
        "the bootstrap.",
    )
    resamples: int = Field(10_000, ge=1000, le=1_000_000, description="Rounds of the bootstrap.")
    seed: int = Field(0, ge=0, description="Of the bootstrap.")
    noise: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="Errors that differ by no more than this share of the larger one count as "
        "equal in `worse` and `better`.",
    )
    worst: int = Field(12, ge=0, le=100, description="How many of the worst samples to show.")
    limit: int | None = Field(
        None, ge=1, description="Use at most so many samples, evenly spread over the classes."
    )
    precision: Literal["declared", "float32"] = Field(
        "declared",
        description="Arithmetic: each value rounded to its declared type, or float32 throughout.",
    )
    scaling: Literal["scaleFill", "scaleFit", "centerCrop"] = Field(
        "centerCrop",
        description="How pictures reach the size of a Core ML model that does not say it itself.",
    )
    unreadable: Literal["fail", "skip"] = Field(
        "fail", description="What to do with a sample that cannot be read."
    )


KIND = Kind(
    summary="Compares a Core ML model with the one that was released, on the same samples.",
    toolchain="torch",
    params=ReleaseParams,
    uses_coreml=True,
    inputs={
        "model": In("CoreMLModel | CoreMLFile", "Today's model."),
        "released": In(
            "CoreMLModel | CoreMLFile",
            "The released one: `release.model`. While there is no release, the stage is left out.",
        ),
        "samples": In(
            "ImageFolder | Folder | Table | File",
            "A folder of pictures for each class, a table, or samples without labels: pictures, "
            ".npz files with an array for each input.",
        ),
        "reference": In(
            "TorchModel | CoreMLModel | Predictions",
            "What is right where there are no labels: a model, or its recorded answers, from "
            "which both models' errors are measured.",
            optional=True,
        ),
    },
    outputs={
        "report": Out("Report", "release.json", "All figures, overall, by class and by sample."),
        "page": Out("Page", "release.html", "The figures and the worst samples, both answers."),
    },
    metrics={
        "drop": Metric(
            "The released model's accuracy less today's; with a 95 % interval.",
            interval=True,
            better="min",
        ),
        "accuracy": Metric("Share of today's right answers.", share=True),
        "released_accuracy": Metric("Share of the released model's right answers.", share=True),
        "accuracy_new": Metric(
            "Today's share of right answers to samples of labels that the released model does not "
            "know; the other figures leave them out.",
            share=True,
        ),
        "rise": Metric(
            "Today's mean error less the released model's; with a 95 % interval.",
            interval=True,
            better="min",
        ),
        "error": Metric("Today's mean absolute error.", better="min"),
        "released_error": Metric("The released model's mean absolute error.", better="min"),
        "worse": Metric(
            "Share of samples that were answered rightly and no longer are, or whose error grew.",
            share=True,
            better="min",
        ),
        "better": Metric("Share of samples of which the opposite is true.", share=True),
        "mcnemar_p": Metric(
            "How likely a split into worse and better this uneven is by chance: McNemar's exact "
            "test, two-sided; of errors the sign test.",
            better="none",
        ),
        "detectable": Metric(
            "The loss (of accuracy, or in mean error) that these samples would have shown four "
            "times of five.",
            better="min",
        ),
        "agreement_top1": Metric("Share of equal answers of both models.", share=True),
        "psnr_db": Metric(
            "Peak signal to noise ratio of today's outputs against the released model's; 200 "
            "stands for equal.",
            unit="dB",
        ),
        "mean_abs": Metric("Mean absolute difference of their outputs.", better="min"),
        "labels_added": Metric("Labels that the released model does not know.", better="none"),
        "labels_removed": Metric("Labels that today's model no longer knows.", better="min"),
        "samples": Metric("Number of samples.", better="none"),
        "size_mb": Metric("Size of today's model.", unit="MB", better="min"),
        "released_size_mb": Metric("Size of the released model.", unit="MB", better="none"),
        "size_ratio": Metric("Today's size over the released model's.", better="min"),
    },
    details=(
        "Both models are run by mlbuild's reference runtime, on the same samples, in one pass. "
        "What is recorded depends on what is known. With labels: `accuracy`, `released_accuracy`, "
        "`drop`, `worse`, `better`, `mcnemar_p` and `detectable`, over the samples whose label "
        "both models know. With a numeric target, or with a reference where there are no labels: "
        "`error`, `released_error` and `rise` in place of the first three (an error is the mean "
        "absolute difference over all of a sample's outputs, of classifiers over centred logits). "
        "With neither: what the models' outputs say of each other. Labels are matched by name; "
        "those that came and went are told, and differences of scores are taken over the shared "
        "ones. `drop: {max_lower: 0}` blocks a release only for a loss that chance does not "
        "explain; `drop: {max_upper: 0.01}` demands proof that no more than a point was lost, "
        "which needs enough samples: gate `detectable` to make sure of them. A model that is "
        "equal byte for byte has lost nothing for certain, and an interval of no width. "
        "docs/gates.md tells which gate to take, with formulas and sources. Nothing is timed: "
        "`validate/device` does that, on a Mac."
    ),
    example={"worst": 12},
)
