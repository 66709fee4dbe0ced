"""Which values a model may be asked for: read off what its estimators remember of training.

The written model is compared with the library on samples; without a table of them they are drawn
around these values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels import dense

_POINTS = (
    "_fit_X", "X_fit_", "X_train_", "support_vectors_", "cluster_centers_", "subcluster_centers_",
    "means_", "centroids_",
)  # fmt: skip
_MOST = 400


def points_of(estimator: Any, width: int) -> Any:
    """Values that columns take, float64 [n, width] with NaN where nothing is known; or None."""
    with np.errstate(all="ignore"):
        for found in (_stored(estimator), _spread(estimator), _questions(estimator, width)):
            if found is not None and found.ndim == 2 and found.shape[1] == width:
                return found[:: max(1, len(found) // _MOST)]
    return None


def _stored(estimator: Any) -> Any:
    for name in _POINTS:
        found = getattr(estimator, name, None)
        if (found is not None and np.ndim(found) == 2) or hasattr(found, "toarray"):
            return dense(found)
    if hasattr(estimator, "component_indices_"):
        return dense(estimator.components_)
    if hasattr(estimator, "theta_"):
        spread = np.sqrt(estimator.var_)
        return np.concatenate([estimator.theta_ + k * spread for k in (-1, 0, 1)])
    return None


def _spread(estimator: Any) -> Any:
    """A middle and how far columns go from it."""
    middle, reach = None, None
    if hasattr(estimator, "data_min_"):
        middle = (estimator.data_min_ + estimator.data_max_) / 2
        reach = (estimator.data_max_ - estimator.data_min_) / 2
    elif hasattr(estimator, "quantiles_"):
        return np.asarray(estimator.quantiles_, float)
    elif hasattr(estimator, "bin_edges_"):
        return _columns([np.asarray(edges, float) for edges in estimator.bin_edges_])
    elif hasattr(estimator, "X_thresholds_"):
        return np.asarray(estimator.X_thresholds_, float)[:, None]
    elif getattr(estimator, "scale_", None) is not None and np.ndim(estimator.scale_) == 1:
        middle = getattr(estimator, "mean_", getattr(estimator, "center_", None))
        reach = 2 * estimator.scale_
        middle = np.zeros(len(reach)) if middle is None else middle
    elif hasattr(estimator, "covariance_") and hasattr(estimator, "location_"):
        middle, reach = estimator.location_, 2 * np.sqrt(np.diag(estimator.covariance_))
    elif hasattr(estimator, "explained_variance_") and hasattr(estimator, "mean_"):
        axes = np.asarray(estimator.components_)
        middle = estimator.mean_
        reach = 2 * np.sqrt((axes**2 * estimator.explained_variance_[:, None]).sum(axis=0)) + 1e-9
    elif hasattr(estimator, "feature_log_prob_") and np.ndim(estimator.feature_log_prob_) == 2:
        return np.tile([[0.0], [1.0], [2.0], [5.0]], (1, estimator.feature_log_prob_.shape[1]))
    elif hasattr(estimator, "category_count_"):
        return _columns([np.arange(c.shape[1], dtype=float) for c in estimator.category_count_])
    elif hasattr(estimator, "xbar_"):
        middle = estimator.xbar_
        reach = 1.0 / np.maximum(np.abs(np.atleast_2d(estimator.coef_)).max(axis=0), 1e-9)
    elif hasattr(estimator, "coef_") and np.ndim(estimator.coef_) in (1, 2):
        size = np.abs(np.atleast_2d(dense(estimator.coef_))).max(axis=0)
        middle, reach = np.zeros(len(size)), 2.0 / np.where(size > 1e-9, size, 1.0)
    if middle is None or reach is None:
        return None
    steps = np.array([-1.0, -0.3, 0.0, 0.4, 1.0])[:, None]
    return np.asarray(middle, float) + steps * np.asarray(reach, float)


def _questions(estimator: Any, width: int) -> Any:
    """Thresholds of trees: on them, and on both sides."""
    found: list[list[float]] = [[] for _ in range(width)]
    _gather(estimator, found, None)
    return _columns([np.array(sorted(set(values))) for values in found]) if any(found) else None


def _gather(estimator: Any, found: list[list[float]], columns: Any) -> None:
    if hasattr(estimator, "tree_"):
        inner = estimator.tree_
        branches = inner.children_left >= 0
        pairs = zip(inner.feature[branches], inner.threshold[branches], strict=True)
    elif hasattr(estimator, "_predictors"):
        nodes = np.concatenate([p.nodes for stage in estimator._predictors for p in stage])
        nodes = nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)]
        pairs = zip(nodes["feature_idx"], nodes["num_threshold"], strict=True)
    else:
        members = list(np.ravel(np.asarray(getattr(estimator, "estimators_", []), dtype=object)))
        chosen = getattr(estimator, "estimators_features_", [None] * len(members))
        for member, which in zip(members, chosen, strict=True):
            _gather(member, found, which)
        return
    for feature, threshold in pairs:
        place = int(feature) if columns is None else int(columns[feature])
        if place < len(found) and np.isfinite(threshold):
            found[place].append(float(threshold))


def _columns(values: list[Any]) -> Any:
    """Columns of different lengths as one matrix, each repeated to the longest one's."""
    longest = max((len(v) for v in values), default=0)
    full = [np.resize(v, longest) if len(v) else np.full(longest, np.nan) for v in values]
    return np.stack(full, axis=1) if longest else None
