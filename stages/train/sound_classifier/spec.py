"""train/sound-classifier: from labelled recordings to a classifier of sound."""

import re
from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, field_validator, model_validator

from ..._shared.sequence_training.spec_learning import LearningParams


class Augment(Params):
    """Random changes of windows while training; 0 turns one off."""

    shift: float = Field(0.1, ge=0, lt=1, description="Moves by up to this share of a window.")
    gain_db: float = Field(6.0, ge=0, le=60, description="Louder or softer by up to this.")
    noise: float = Field(
        0.01, ge=0, le=1, description="White noise, up to this share of the loudest sample."
    )


class SoundParams(LearningParams):
    """How sound is heard, what is trained, and how it is judged."""

    sample_rate: int = Field(
        16000, ge=1000, le=192000, description="Samples a second; recordings are resampled to it."
    )
    window_seconds: float = Field(
        0.975, gt=0, le=60, description="Length of what the model hears at once."
    )
    overlap: float = Field(
        0.5, ge=0, lt=1, description="Share of a window that the next one of a recording repeats."
    )
    frame_seconds: float = Field(0.032, gt=0, le=1, description="Length of one Fourier transform.")
    hop_seconds: float = Field(0.016, gt=0, le=1, description="From one of them to the next.")
    bands: int = Field(40, ge=4, le=256, description="Mel bands.")
    low_hz: float = Field(50.0, ge=0, description="Where the lowest band begins.")
    high_hz: float | None = Field(
        None, gt=0, description="Where the highest one ends; default: half the sample rate."
    )
    channels: list[int] = Field(
        default_factory=lambda: [16, 32, 64],
        min_length=1,
        max_length=6,
        description="Width of each convolution; bands and frames are halved behind each.",
    )
    dense: int = Field(64, ge=1, le=4096, description="Width of the layer before the last.")
    group_pattern: str | None = Field(
        None,
        description="Regular expression on file names; what its parentheses hold (a speaker, a "
        "place) is never on both sides of a split: `_([a-z]+)_`.",
    )
    path_column: str = Field("path", description="Of a table: the file, relative to the table.")
    label_column: str = Field("label", description="Of a table: the label.")
    unreadable: Literal["skip", "fail"] = Field(
        "skip", description="Files that are no WAV: listed and left out, or an error."
    )
    augment: Augment = Field(default_factory=Augment, description="Random changes while training.")

    @field_validator("group_pattern")
    @classmethod
    def _pattern(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from error
        if groups != 1:
            raise ValueError(f"it needs one pair of parentheses, it has {groups}")
        return pattern

    @model_validator(mode="after")
    def _together(self) -> "SoundParams":
        if self.hop_seconds > self.frame_seconds:
            raise ValueError("hop_seconds: a hop longer than frame_seconds leaves sound unheard")
        if self.frame_seconds >= self.window_seconds:
            raise ValueError("frame_seconds: must be shorter than window_seconds")
        if self.high_hz is not None and self.high_hz > self.sample_rate / 2:
            raise ValueError(f"high_hz: {self.sample_rate} samples a second reach half of it")
        if any(not 1 <= c <= 2048 for c in self.channels):
            raise ValueError("channels: each must be 1 to 2048")
        if not self.refit and self.evaluate == "kfold":
            raise ValueError("refit: k folds leave k networks; the last one needs refit: true")
        return self


KIND = Kind(
    summary="Trains a sound classifier whose model takes plain samples.",
    toolchain="torch",
    params=SoundParams,
    inputs={
        "sounds": In("Folder | Table", "WAV files, a folder for each label, or a table."),
        "validation": In("Folder | Table", "For choosing: early stopping.", optional=True),
        "test": In("Folder | Table", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture, labels and input."),
        "report": Out("Report", "report.json", "Figures, mistakes, files that were left out."),
        "samples": Out("Folder", "samples", "Judged windows as the model takes them, for parity."),
    },
    metrics={
        "accuracy": Metric(
            "Share of recordings, not learnt, with the right answer (the mean of its windows).",
            share=True,
        ),
        "window_accuracy": Metric("Share of windows with the right answer.", share=True),
        "accuracy_spread": Metric("Standard deviation over folds, of windows.", better="min"),
        "log_loss": Metric("Mean of -log of the true label's score.", better="min"),
        "calibration_error": Metric("Expected calibration error, 15 bins.", better="min"),
        "precision.*": Metric("Share of right ones among those called so.", share=True),
        "recall.*": Metric("Share of a label that was found.", share=True),
        "recordings": Metric("Readable files.", better="none"),
        "windows": Metric("Windows of them.", better="none"),
        "seconds": Metric("Length of all recordings.", unit="s", better="none"),
        "unreadable": Metric("Files that were left out.", better="min"),
        "labels": Metric("Number of labels.", better="none"),
        "epochs": Metric("Epochs of the last training.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "WAV files of 8, 16, 24 and 32 bits and of floats, of any rate and number of channels, are "
        "read without further libraries. The log-mel front end is part of the model, as a "
        "convolution and a matrix product, and stays in float32 in a float16 package: an app hands "
        "over samples between -1 and 1 and nothing else, in the shape and under the name that "
        "Apple's Sound Analysis expects. A recording's answer is the mean of its windows' scores. "
        "Give `group_pattern` where one voice or place occurs in many files: without it the "
        "figures say how well known voices are understood. `samples` holds judged windows for "
        "`validate/parity`."
    ),
    example={"window_seconds": 0.975, "sample_rate": 16000},
)
