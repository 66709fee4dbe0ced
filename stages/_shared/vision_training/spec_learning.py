"""Parameters that kinds trained on pictures share. Read by their specs."""

from __future__ import annotations

from typing import Literal

from mlbuild.api import Field, Params, model_validator


class Colours(Params):
    """Random changes of a picture's colours."""

    brightness: float = Field(0.15, ge=0, lt=1, description="Factor 1 plus or minus this.")
    contrast: float = Field(0.15, ge=0, lt=1, description="Factor 1 plus or minus this.")
    saturation: float = Field(0.15, ge=0, lt=1, description="Factor 1 plus or minus this.")


class Moves(Params):
    """Random changes of where things stand in a picture."""

    flip: bool = Field(True, description="Mirror left and right; not for digits and text.")
    rotate: float = Field(10.0, ge=0, le=180, description="Degrees, either way.")
    zoom: float = Field(0.15, ge=0, lt=1, description="Size changes by up to this share.")
    shift: float = Field(0.08, ge=0, lt=1, description="Moves by up to this share of a side.")


class Augment(Colours, Moves):
    """Random changes of training pictures; 0 or false turns one off."""


class Stepping(Params):
    """How the optimizer goes, step by step."""

    batch_size: int = Field(32, ge=1, le=4096, description="Pictures a step.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adamw", description="What makes a step.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of sgd.")
    weight_decay: float = Field(0.0001, ge=0, le=1, description="Pull towards small weights.")
    schedule: Literal["cosine", "step", "constant"] = Field(
        "cosine", description="How the learning rate falls; `step` divides by 10 at 1/2 and 3/4."
    )
    warmup_epochs: float = Field(1.0, ge=0, description="While the learning rate rises.")
    seed: int = Field(0, ge=0, description="Of every random choice.")


class Listing(Params):
    """Which pictures there are, and what is done with files that are none."""

    unreadable: Literal["skip", "fail"] = Field(
        "skip", description="Files that are no picture: listed and left out, or an error."
    )
    path_column: str = Field("path", description="Of a table: the file, relative to the table.")
    label_column: str = Field("label", description="Of a table: the class.")


class ClassifierParams(Listing, Stepping):
    """How a classifier of pictures is trained and judged, in whatever framework."""

    resize: Literal["crop", "squash", "pad"] = Field(
        "crop", description="How a picture of other proportions becomes a square."
    )
    crop: float = Field(
        1.0, gt=0, le=1, description="Share of the shorter side that the central crop keeps."
    )
    interpolation: Literal["bilinear", "bicubic", "lanczos", "nearest"] = Field(
        "bicubic", description="How pixels are resampled."
    )
    calibrate: bool = Field(
        True, description="Scale the head so that scores match how often it is right."
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="`balanced` counts each class the same, however many pictures it has."
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="Before the last layer, while training.")
    epochs: int = Field(12, ge=1, le=1000, description="From scratch and for fine-tuning.")
    learning_rate: float | None = Field(
        None, gt=0, le=10, description="Highest one; default: 0.003, fine-tuning 0.0003."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Softens the targets.")
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop when the validation loss did not fall for so many epochs; the best "
        "epoch's weights are kept.",
    )
    validation_share: float = Field(
        0.1, gt=0, lt=0.9, description="For patience, where no `validation` input is given."
    )
    evaluate: Literal["auto", "kfold", "holdout", "test"] = Field(
        "auto",
        description="What the figures come from. `auto`: the `test` input, else k folds for frozen "
        "features, else a held-out part.",
    )
    folds: int = Field(5, ge=2, le=50, description="Of kfold, stratified.")
    holdout: float = Field(0.2, gt=0, lt=0.9, description="Share held out, stratified.")
    refit: bool = Field(
        True, description="Train once more on everything after judging; the figures stay."
    )

    @model_validator(mode="after")
    def _judged(self) -> ClassifierParams:
        if not self.refit and self.evaluate == "kfold":
            raise ValueError("refit: k folds leave k networks; the last one needs refit: true")
        return self
