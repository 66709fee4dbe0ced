"""Parameters that kinds of boosted trees share, and what they refuse. Read by their specs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from mlbuild.api import Field

from ..tables.spec_parameters import JudgingParams


class BoostingParams(JudgingParams):
    """What is boosted, for how long, and when it stops."""

    task: Literal["classification", "regression"] = Field(
        "classification", description="What the target holds: labels, or numbers."
    )
    rounds: int = Field(100, ge=1, le=100_000, description="Trees (of each label), at most.")
    subsample: float = Field(1.0, gt=0, le=1, description="Share of rows that each tree sees.")
    colsample: float = Field(1.0, gt=0, le=1, description="Share of features of each tree.")
    reg_alpha: float = Field(0.0, ge=0, description="Absolute penalty of leaves.")
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="`balanced` counts each label the same, however many rows it has."
    )
    monotone: dict[str, Literal[-1, 0, 1]] = Field(
        default_factory=dict,
        description="Columns of numbers that may only raise (1) or lower (-1) what is said.",
    )
    early_stopping: int | None = Field(
        None,
        ge=1,
        description="Stop when the loss on rows that are watched did not fall for so many rounds; "
        "the rounds up to the best one are kept.",
    )
    validation_share: float = Field(
        0.15, gt=0, lt=0.9, description="Watched, where no `validation` input is given."
    )


def check_boosting(params: Any, classifiers: Collection[str], own: Collection[str]) -> None:
    """What no boosted trees can be.

    Args:
        params: of the kind, with ``objective`` and ``params``.
        classifiers: objectives that are for labels.
        own: names of the library that the kind's own parameters stand for.

    Raises:
        ValueError: the target is missing, the objective is for another task, and the like.
    """
    if params.target is None:
        raise ValueError("target: which column is learnt must be said")
    classifier = params.objective in classifiers
    if params.objective != "auto" and classifier != (params.task == "classification"):
        raise ValueError(f"objective: {params.objective} is not for {params.task}")
    if params.class_weight == "balanced" and params.task == "regression":
        raise ValueError("class_weight: numbers have no classes")
    taken = sorted(set(own) & set(params.params))
    if taken:
        raise ValueError(f"params: '{taken[0]}' is a parameter of this kind, or follows one")
