"""Reading what is to be converted: models of scikit-learn, XGBoost, LightGBM and LIBSVM."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._shared.classical.libsvm_text import SvmText
from ..._shared.classical.libsvm_text import read as read_svm
from ..._shared.problem.problem import Problem

_KEY = "mlbuild.description"


@dataclass(frozen=True)
class ClassicalSource:
    """A model on its way.

    Attributes:
        library: "sklearn", "xgboost", "lightgbm" or "libsvm".
        model: estimator, booster or parsed machine.
        description: what its training wrote beside it; empty for models of others.
        columns: (name, type) of its inputs, type "number" or "category".
        names_known: whether the estimator itself knows its columns by name.
    """

    library: str
    model: Any
    description: Mapping[str, Any]
    columns: tuple[tuple[str, str], ...]
    native: Any = None  # LIBSVM's own model, to compare with

    @property
    def task(self) -> str | None:
        """classification, regression, clustering, anomaly or transform, where it is said."""
        return self.description.get("task")


def read(job: Any) -> ClassicalSource:
    """The job's model.

    Raises:
        Problem: it cannot be read, is not trusted, or does not say what it takes.
    """
    path = job.inputs["model"]
    library, load = _loader(path)
    if library == "sklearn" and not job.trust("model"):
        raise Problem(
            f"{path.name} is a pickle, which runs code when it is read",
            hint="if you trust its origin, write the input as {from: ..., trust: true}",
        )
    model, description, native = load(path)
    columns = _columns(library, model, description, job.params, path.name)
    return ClassicalSource(library, model, description, columns, native)


def _loader(path: Path) -> tuple[str, Callable[[Path], tuple[Any, Any, Any]]]:
    if path.suffix in (".joblib", ".pkl", ".pickle"):
        return "sklearn", _sklearn
    if path.suffix in (".json", ".ubj", ".xgb"):
        return "xgboost", _xgboost
    with path.open("rb") as file:
        head = file.read(200)
    if head.startswith(b"svm_type"):
        return "libsvm", _libsvm
    if head.startswith((b"tree", b"boosting")) or b"version=" in head:
        return "lightgbm", _lightgbm
    if head[:1] in (b"{", b"\x80"):
        return ("xgboost", _xgboost) if head[:1] == b"{" else ("sklearn", _sklearn)
    raise Problem(
        f"{path.name} is no model that is known here",
        hint="scikit-learn .joblib, XGBoost .json or .ubj, LightGBM .txt, LIBSVM .libsvm",
    )


def _sklearn(path: Path) -> tuple[Any, Any, Any]:
    import joblib  # with scikit-learn, for its models alone
    import sklearn

    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = joblib.load(path)
    except (pickle.UnpicklingError, EOFError, ImportError, AttributeError, ValueError, KeyError,
            TypeError, IndexError, OSError) as error:  # fmt: skip
        raise Problem(
            f"{path.name} cannot be read: {str(error).splitlines()[0]}",
            hint=f"it must be written with joblib by scikit-learn {sklearn.__version__}",
        ) from error
    for warning in told:
        if type(warning.message).__name__ == "InconsistentVersionWarning":
            raise Problem(
                f"{path.name} was written by scikit-learn "
                f"{warning.message.original_sklearn_version}, here is {sklearn.__version__}",  # type: ignore[union-attr]
                hint="train it again with this version, for example by train/sklearn",
            )
    description: Any = {}
    if isinstance(found, dict) and "estimator" in found:
        description = {k: v for k, v in found.items() if k != "estimator"}
        if description.get("format", 1) != 1:
            raise Problem(f"{path.name} has format {description['format']}, this mlbuild reads 1")
        found = found["estimator"]
    if not hasattr(found, "predict") and not hasattr(found, "transform"):
        raise Problem(f"{path.name} holds a {type(found).__name__}, which is no estimator")
    return found, description, None


def _xgboost(path: Path) -> tuple[Any, Any, Any]:
    import xgboost  # heavy, for its models alone

    booster = xgboost.Booster()
    try:
        booster.load_model(str(path))
    except xgboost.core.XGBoostError as error:
        raise Problem(f"XGBoost cannot read {path.name}: {_first(error)}") from error
    return booster, json.loads(booster.attr(_KEY) or "{}"), None


def _lightgbm(path: Path) -> tuple[Any, Any, Any]:
    import lightgbm  # heavy, for its models alone

    try:
        booster = lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise Problem(f"LightGBM cannot read {path.name}: {_first(error)}") from error
    return booster, _line(path, _KEY.replace(".", "_") + "="), None


def _libsvm(path: Path) -> tuple[Any, Any, Any]:
    from libsvm.svmutil import svm_load_model  # a C library, for its models alone

    description = _line(path, f"# {_KEY} ")
    features = description.get("features")
    model: SvmText = read_svm(path, len(features) if features else None)
    return model, description, svm_load_model(str(path))


def _line(path: Path, start: str) -> Any:
    with path.open(encoding="utf-8", errors="replace") as file:
        return next((json.loads(line[len(start) :]) for line in file if line.startswith(start)), {})


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _columns(
    library: str, model: Any, description: Mapping[str, Any], params: Any, name: str
) -> tuple[tuple[str, str], ...]:
    if description.get("columns"):
        if params.columns:
            raise Problem("columns: this model says which it takes", hint="leave out columns")
        return tuple((c["name"], c["type"]) for c in description["columns"])
    width, known = _known(library, model)
    given = [(c["name"], c["type"]) for c in params.columns or ()]
    if given:
        if width is not None and len(given) != width:
            raise Problem(f"columns: {len(given)} are named, {name} takes {width}")
        if known and [n for n, _ in given] != known:
            raise Problem(f"columns: {name} was trained on {', '.join(known)}, in this order")
        return tuple(given)
    if known:
        return tuple((n, "number") for n in known)
    if width is None:
        raise Problem(
            f"{name} does not say which columns it takes",
            hint="name them: columns: [{name: age, type: number}, ...]",
        )
    return tuple((f"x{i}", "number") for i in range(width))


def _known(library: str, model: Any) -> tuple[int | None, list[str] | None]:
    """How many columns a model takes, and their names."""
    if library == "sklearn":
        names = getattr(model, "feature_names_in_", None)
        width = getattr(model, "n_features_in_", None)
        return (width if names is None else len(names)), None if names is None else list(names)
    if library == "xgboost":
        return model.num_features(), model.feature_names
    if library == "lightgbm":
        return model.num_feature(), list(model.feature_name())
    return model.width, None
