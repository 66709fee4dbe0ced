"""The classes of scikit-learn by name, and estimators built from names and parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from sklearn import gaussian_process
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import all_estimators

from ..._shared.problem.problem import Problem
from ..._shared.tables.words import nearest, suggestion

_SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")
_PARTS = ("Pipeline", "ColumnTransformer", "FeatureUnion")
_TASKS = {
    "clusterer": "clustering",
    "DensityEstimator": "clustering",
    "outlier_detector": "anomaly",
}


@functools.lru_cache(maxsize=1)
def classes() -> dict[str, type]:
    """Every estimator, and the kernels of Gaussian processes."""
    kernels = {
        name: value
        for name, value in vars(gaussian_process.kernels).items()
        if isinstance(value, type) and issubclass(value, gaussian_process.kernels.Kernel)
    }
    return {**kernels, **dict(all_estimators())}


def build(name: str, params: Mapping[str, Any], where: str) -> Any:
    """An unfitted estimator.

    Args:
        name: of the class.
        params: as the pipeline file has them.
        where: for messages: "estimator", "steps[1]".

    Raises:
        Problem: there is no such class, or it has no such parameter.
    """
    if name not in classes():
        close = nearest(name, classes())
        hint = f"did you mean '{close}'?" if close else "names are those of scikit-learn's classes"
        raise Problem(f"{where}: scikit-learn has no estimator '{name}'", hint=hint)
    if name in _SEARCHES:
        raise Problem(
            f"{where}: {name} keeps the times of its fits, so that no two models are equal",
            hint="name the estimator itself, and the parameters to choose from under `search`",
        )
    if name in _PARTS:
        raise Problem(f"{where}: a {name} is what `steps` and `transform` are for")
    kind = classes()[name]
    known = inspect.signature(kind).parameters
    for key in params:
        if key.split("__")[0] not in known:
            raise Problem(f"{where}: {name} has no parameter '{key}'", hint=suggestion(key, known))
    direct = {k: _value(v, f"{where}.{k}") for k, v in params.items() if "__" not in k}
    missing = [
        key
        for key, parameter in known.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and key not in direct
    ]
    if missing:
        raise Problem(
            f"{where}: {name} needs the parameter '{missing[0]}'",
            hint=f"params: {{{missing[0]}: {{use: ...}}}}" if "estimator" in missing[0] else None,
        )
    made = kind(**direct)
    below = {k: _value(v, f"{where}.{k}") for k, v in params.items() if "__" in k}
    if below:
        set_params(made, below, f"{where}: {name}")
    return made


def set_params(estimator: Any, params: Mapping[str, Any], where: str) -> None:
    """``estimator.set_params``, with a message that tells the nearest name.

    Raises:
        Problem: it has no such parameter.
    """
    known = estimator.get_params(deep=True)
    for key in params:
        if key not in known:
            raise Problem(f"{where} has no parameter '{key}'", hint=suggestion(key, known))
    estimator.set_params(**params)


def seeded(estimator: Any, seed: int) -> Any:
    """The same, every random state that was left open being ``seed``."""
    found = estimator.get_params(deep=True)
    open_ = {
        name: seed
        for name, value in found.items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    return estimator.set_params(**open_)


def task_of(estimator: Any, wanted: str, name: str) -> str:
    """What an estimator is for.

    Raises:
        Problem: it cannot be asked about new rows, or not in the way that is wanted.
    """
    can = abilities(estimator)
    if not can:
        raise Problem(
            f"estimator: {name} cannot be asked about rows that it did not learn", hint=_other(name)
        )
    if wanted == "auto":
        return can[0]
    if wanted not in can:
        raise Problem(f"task: {name} is for {' and '.join(can)}, not for {wanted}")
    return wanted


def abilities(estimator: Any) -> list[str]:
    """The tasks that an estimator can do, the foremost first."""
    found = []
    if hasattr(estimator, "predict"):
        if is_classifier(estimator):
            found.append("classification")
        elif is_regressor(estimator):
            found.append("regression")
        else:
            kind = getattr(estimator, "_estimator_type", None)
            found += [_TASKS[kind]] if kind in _TASKS else []
    if hasattr(estimator, "transform"):
        found.append("transform")
    return found


def _other(name: str) -> str:
    if name == "LocalOutlierFactor":
        return "params: {novelty: true}"
    if name in ("NearestNeighbors", "KernelDensity"):
        return "KNeighborsClassifier and KNeighborsRegressor answer with what neighbours have"
    if name in ("TSNE", "MDS", "SpectralEmbedding"):
        return "PCA, KernelPCA, Isomap and LocallyLinearEmbedding can"
    return "KMeans, MiniBatchKMeans, Birch, MeanShift and GaussianMixture can"


def _value(value: Any, where: str) -> Any:
    """A parameter's value, estimators in it built."""
    if isinstance(value, Mapping):
        if "use" not in value:
            return {key: _value(item, where) for key, item in value.items()}
        for key in value:
            if key not in ("use", "params", "name"):
                raise Problem(f"{where}: an estimator has use, params and name, not '{key}'")
        return build(value["use"], value.get("params") or {}, where)
    if isinstance(value, list):
        made = [_value(item, f"{where}[{place}]") for place, item in enumerate(value)]
        if value and all(isinstance(item, Mapping) and "use" in item for item in value):
            # Voting and stacking want a name with each.
            names = [item.get("name") or item["use"].lower() for item in value]
            return list(zip(unique(names), made, strict=True))
        return made
    return value


def unique(names: list[str]) -> list[str]:
    """The names, those that come again numbered: pca, pca_2."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found
