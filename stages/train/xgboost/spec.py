"""train/xgboost: gradient boosted trees, or a boosted linear model, learnt from a table."""

from typing import Any, Literal

from mlbuild.api import Field, In, Kind, Out, model_validator

from ..._shared.tabular.spec_boosting import BoostingParams, check_boosting
from ..._shared.tabular.spec_metrics import BOOSTING, CLASSIFICATION, COMMON, REGRESSION

_CLASSIFIERS = ("binary:logistic", "multi:softprob")
_OWN = {
    "objective", "booster", "eta", "learning_rate", "max_depth", "min_child_weight", "gamma",
    "subsample", "colsample_bytree", "lambda", "reg_lambda", "alpha", "reg_alpha", "max_leaves",
    "grow_policy", "tree_method", "base_score", "scale_pos_weight", "seed", "nthread", "num_class",
    "eval_metric", "monotone_constraints", "max_bin",
}  # fmt: skip


class XGBoostParams(BoostingParams):
    """What is boosted, for how long, and how strongly it is held back."""

    objective: Literal[
        "auto",
        "binary:logistic",
        "multi:softprob",
        "reg:squarederror",
        "reg:absoluteerror",
        "reg:pseudohubererror",
        "reg:squaredlogerror",
        "reg:logistic",
        "reg:gamma",
        "reg:tweedie",
        "count:poisson",
    ] = Field(
        "auto",
        description="What is minimized. `auto`: logistic of two labels, softprob of more, the "
        "squared error of numbers.",
    )
    booster: Literal["gbtree", "dart", "gblinear"] = Field(
        "gbtree", description="Trees, trees with dropout, or a linear model."
    )
    learning_rate: float = Field(0.3, gt=0, le=1, description="How much of each tree counts.")
    max_depth: int = Field(6, ge=0, le=64, description="Of a tree; 0: only max_leaves limits it.")
    max_leaves: int = Field(0, ge=0, description="Of a tree; 0: any number.")
    grow_policy: Literal["depthwise", "lossguide"] = Field(
        "depthwise", description="Which leaf is split next; `hist` and `approx` alone know both."
    )
    min_child_weight: float = Field(1.0, ge=0, description="Least weight of a leaf's rows.")
    gamma: float = Field(0.0, ge=0, description="Least gain of a split.")
    reg_lambda: float = Field(1.0, ge=0, description="Squared penalty of leaves.")
    tree_method: Literal["exact", "approx", "hist"] = Field(
        "hist", description="How splits are found."
    )
    max_bin: int = Field(256, ge=2, description="Bins of a feature, of hist and approx.")
    base_score: float | None = Field(
        None,
        description="What is said before the first tree. Default: the mean of the target for "
        "numbers, else 0.5. It stands in the model, and a conversion must honour it.",
    )
    scale_pos_weight: float = Field(
        1.0, gt=0, description="Of two labels: weight of the second one's rows."
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="More of XGBoost's parameters, by its names."
    )

    @model_validator(mode="after")
    def _together(self) -> "XGBoostParams":
        check_boosting(self, _CLASSIFIERS, _OWN)
        if self.booster == "gblinear" and self.early_stopping:
            raise ValueError("early_stopping: a linear model has no trees to leave out")
        if self.booster == "dart" and self.early_stopping:
            raise ValueError("early_stopping: dart changes earlier trees, none is best before")
        if self.booster == "gblinear" and self.monotone:
            raise ValueError("monotone: is for trees")
        if self.booster == "gblinear" and self.categories == "native":
            raise ValueError("categories: native is for trees")
        if self.categories == "native" and self.tree_method == "exact":
            raise ValueError("tree_method: exact cannot take categories: native")
        if self.grow_policy == "lossguide" and self.tree_method == "exact":
            raise ValueError("grow_policy: exact grows by depth alone")
        if not self.max_depth and not self.max_leaves:
            raise ValueError("max_depth: 0 needs max_leaves")
        if not self.max_depth and self.tree_method == "exact":
            raise ValueError("max_depth: exact needs at least 1")
        return self


KIND = Kind(
    summary="Trains gradient boosted trees with XGBoost on a table.",
    toolchain="classical",
    params=XGBoostParams,
    inputs={
        "table": In("Table | Folder", "CSV, TSV or Parquet: a row a sample, a column a feature."),
        "validation": In("Table | Folder", "For early stopping.", optional=True),
        "test": In("Table | Folder", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("XGBoostModel", "model.json", "The booster, with a description of itself."),
        "report": Out("Report", "report.json", "Figures, mistakes, importance of features."),
    },
    metrics={**COMMON, **CLASSIFICATION, **REGRESSION, **BOOSTING},
    plots=True,
    details=(
        "Figures come from rows that were neither learnt nor watched: k folds, a held-out part, or "
        "the `test` input; then all rows are learnt. The model is XGBoost's own JSON; columns, "
        "labels, how columns become features and `base_score` stand in its attribute "
        "`mlbuild.description`. After early stopping only the rounds up to the best one are kept. "
        "`missing: keep` leaves gaps to the trees, which learn where such rows go."
    ),
    example={"target": "species", "rounds": 50, "max_depth": 4},
)
