"""Models of XGBoost, LightGBM and LIBSVM as files that carry their description.

Each is the library's own format, which the library reads as if nothing were added:
XGBoost keeps an attribute, LightGBM passes over lines of the header that it does not know, LIBSVM
reads no further than the last support vector.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..problem.problem import Problem
from ..tables.description import KEY

_LIGHTGBM_LINE = KEY.replace(".", "_") + "="
_LIBSVM_LINE = f"# {KEY} "


def save_xgboost(booster: Any, description: dict[str, Any], path: Path) -> None:
    """JSON or, by the suffix ``.ubj``, UBJSON."""
    booster.set_attr(**{KEY: _text(description)})
    booster.save_model(str(path))


def load_xgboost(path: Path) -> tuple[Any, dict[str, Any]]:
    """The booster and its description."""
    import xgboost  # not in every toolchain

    booster = xgboost.Booster()
    try:
        booster.load_model(str(path))
    except xgboost.core.XGBoostError as error:
        raise _unreadable(path, "XGBoost", error) from error
    return booster, _description(path, booster.attr(KEY))


def save_lightgbm(booster: Any, description: dict[str, Any], path: Path, rounds: int) -> None:
    """The first ``rounds`` rounds as text, the description as a line of its header."""
    text = booster.model_to_string(num_iteration=rounds)
    # A value must hold no "=": JSON can write it otherwise.
    line = _LIGHTGBM_LINE + _text(description).replace("=", "\\u003d")
    head, mark, rest = text.partition("\ntree_sizes=")
    path.write_text(f"{head}\n{line}{mark}{rest}", encoding="utf-8", newline="\n")


def load_lightgbm(path: Path) -> tuple[Any, dict[str, Any]]:
    """The booster and its description."""
    import lightgbm  # not in every toolchain

    found = _line(path, _LIGHTGBM_LINE)
    try:
        booster = lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise _unreadable(path, "LightGBM", error) from error
    return booster, _description(path, found)


def save_libsvm(model: Any, description: dict[str, Any], path: Path) -> None:
    """LIBSVM's text, the description as a last line."""
    from libsvm.svmutil import svm_save_model  # not in every toolchain

    svm_save_model(str(path), model)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(_LIBSVM_LINE + _text(description) + "\n")


def load_libsvm(path: Path) -> tuple[Any, dict[str, Any]]:
    """The model and its description."""
    from libsvm.svmutil import svm_load_model  # not in every toolchain

    found = _line(path, _LIBSVM_LINE)
    model = svm_load_model(str(path))
    if not model:
        raise Problem(f"{path.name} is no model of LIBSVM")
    return model, _description(path, found)


def _text(description: dict[str, Any]) -> str:
    # ASCII: every library and every locale keeps it as it is.
    return json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _line(path: Path, start: str) -> str | None:
    try:
        with path.open(encoding="utf-8") as file:
            return next((line[len(start) :] for line in file if line.startswith(start)), None)
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path.name} cannot be read: {error}") from error


def _description(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        raise Problem(
            f"{path.name} does not say which columns of a table it takes",
            hint="a model of train/xgboost, train/lightgbm or train/libsvm does",
        )
    found: dict[str, Any] = json.loads(text)
    return found


def _unreadable(path: Path, library: str, error: Exception) -> Problem:
    return Problem(f"{library} cannot read {path.name}: {str(error).strip().splitlines()[0]}")
