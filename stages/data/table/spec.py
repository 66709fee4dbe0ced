"""data/table: a table as the kinds that learn from tables like it."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.tables.spec_parameters import ReadingParams


class TableParams(ReadingParams):
    """What is read, renamed, kept."""

    combine: Literal["columns", "rows"] = Field(
        "columns",
        description="How the tables of `more` join the first: side by side, row by row, or below "
        "it, column by column of the same name.",
    )
    rename: dict[str, str] = Field(default_factory=dict, description="New names of columns.")
    values: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description='Texts to put for others, by column: `{species: {"0": setosa}}`.',
    )
    include: list[str] | None = Field(
        None, min_length=1, description="Columns to keep, names or patterns, in this order."
    )
    exclude: list[str] = Field(
        default_factory=list, description="Columns to leave out, names or patterns."
    )
    require: list[str] = Field(
        default_factory=list, description="Rows without a value in these columns are left out."
    )
    where: dict[str, list[str]] = Field(
        default_factory=dict, description="Rows whose value is none of these are left out."
    )
    limit: int | None = Field(
        None, ge=1, description="Keep at most so many rows, chosen at random, in their order."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of that choice.")

    @model_validator(mode="after")
    def _together(self) -> "TableParams":
        names = list(self.rename.values())
        for name in names:
            if not name.strip() or names.count(name) > 1:
                raise ValueError(f"rename: '{name}' is no name, or that of two columns")
        for name, values in self.where.items():
            if not values:
                raise ValueError(f"where: '{name}' has no values, so no row would be left")
        return self


KIND = Kind(
    summary="Reads tables and writes one: names, choice of columns and rows, values replaced.",
    toolchain="classical",
    params=TableParams,
    inputs={
        "table": In("Table | Folder", "CSV, TSV or Parquet, plain or gzipped."),
        "more": In("Table | Folder", "Tables that join it.", optional=True, many=True),
    },
    outputs={
        "table": Out("Table", "table.csv", "CSV with a header line."),
        "report": Out("Report", "report.json", "What each column holds."),
    },
    metrics={
        "rows": Metric("Rows of the result.", better="none"),
        "columns": Metric("Columns of the result.", better="none"),
        "left_out": Metric("Rows that `require` and `where` left out.", better="none"),
    },
    details=(
        "For files that are not laid out as a header line with a row for each sample below: those "
        "without names, with a line of counts in front, with target and features in two files, "
        "with codes for labels. `rename` comes first; all else goes by the new names. Text stays "
        "as it was written. The report tells of each column whether it holds numbers, how many "
        "gaps, and which values. `data/split` splits the result."
    ),
    example={"skip": 1, "header": ["length", "width", "species"]},
)
