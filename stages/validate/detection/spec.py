"""validate/detection: what a Core ML detector finds, its suppression included."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params


class DetectionParams(Params):
    """Parameters of validate/detection."""

    confidence_threshold: float | None = Field(
        None, ge=0, le=1, description="Of recall and precision; default: the model's own."
    )
    iou_threshold: float | None = Field(
        None, ge=0, le=1, description="Of the model's suppression; default: the model's own."
    )
    labels: list[str] | None = Field(
        None, min_length=1, description="Classes to look at; others are left out. Default: all."
    )
    least_size: float = Field(
        0.0, ge=0, lt=1, description="Boxes narrower than this share of the picture are left out."
    )
    precision: Literal["declared", "float32"] = Field(
        "declared", description="Arithmetic: each value rounded to its type, or float32 throughout."
    )
    unreadable: Literal["skip", "fail"] = Field(
        "fail", description="What to do with a picture that cannot be read."
    )
    seed: int = Field(0, ge=0, description="Of the draws for the interval.")


KIND = Kind(
    summary="Mean average precision of a Core ML object detector on annotated pictures.",
    toolchain="torch",
    params=DetectionParams,
    uses_coreml=True,
    inputs={
        "model": In("CoreMLModel", "A detector: a pipeline that ends in suppression."),
        "reference": In("TorchModel", "The detector it came from.", optional=True),
        "samples": In("Folder | File", "Pictures with annotations, as train/object-detector."),
        "annotations": In("File", "Of `samples`, where they lie elsewhere.", optional=True),
    },
    outputs={"report": Out("Report", "report.json", "Figures by class and by overlap.")},
    metrics={
        "map50": Metric("Mean average precision at an overlap of 0.5."),
        "map": Metric("Mean average precision over overlaps 0.5, 0.55, ..., 0.95 (COCO's)."),
        "map75": Metric("Mean average precision at an overlap of 0.75."),
        "map50_low": Metric("Lower end of its 95 % interval, by drawing pictures."),
        "map50_high": Metric("Upper end of its 95 % interval.", better="none"),
        "ap50.*": Metric("Average precision of a class at an overlap of 0.5."),
        "recall": Metric("Share of objects found, at the confidence threshold.", share=True),
        "precision": Metric("Share of right boxes, at the confidence threshold.", share=True),
        "reference_map50": Metric("Of the reference on the same pictures."),
        "drop": Metric("The reference's figure at 0.5 less the model's.", better="min"),
        "samples": Metric("Number of pictures.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "The whole model is run by mlbuild's reference runtime, on any system: network, then Core "
        "ML's suppression, down to a confidence of 0.01, so that the curve of precision is whole. "
        "Figures are those of `train/object-detector`, of the packaged model: after conversion and "
        "compression. Labels are matched by name. Pictures are prepared as the model's own "
        "description says."
    ),
    example={},
)
