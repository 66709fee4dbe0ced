"""train/lightgbm: gradient boosted trees that grow leaf by leaf, learnt from a table."""

from typing import Any, Literal

from mlbuild.api import Field, In, Kind, Out, model_validator

from ..._shared.tabular.spec_boosting import BoostingParams, check_boosting
from ..._shared.tabular.spec_metrics import BOOSTING, CLASSIFICATION, COMMON, REGRESSION

_OWN = {
    "objective", "boosting", "boosting_type", "learning_rate", "num_leaves", "max_depth",
    "min_data_in_leaf", "min_child_samples", "lambda_l1", "lambda_l2", "reg_alpha", "reg_lambda",
    "bagging_fraction", "subsample", "bagging_freq", "subsample_freq", "feature_fraction",
    "colsample_bytree", "seed", "random_state", "num_threads", "n_jobs", "num_class",
    "deterministic", "max_bin", "metric", "num_iterations", "early_stopping_round",
    "monotone_constraints", "categorical_feature", "is_unbalance",
}  # fmt: skip
_CLASSIFIERS = ("binary", "multiclass", "multiclassova")


class LightGBMParams(BoostingParams):
    """What is boosted, for how long, and how strongly it is held back."""

    objective: Literal[
        "auto",
        "binary",
        "multiclass",
        "multiclassova",
        "regression",
        "regression_l1",
        "huber",
        "fair",
        "poisson",
        "quantile",
        "gamma",
        "tweedie",
    ] = Field(
        "auto",
        description="What is minimized. `auto`: binary of two labels, multiclass of more, the "
        "squared error of numbers.",
    )
    boosting: Literal["gbdt", "rf", "dart"] = Field(
        "gbdt", description="Boosted trees, a random forest, or trees with dropout."
    )
    learning_rate: float = Field(0.1, gt=0, le=1, description="How much of each tree counts.")
    num_leaves: int = Field(31, ge=2, le=131_072, description="Leaves of a tree, at most.")
    max_depth: int = Field(-1, ge=-1, le=64, description="Of a tree; -1: only num_leaves limits.")
    min_rows: int = Field(20, ge=1, description="Rows of a leaf, at least.")
    max_bin: int = Field(255, ge=2, description="Bins of a feature.")
    reg_lambda: float = Field(0.0, ge=0, description="Squared penalty of leaves.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="More of LightGBM's parameters, by its names."
    )

    @model_validator(mode="after")
    def _together(self) -> "LightGBMParams":
        check_boosting(self, _CLASSIFIERS, _OWN)
        if self.boosting == "rf" and self.subsample == 1:
            raise ValueError("boosting: rf needs subsample below 1, or all its trees are equal")
        if self.boosting == "dart" and self.early_stopping:
            raise ValueError("early_stopping: dart changes earlier trees, none is best before")
        return self


KIND = Kind(
    summary="Trains gradient boosted trees with LightGBM on a table.",
    toolchain="classical",
    params=LightGBMParams,
    inputs={
        "table": In("Table | Folder", "CSV, TSV or Parquet: a row a sample, a column a feature."),
        "validation": In("Table | Folder", "For early stopping.", optional=True),
        "test": In("Table | Folder", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("LightGBMModel", "model.txt", "The booster, with a description of itself."),
        "report": Out("Report", "report.json", "Figures, mistakes, importance of features."),
    },
    metrics={**COMMON, **CLASSIFICATION, **REGRESSION, **BOOSTING},
    plots=True,
    details=(
        "Figures come from rows that were neither learnt nor watched: k folds, a held-out part, or "
        "the `test` input; then all rows are learnt. The model is LightGBM's own text; columns, "
        "labels and how columns become features stand in a line of its header, "
        "`mlbuild_description=`, which LightGBM passes over. After early stopping only the rounds "
        "up to the best one are kept. `missing: keep` leaves gaps to the trees."
    ),
    example={"target": "species", "rounds": 50, "num_leaves": 15},
)
