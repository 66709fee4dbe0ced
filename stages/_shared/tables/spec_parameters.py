"""Parameters that kinds of tables share. Read by their specs, in the engine."""

from __future__ import annotations

from typing import Literal

from mlbuild.api import Field, Params, field_validator, model_validator


class ReadingParams(Params):
    """How a file is laid out."""

    header: list[str] | None = Field(
        None,
        min_length=1,
        description="Names of all columns, of a text file without a header line.",
    )
    skip: int = Field(
        0, ge=0, description="Lines left out at the top, as one that does not name the columns."
    )
    delimiter: Literal["auto", "comma", "semicolon", "tab", "pipe", "space"] = Field(
        "auto", description="Between values; `space`: any run of blanks."
    )
    decimal: Literal[".", ","] = Field(".", description="Decimal point of numbers in text.")
    missing_values: list[str] = Field(
        default_factory=lambda: ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"],
        description="Texts that mean that there is no value.",
    )

    @field_validator("header")
    @classmethod
    def _names_differ(cls, header: list[str] | None) -> list[str] | None:
        for name in header or ():
            if not name.strip():
                raise ValueError("header: a column has no name")
            if (header or []).count(name) > 1:
                raise ValueError(f"header: two columns are called '{name}'")
        return header


class ColumnParams(ReadingParams):
    """Which columns are learnt from, and what becomes of gaps and of text."""

    include: list[str] | None = Field(
        None,
        min_length=1,
        description="Columns to learn from, names or patterns (`petal*`), in this order; "
        "default: all but target, weight and group.",
    )
    exclude: list[str] = Field(
        default_factory=list, description="Columns to leave out, names or patterns."
    )
    types: dict[str, Literal["number", "category"]] = Field(
        default_factory=dict,
        description="Types of columns; default: number where every value is one.",
    )
    missing: Literal["error", "mean", "median", "most-frequent", "keep"] = Field(
        "error",
        description="Gaps: an error, filled with what the learnt rows have (a category with the "
        "most frequent one), or kept for a learner that can.",
    )
    categories: Literal["one-hot", "ordinal", "native"] = Field(
        "one-hot",
        description="Text: a feature for each category, its number in the sorted list, or that "
        "number with the learner told that it is no quantity.",
    )
    unknown: Literal["error", "ignore"] = Field(
        "error", description="A category that was not in the training table, in another one."
    )
    max_categories: int = Field(
        100, ge=2, description="A column of text with more of them is refused: names, free text."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of every random choice.")

    @model_validator(mode="after")
    def _chosen(self) -> ColumnParams:
        for name in self.types:
            if name in self.exclude:
                raise ValueError(f"types: '{name}' is excluded")
        return self


class JudgingParams(ColumnParams):
    """What is learnt, and on which rows it is judged."""

    target: str | None = Field(None, min_length=1, description="The column that is learnt.")
    weight: str | None = Field(None, min_length=1, description="The column of row weights.")
    group: str | None = Field(
        None,
        min_length=1,
        description="A column whose equal values stay on one side of every split, as `patient`.",
    )
    evaluate: Literal["auto", "kfold", "holdout", "test", "training"] = Field(
        "auto",
        description="Rows that the figures come from. `auto`: the `test` input, else k folds; "
        "without a target: the training rows.",
    )
    folds: int = Field(5, ge=2, le=100, description="Of kfold; stratified by label.")
    holdout: float = Field(0.2, gt=0, lt=1, description="Share held out, stratified by label.")

    @model_validator(mode="after")
    def _roles_differ(self) -> JudgingParams:
        roles = {"target": self.target, "weight": self.weight, "group": self.group}
        given = [name for name in roles.values() if name is not None]
        for role, name in roles.items():
            if name is not None and given.count(name) > 1:
                raise ValueError(f"{role}: '{name}' has two roles")
            if name is not None and name in (self.include or ()):
                raise ValueError(f"include: '{name}' is the {role}")
        return self
