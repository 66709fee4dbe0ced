"""convert/updatable: a Core ML model that learns on the device."""

from typing import Literal

from mlbuild.api import (
    ByInput,
    Field,
    In,
    Kind,
    Metric,
    Out,
    Params,
    field_validator,
    model_validator,
)


class Trained(Params):
    """Which part of the network learns."""

    layers: int = Field(
        1, ge=1, le=20, description="The last so many layers with weights (dense, convolution)."
    )


class Number(Params):
    """A default and the range that an app may choose from."""

    default: float = Field(..., ge=0, description="Where the app says nothing.")
    min: float = Field(0.0, ge=0, description="Least that an app may set.")
    max: float = Field(1.0, ge=0, description="Most that an app may set.")

    @model_validator(mode="after")
    def _inside(self) -> "Number":
        if not self.min <= self.default <= self.max:
            raise ValueError(f"{self.default:g} is not between {self.min:g} and {self.max:g}")
        return self


class Whole(Params):
    """A default and the whole numbers that an app may choose from: a range, or a list."""

    default: int = Field(..., ge=1, description="Where the app says nothing.")
    min: int = Field(1, ge=1, description="Least that an app may set.")
    max: int = Field(1000, ge=1, description="Most that an app may set.")
    allowed: list[int] | None = Field(
        None, min_length=1, description="In place of a range: the numbers that an app may set."
    )

    @model_validator(mode="after")
    def _inside(self) -> "Whole":
        if self.allowed is not None:
            if self.default not in self.allowed:
                raise ValueError(f"{self.default} is not among the allowed numbers")
            if min(self.allowed) < 1:
                raise ValueError("allowed: each number is at least 1")
        elif not self.min <= self.default <= self.max:
            raise ValueError(f"{self.default} is not between {self.min} and {self.max}")
        return self


class UpdatableParams(Params):
    """What learns, how, and what the package says of itself."""

    train: Trained = Field(Trained(), description="Which layers of a network learn.")
    target: Literal["iOS13", "iOS14"] = Field(
        "iOS14",
        description="Oldest system that shall run the model. Newer ones run it as well; programs "
        "of iOS 15 and later cannot be trained on a device.",
    )
    loss: Literal["auto", "cross_entropy", "mean_squared_error"] = Field(
        "auto", description="`auto`: cross entropy for a classifier, squares for numbers."
    )
    optimizer: Literal["sgd", "adam"] = Field("sgd", description="How weights are moved.")
    learning_rate: float | Number = Field(
        0.01, description="A number, or `{default: 0.01, min: 0.001, max: 0.1}`."
    )
    momentum: float | Number = Field(0.0, description="Of sgd; from 0 to 1.")
    beta1: float | Number = Field(0.9, description="Of adam: memory of the gradient.")
    beta2: float | Number = Field(0.999, description="Of adam: memory of its square.")
    eps: float | Number = Field(1e-8, description="Of adam: added below the fraction.")
    epochs: int | Whole = Field(
        10, description="How often each sample is seen; `{default: 10, min: 1, max: 50}`."
    )
    mini_batch: int | Whole = Field(
        8, description="Samples a step; `{default: 8, allowed: [1, 8, 16]}`."
    )
    shuffle: bool = Field(True, description="Whether each epoch has its own order.")
    seed: int = Field(0, ge=0, description="Of that order, and of samples that are drawn here.")
    neighbours: int | Whole | None = Field(
        None,
        description="Of a model of neighbours: how many vote; the estimator's own if not said.",
    )
    index: Literal["linear", "kd_tree"] = Field(
        "linear", description="Of a model of neighbours: how it searches on the device."
    )
    target_column: str | None = Field(
        None,
        description="Of a table of samples: the column of truths, where the model does not say it.",
    )
    limit: int = Field(40, ge=2, le=1000, description="At most so many samples, evenly spread.")
    image: bool = Field(
        True, description="An image as input; false: a multi-array that is already normalised."
    )
    input_name: str = Field(
        "image", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="The input's name."
    )
    features_name: str = Field(
        "features",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the multi-array that a model of tables takes.",
    )
    label_output: str = Field(
        "classLabel",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of a classifier's label, and of the truth that it learns from.",
    )
    name: str | None = Field(
        None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="The package's name, without suffix."
    )
    author: str | None = Field(None, description="Written into the model.")
    licence: str | None = Field(None, description="Written into the model.")
    version: str | None = Field(None, description="Written into the model.")
    description: str | None = Field(None, description="One line for Xcode and for people.")

    @field_validator("learning_rate", "momentum", "beta1", "beta2", "eps")
    @classmethod
    def _between(cls, value: float | Number) -> float | Number:
        if isinstance(value, float | int) and not 0 <= value <= 1:
            raise ValueError("a plain number is between 0 and 1; say {default, min, max} for more")
        return value

    @field_validator("epochs", "mini_batch", "neighbours")
    @classmethod
    def _positive(cls, value: int | Whole | None) -> int | Whole | None:
        if isinstance(value, int) and not 1 <= value <= 1000:
            raise ValueError("a plain number is from 1 to 1000; say {default, min, max} for more")
        return value

    @model_validator(mode="after")
    def _together(self) -> "UpdatableParams":
        given = self.model_fields_set
        if self.optimizer == "adam" and "momentum" in given:
            raise ValueError("momentum: is for sgd; adam has beta1 and beta2")
        if self.optimizer == "sgd" and given & {"beta1", "beta2", "eps"}:
            raise ValueError("beta1, beta2, eps: are for adam")
        if self.label_output in (self.input_name, self.features_name):
            raise ValueError(f"two features are called '{self.label_output}'")
        return self


KIND = Kind(
    summary="Converts a network or a model of neighbours to one that an app trains on the device.",
    toolchain=ByInput("model", {"TorchModel": "torch", "SklearnModel": "classical"}),
    params=UpdatableParams,
    uses_coreml=True,
    inputs={
        "model": In("TorchModel | SklearnModel", "The trained model."),
        "samples": In(
            "ImageFolder | Folder | Table",
            "Labelled pictures, or a table with the column of truths: the result is trained with "
            "them, once, to see that it learns. Drawn at random where none are given.",
            optional=True,
        ),
    },
    outputs={
        "model": Out("CoreMLModel", "{Name}.mlpackage", "The model, as it was, ready to learn."),
        "report": Out("Report", "report.json", "What it learns from, and how the trial went."),
    },
    metrics={
        "size_mb": Metric("Size of the package.", unit="MB", better="min"),
        "specification_version": Metric("Core ML specification version.", better="none"),
        "trainable_weights": Metric("Numbers that change in training.", better="none"),
        "largest_difference": Metric(
            "How far its answers are from the source's, before it learnt.", better="min"
        ),
        "loss_before": Metric("Mean loss of the samples before the trial.", better="min"),
        "loss_after": Metric("Mean loss of the samples after it.", better="min"),
        "accuracy_before": Metric("Samples named rightly before the trial.", share=True),
        "accuracy_after": Metric("Samples named rightly after it.", share=True),
    },
    details=(
        "A torch classifier becomes a neural network whose last layers an app may train with "
        "`MLUpdateTask`; what Core ML's cross entropy asks for (a softmax layer of the old kind "
        "behind dense layers of four dimensions) is built here, for the converter's own last "
        "layers are refused on the device. Of scikit-learn: logistic regression (two classes, or "
        "multinomial), linear regression and its ridge, and neighbours (with the Euclidean "
        "distance), each with a StandardScaler or MinMaxScaler before it; they take one "
        "multi-array of all columns. Before it is written out, the model is trained by the "
        "reference runtime, on the samples given or drawn: the loss must fall, only the chosen "
        "layers may change, neighbours must be remembered, and its answers before that must be the "
        "source's within 1e-4. What is written is the model before that trial."
    ),
    example={"train": {"layers": 1}, "epochs": {"default": 10, "min": 1, "max": 50}},
)
