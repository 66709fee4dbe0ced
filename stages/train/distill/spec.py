"""train/distill: a student that answers as its teacher does, small or compressed."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.vision_training.spec_learning import Augment as Changes
from ..._shared.vision_training.spec_learning import Listing, Stepping


class Augment(Changes):
    """Random changes of training pictures, the same for teacher and student; 0 turns one off."""

    erase: float = Field(0.0, ge=0, le=1, description="Share of pictures with a grey patch.")


class DistillParams(Listing, Stepping):
    """Who learns, from what, and how it is compressed."""

    student: Literal["small-cnn", "same"] = Field(
        "small-cnn",
        description="A small network from scratch, or the teacher's own to be compressed. With the "
        "input `start` that network learns.",
    )
    channels: list[int] = Field(
        default_factory=lambda: [16, 32, 64],
        min_length=1,
        max_length=6,
        description="Of small-cnn: width of each stage; size is halved between stages.",
    )
    compress: Literal["none", "palette", "prune"] = Field(
        "none",
        description="The student's weights while it learns, and ever after: `palette` of 2 ** bits "
        "values a layer, `prune` with a share of zeros.",
    )
    bits: Literal[1, 2, 3, 4, 6, 8] = Field(4, description="Of a palette's indices.")
    sparsity: float = Field(0.75, gt=0, lt=1, description="Share of zeros in each pruned layer.")
    least_elements: int = Field(
        2048, ge=1, description="Weights of at most so many elements stay as they are."
    )
    keep: list[str] = Field(
        default_factory=list,
        description="Patterns for names of weights that stay as they are: `head*`, `*stem*`.",
    )
    temperature: float = Field(
        4.0, gt=0, le=100, description="Softens both sides' scores: more of the teacher shows."
    )
    teacher_weight: float = Field(
        0.7, ge=0, le=1, description="Of the teacher's scores; the rest is the labels'."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Of small-cnn, while training.")
    epochs: int = Field(12, ge=1, le=1000, description="Times that each picture is seen.")
    learning_rate: float | None = Field(
        None, gt=0, le=10, description="Highest one; default: 0.003, of a trained network 0.0005."
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop when the loss of the `validation` input did not fall for so many epochs; "
        "not with compress.",
    )
    augment: Augment = Field(default_factory=Augment, description="Random changes while training.")
    holdout: float = Field(
        0.2, gt=0, lt=0.9, description="Share held out for the figures where no `test` is given."
    )

    @model_validator(mode="after")
    def _together(self) -> "DistillParams":
        if self.patience and self.compress != "none":
            raise ValueError(
                "patience: weights that are compressed step by step have no best epoch"
            )
        if self.student == "same" and self.compress == "none":
            raise ValueError("student: same without compress would learn what it knows already")
        if any(not 1 <= c <= 2048 for c in self.channels):
            raise ValueError("channels: each must be 1 to 2048")
        return self


KIND = Kind(
    summary="Trains a student to answer as its teacher: smaller, palettized or pruned.",
    toolchain="torch",
    params=DistillParams,
    inputs={
        "images": In("ImageFolder | Table | Folder", "Labelled pictures, of the teacher's labels."),
        "teacher": In("TorchModel", "A trained image classifier."),
        "start": In("TorchModel", "A trained student to go on from.", optional=True),
        "validation": In(
            "ImageFolder | Table | Folder", "For choosing: early stopping.", optional=True
        ),
        "test": In("ImageFolder | Table | Folder", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "The student, with the teacher's labels."),
        "report": Out("Report", "report.json", "Figures before and after, layers compressed."),
    },
    metrics={
        "accuracy": Metric("Share of right answers on pictures that were not learnt.", share=True),
        "agreement": Metric("Share of the teacher's answers that the student gives.", share=True),
        "teacher_accuracy": Metric("Of the teacher on the same pictures.", share=True),
        "accuracy_before": Metric(
            "Of the student compressed at once, before it learns again.", share=True
        ),
        "agreement_before": Metric("Of that student with the teacher.", share=True),
        "accuracy_whole": Metric("Of the student before it was compressed.", share=True),
        "regained": Metric("Accuracy after less accuracy before learning again."),
        "kl": Metric("Mean divergence from the teacher's scores.", unit="nats", better="min"),
        "log_loss": Metric("Mean of -log of the true class's score.", better="min"),
        "compressed": Metric("Weights on the palette or mask, of all weights."),
        "parameters": Metric("Weights of the student.", better="min"),
        "teacher_parameters": Metric("Weights of the teacher.", better="none"),
        "images": Metric("Pictures that were learnt.", better="none"),
        "unreadable": Metric("Files that were left out.", better="min"),
        "epochs": Metric("Epochs of the training.", better="none"),
        "size_mb": Metric("Size of the model's file, uncompressed.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "The student learns the teacher's scores, softened by a temperature, and the labels. With "
        "`compress` its normalization is first folded into the convolutions, its weights are then "
        "put onto a palette or mask in every forward step while the gradient passes straight "
        "through, and so it regains what compression cost. The result holds exactly those values: "
        "after `convert/coreml`, `quantize/palettize` with the same bits (or `mode: unique`), or "
        "`quantize/prune` with the same sparsity, stores them without a further loss; give them "
        "`weight_threshold` as `least_elements` here. Figures come from pictures that were not "
        "learnt: the `test` input or a stratified held-out part."
    ),
    example={"student": "same", "compress": "palette", "bits": 4},
)
