"""data/sort: files of a flat folder into a folder for each class."""

import re
from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, field_validator


class SortParams(Params):
    """How a file's name tells its class."""

    pattern: str = Field(
        r"^(?P<label>.+)_\d+\.\w+$",
        description="Regular expression on the file's name, with a group called `label`.",
    )
    unmatched: Literal["skip", "fail"] = Field(
        "skip", description="Files whose name does not match: left out and listed, or an error."
    )
    case: Literal["keep", "lower", "title"] = Field("keep", description="Of the label's letters.")
    rename: dict[str, str] = Field(
        default_factory=dict, description="Other names for labels; two may become one."
    )
    only: list[str] | None = Field(None, description="Labels to keep, after renaming.")
    least: int = Field(1, ge=1, description="Labels with fewer files are left out and listed.")

    @field_validator("pattern")
    @classmethod
    def _has_label(cls, pattern: str) -> str:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        if "label" not in compiled.groupindex:
            raise ValueError("the pattern needs a group called label: (?P<label>...)")
        return pattern


KIND = Kind(
    summary="Sorts the files of a folder into a folder for each class, by their names.",
    toolchain="torch",
    params=SortParams,
    inputs={"files": In("Folder", "Files in one folder or in any depth below it.")},
    outputs={
        "images": Out("ImageFolder", "images", "A folder for each label."),
        "report": Out("Report", "report.json", "Labels with counts, files that were left out."),
    },
    metrics={
        "files": Metric("Files that were sorted.", better="none"),
        "labels": Metric("Number of labels.", better="none"),
        "unmatched": Metric("Files that were left out.", better="min"),
    },
    details=(
        "Only the file's name is matched, not its folder. The Oxford-IIIT Pet archive names dogs "
        "in lower case (`beagle_10.jpg`) and cats with a capital (`Abyssinian_1.jpg`): "
        r"`^(?P<label>[a-z][a-z_]*)_\d+\.jpg$` takes the dogs alone. Hidden files are passed over."
    ),
    example={"pattern": r"^(?P<label>[a-z][a-z_]*)_\d+\.jpg$"},
)
