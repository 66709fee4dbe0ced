"""train/libsvm: support vector machines of LIBSVM, learnt from a table."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.tables.spec_parameters import JudgingParams
from ..._shared.tabular.spec_metrics import ANOMALY, CLASSIFICATION, COMMON, REGRESSION

_TASKS = {
    "c-svc": "classification",
    "nu-svc": "classification",
    "one-class": "anomaly",
    "epsilon-svr": "regression",
    "nu-svr": "regression",
}


class LibsvmParams(JudgingParams):
    """Which machine, which kernel."""

    type: Literal["c-svc", "nu-svc", "one-class", "epsilon-svr", "nu-svr"] = Field(
        "c-svc", description="Classifiers, a detector of anomalies, regressors."
    )
    kernel: Literal["linear", "polynomial", "rbf", "sigmoid"] = Field(
        "rbf", description="How alike two rows are."
    )
    c: float = Field(1.0, gt=0, description="Cost of a row on the wrong side (not of nu-svc).")
    nu: float = Field(
        0.5, gt=0, le=1, description="Of nu-svc, nu-svr, one-class: share of rows on the margin."
    )
    epsilon: float = Field(0.1, ge=0, description="Of epsilon-svr: errors that cost nothing.")
    gamma: float | None = Field(
        None, gt=0, description="Of all kernels but linear; default: 1 / number of features."
    )
    degree: int = Field(3, ge=1, le=20, description="Of the polynomial kernel.")
    coef0: float = Field(0.0, description="Of the polynomial and sigmoid kernels.")
    probability: bool = Field(
        True, description="Whether a classifier gives probabilities (Platt), not labels alone."
    )
    scale: Literal["none", "standard", "minmax", "symmetric"] = Field(
        "standard",
        description="Numbers before the kernel: mean 0 and deviation 1, 0 to 1, or -1 to 1. It "
        "stands in the model's description, and a conversion puts it into the model.",
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="Of c-svc: `balanced` counts each label the same."
    )
    tolerance: float = Field(0.001, gt=0, description="When the solver stops.")
    shrinking: bool = Field(True, description="A heuristic of the solver.")
    cache_mb: float = Field(100.0, gt=0, description="Memory for the kernel's values.")
    anomalous: list[str] = Field(
        default_factory=list,
        description="Of one-class: labels of the target that mean an anomaly; for the figures.",
    )
    search: dict[Literal["c", "gamma", "nu", "epsilon"], list[float]] = Field(
        default_factory=dict,
        description="Values to choose from, all combinations: `{c: [1, 10], gamma: [0.01, 0.1]}`. "
        "Chosen inside the learnt rows, never by those asked.",
    )
    search_folds: int = Field(5, ge=2, le=50, description="Of the search.")

    @property
    def task(self) -> str:
        """What the machine is for."""
        return _TASKS[self.type]

    @model_validator(mode="after")
    def _together(self) -> "LibsvmParams":
        if self.task != "anomaly" and self.target is None:
            raise ValueError("target: which column is learnt must be said")
        if self.class_weight == "balanced" and self.type != "c-svc":
            raise ValueError("class_weight: is for c-svc")
        if self.anomalous and self.type != "one-class":
            raise ValueError("anomalous: is for one-class")
        if self.anomalous and self.target is None:
            raise ValueError("anomalous: labels of a target, and there is no target")
        if self.categories == "native":
            raise ValueError("categories: a kernel knows numbers alone, choose one-hot or ordinal")
        if self.missing == "keep":
            raise ValueError("missing: a kernel has no way to leave gaps")
        if self.weight is not None:
            raise ValueError("weight: LIBSVM takes no weights of rows")
        if self.search and self.task == "anomaly":
            raise ValueError("search: there is no score for one-class to choose by")
        for name, values in self.search.items():
            if not values or min(values) <= 0:
                raise ValueError(f"search: '{name}' needs values, all above 0")
            if name == "nu" and max(values) > 1:
                raise ValueError("search: nu is at most 1")
        return self


KIND = Kind(
    summary="Trains a support vector machine with LIBSVM on a table.",
    toolchain="classical",
    params=LibsvmParams,
    inputs={
        "table": In("Table | Folder", "CSV, TSV or Parquet: a row a sample, a column a feature."),
        "test": In("Table | Folder", "For the figures; never learnt.", optional=True),
    },
    outputs={
        "model": Out("LibsvmModel", "model.libsvm", "LIBSVM's text, and a description of itself."),
        "report": Out("Report", "report.json", "Figures, mistakes, what was searched."),
    },
    metrics={
        **COMMON,
        **CLASSIFICATION,
        **REGRESSION,
        **ANOMALY,
        "roc_auc": Metric(
            "Area under the ROC curve: of labels (of more than two the mean, one against the "
            "rest), or of anomaly scores where the truth is known."
        ),
        "support_vectors": Metric("Rows that the model keeps.", better="min"),
        "search_score": Metric("The best score of the search: accuracy, or minus the rmse."),
    },
    plots=True,
    details=(
        "Figures come from rows that were neither learnt nor used to choose a parameter: k folds, "
        "a held-out part, or the `test` input; then all rows are learnt. The model is LIBSVM's own "
        "text with labels 0, 1, ...; what they mean, the columns, and how columns are scaled and "
        "become features stand in a last line, `# mlbuild.description`, which LIBSVM does not read."
    ),
    example={"target": "species", "kernel": "rbf", "c": 10},
)
