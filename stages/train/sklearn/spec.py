"""train/sklearn: any estimator of scikit-learn, learnt from a table."""

from typing import Any, Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator

from ..._shared.tables.spec_parameters import JudgingParams
from ..._shared.tabular.spec_metrics import (
    ANOMALY,
    CLASSIFICATION,
    CLUSTERING,
    COMMON,
    REGRESSION,
    TRANSFORM,
)


class Step(Params):
    """An estimator of scikit-learn with its parameters."""

    use: str = Field(..., description="Name of the class: `StandardScaler`.")
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Its parameters; an estimator as a value is `{use: ..., params: ...}`.",
    )
    name: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_]*$",
        description="What `search` calls it; default: the class in small letters.",
    )


class Branch(Params):
    """Steps for some of the columns."""

    columns: Literal["number", "category"] | list[str] = Field(
        ..., description="All of a type, or names and patterns."
    )
    steps: list[str | Step] = Field(..., min_length=1, description="What is done to them.")


class SklearnParams(JudgingParams):
    """Which estimator learns what."""

    estimator: str = Field(..., description="Name of the class: `RandomForestClassifier`.")
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Its parameters; an estimator as a value is `{use: ..., params: ...}`.",
    )
    steps: list[str | Step] = Field(
        default_factory=list,
        description="What rows go through before: scalers, decompositions, selections; a class or "
        "`{use: PCA, params: {n_components: 2}}`.",
    )
    transform: list[Branch] | None = Field(
        None,
        min_length=1,
        description="Steps for some of the columns each, in place of what `missing` and "
        "`categories` would do; their results stand side by side.",
    )
    remainder: Literal["drop", "passthrough"] = Field(
        "drop", description="Columns that no branch of `transform` takes."
    )
    task: Literal["auto", "classification", "regression", "clustering", "anomaly", "transform"] = (
        Field(
            "auto",
            description="What the model is for; an estimator that can do two things, as KMeans, "
            "does the first of them.",
        )
    )
    anomalous: list[str] = Field(
        default_factory=list,
        description="Labels of the target that mean an anomaly; for the figures, not learnt.",
    )
    search: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="Parameters to choose from, all combinations: `{C: [0.1, 1, 10]}`, of a step "
        "`{pca__n_components: [2, 3]}`. Chosen inside the learnt rows, never by those asked.",
    )
    search_folds: int = Field(5, ge=2, le=50, description="Of the search.")
    scoring: str | None = Field(
        None,
        description="What the search looks for, by scikit-learn's name; default: log-loss "
        "(accuracy without probabilities), of numbers the mean square error.",
    )

    @model_validator(mode="after")
    def _together(self) -> "SklearnParams":
        if self.anomalous and self.target is None:
            raise ValueError("anomalous: labels of a target, and there is no target")
        if self.scoring is not None and not self.search:
            raise ValueError("scoring: is for a search, and there is none")
        for name, values in self.search.items():
            if not values:
                raise ValueError(f"search: '{name}' has no values to choose from")
            if "__" not in name and name in self.params:
                raise ValueError(f"search: '{name}' stands in params too")
        if self.transform is not None and self.missing not in ("error", "keep"):
            raise ValueError(
                f"missing: {self.missing} is done by `transform`, with a SimpleImputer; "
                "say missing: keep"
            )
        if self.transform is None and self.remainder != "drop":
            raise ValueError("remainder: there is no transform")
        names = [s.name for s in self.steps if isinstance(s, Step) and s.name]
        for name in names:
            if names.count(name) > 1 or name in ("columns", "estimator"):
                raise ValueError(f"steps: '{name}' is the name of another step")
        return self


KIND = Kind(
    summary="Trains an estimator of scikit-learn on a table.",
    toolchain="classical",
    params=SklearnParams,
    inputs={
        "table": In("Table | Folder", "CSV, TSV or Parquet: a row a sample, a column a feature."),
        "test": In("Table | Folder", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("SklearnModel", "model.joblib", "The fitted estimator and its columns."),
        "report": Out("Report", "report.json", "Figures, mistakes, what was searched."),
    },
    metrics={
        **COMMON,
        **CLASSIFICATION,
        **REGRESSION,
        **ANOMALY,
        **CLUSTERING,
        **TRANSFORM,
        "roc_auc": Metric(
            "Area under the ROC curve: of labels (of more than two the mean, one against the "
            "rest), or of anomaly scores where the truth is known."
        ),
        "search_score": Metric("The best mean score of the search."),
    },
    plots=True,
    details=(
        "Every class of scikit-learn that can be asked about new rows: classifiers, regressors, "
        "clusterers, detectors of anomalies, and transformers as a model of their own (reduction "
        "of dimensions, scaling). Names of classes and parameters are checked before anything is "
        "learnt. Figures of classifiers and regressors come from rows that were neither learnt nor "
        "used to choose a parameter: k folds, a held-out part, or the `test` input; the model is "
        "then learnt from all rows. Every random choice follows `seed`, so that equal inputs give "
        "equal bytes. The file is read by joblib, which executes what it holds: only a stage "
        "reads it, and only from a stage of the same pipeline or with `trust: true`. Clusterers "
        "without `predict` (DBSCAN), embeddings without `transform` (TSNE) and `GridSearchCV` "
        "(see `search`) are refused. `docs/tables.md` tells the format."
    ),
    example={"target": "species", "estimator": "RandomForestClassifier"},
)
