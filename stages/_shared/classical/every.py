"""All mappers, so that they are registered."""

from __future__ import annotations

from . import (
    lgbm,
    sk_bayes,
    sk_cluster,
    sk_compose,
    sk_decomposition,
    sk_encoding,
    sk_ensembles,
    sk_gaussian,
    sk_histogram,
    sk_linear,
    sk_neighbors,
    sk_network,
    sk_other,
    sk_scaling,
    sk_svm,
    sk_trees,
    xgb,
)

MODULES = (
    lgbm, sk_bayes, sk_cluster, sk_compose, sk_decomposition, sk_encoding, sk_ensembles,
    sk_gaussian, sk_histogram, sk_linear, sk_neighbors, sk_network, sk_other, sk_scaling, sk_svm,
    sk_trees, xgb,
)  # fmt: skip
