"""Parameters that kinds of networks on sequences and tables share. Read by their specs."""

from __future__ import annotations

from typing import Literal

from mlbuild.api import Field, Params


class LearningParams(Params):
    """How a network is trained and judged."""

    seed: int = Field(0, ge=0, description="Of every random choice.")
    epochs: int = Field(20, ge=1, le=1000, description="Passes over what is learnt, at most.")
    batch_size: int = Field(32, ge=1, le=4096, description="Examples a step.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adamw", description="What makes a step.")
    learning_rate: float = Field(0.003, gt=0, le=10, description="Highest one.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="Pull towards small weights.")
    schedule: Literal["cosine", "step", "constant"] = Field(
        "cosine", description="How the learning rate falls; `step` divides by 10 at 1/2 and 3/4."
    )
    warmup_epochs: float = Field(1.0, ge=0, description="While the learning rate rises.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Softens the targets.")
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="`balanced` counts each label the same, however many examples it has."
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="Before the last layer, while training.")
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop when the validation loss did not fall for so many epochs; the best "
        "epoch's weights are kept.",
    )
    validation_share: float = Field(
        0.1, gt=0, lt=0.9, description="For patience, where no `validation` input is given."
    )
    calibrate: bool = Field(
        True,
        description="Scale the scores so that they match how often they are right, on what "
        "patience watches.",
    )
    evaluate: Literal["auto", "holdout", "kfold", "test"] = Field(
        "auto",
        description="What the figures come from. `auto`: the `test` input, else a held-out part.",
    )
    holdout: float = Field(0.2, gt=0, lt=0.9, description="Share held out, stratified.")
    folds: int = Field(5, ge=2, le=50, description="Of kfold, stratified.")
    refit: bool = Field(
        True, description="Train once more on everything after judging; the figures stay."
    )
    samples: int = Field(
        48,
        ge=1,
        le=10000,
        description="How many of the judged examples to give out for validation.",
    )
