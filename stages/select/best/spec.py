"""select/best: one variant out of a matrix."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator


class Limit(Params):
    """What a metric must keep to."""

    min: float | None = Field(None, description="At least this.")
    max: float | None = Field(None, description="At most this.")

    @model_validator(mode="after")
    def _holds_something(self) -> "Limit":
        if self.min is None and self.max is None:
            raise ValueError("a limit needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class BestParams(Params):
    """What makes a candidate the best."""

    by: str = Field(
        "size_mb",
        description="`size_mb`, measured on the model, or a number of the reports; one inside "
        "another is written with a dot, `top1.value`.",
    )
    mode: Literal["min", "max", "auto"] = Field(
        "auto",
        description="Smallest or largest; `auto` takes the smallest of sizes, errors, losses, "
        "divergences and times, and the largest of everything else.",
    )
    where: dict[str, Limit] = Field(
        default_factory=dict,
        description="Limits that a candidate must keep: `{psnr_db: {min: 40}}`.",
    )
    name: str | None = Field(
        None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="The package's name, without suffix."
    )


KIND = Kind(
    summary="Chooses one model of several, by a metric and within limits.",
    toolchain="torch",
    params=BestParams,
    inputs={
        "models": In("CoreMLModel", "The candidates: `{all: quantize.model}`.", many=True),
        "reports": In(
            "Report",
            "What is known of them: `{all: validate.report}`, by the same axes.",
            optional=True,
            many=True,
        ),
    },
    outputs={
        "model": Out("CoreMLModel", "{Name}.mlpackage", "The chosen one, unchanged."),
        "report": Out("Report", "report.json", "All candidates with their figures."),
    },
    metrics={
        "size_mb": Metric("Size of the chosen model.", unit="MB", better="min"),
        "candidates": Metric("Candidates that were within the limits.", better="none"),
        "chosen": Metric("Place of the chosen one in the list, from 0.", better="none"),
        "by": Metric("The metric's value of the chosen one.", better="none"),
    },
    plots=True,
    details=(
        "Models and reports are paired by their matrix axes, or by order where they have none. A "
        "model without a report is out when reports are given: its validation was excluded. Of "
        "equal candidates the smaller one wins, then the one that stands first. It is an error "
        "when no candidate keeps the limits."
    ),
    example={"by": "size_mb", "where": {"psnr_db": {"min": 40}}},
)
