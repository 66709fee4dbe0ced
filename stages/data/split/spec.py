"""data/split: training, validation and test parts of a folder or table."""

import re
from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, field_validator, model_validator


class SplitParams(Params):
    """Which share goes where, and what must stay together."""

    validation: float = Field(0.15, ge=0, lt=1, description="Share of the validation part.")
    test: float = Field(0.15, ge=0, lt=1, description="Share of the test part.")
    method: Literal["sticky", "exact"] = Field(
        "sticky",
        description="`sticky`: each item's digest decides alone, so that it stays where it is when "
        "others come or go; shares are met on average. `exact`: shares are met in each class, "
        "and items may move when data grows.",
    )
    identity: Literal["content", "name"] = Field(
        "content", description="What an item is known by: its bytes (or table row), or its name."
    )
    stratify: bool = Field(True, description="With `exact`: meet the shares in each class.")
    group_column: str | None = Field(
        None, description="Of a table: rows with one value stay together, as `patient`."
    )
    group_pattern: str | None = Field(
        None,
        description="Regular expression on the name: files stay together that have the same group "
        "`group`, or the same match where there is none.",
    )
    path_column: str = Field(
        "path", description="Of a table: files to copy along, if there is one."
    )
    label_column: str = Field("label", description="Of a table: the class, if there is one.")
    seed: int = Field(0, ge=0, description="Another seed is another split.")

    @field_validator("group_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _leaves_something(self) -> "SplitParams":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together must leave something to train on")
        if self.validation + self.test == 0:
            raise ValueError("validation and test are both 0: there is nothing to split")
        if self.group_column and self.group_pattern:
            raise ValueError("group_column and group_pattern exclude each other")
        return self


KIND = Kind(
    summary="Splits a folder or table into training, validation and test parts.",
    toolchain="torch",
    params=SplitParams,
    inputs={"data": In("ImageFolder | Folder | Table", "What to split.")},
    outputs={
        "train": Out("ImageFolder", "train", "To learn from."),
        "validation": Out("ImageFolder", "validation", "To choose with; empty if its share is 0."),
        "test": Out("ImageFolder", "test", "To judge with; empty if its share is 0."),
        "report": Out("Report", "report.json", "Counts by part and label."),
    },
    metrics={
        "train": Metric("Items to learn from.", better="none"),
        "validation": Metric("Items to choose with.", better="none"),
        "test": Metric("Items to judge with.", better="none"),
        "groups": Metric("Groups, or items where nothing is grouped.", better="none"),
    },
    details=(
        "Parts keep the folder's layout. A table's parts are folders that hold `labels.csv` with "
        "their rows and the files of its path column, which every kind reads as it reads the table "
        "itself. With `sticky`, identical files always share a part, and a test item of today is a "
        "test item for ever, however the data grows; classes without a test item are told."
    ),
    example={"validation": 0.0, "test": 0.2},
)
