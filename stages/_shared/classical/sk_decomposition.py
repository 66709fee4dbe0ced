"""Decompositions and projections."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import center
from .frame import Frame
from .kernels import dense, has_machine, is_local, pairwise
from .ops import affine, mb
from .registry import maps, refuse
from .sk_bayes import projected
from .support_vectors import kernel_sums

_CENTRED = "ML Program; the mean is taken away in doubles before it"


@maps("transformer", "PCA", "IncrementalPCA", how=_CENTRED)
def principal_components(estimator: Any, frame: Frame) -> Frame:
    """Principal components, whitened or not."""
    axes = np.asarray(estimator.components_, np.float64)
    if estimator.whiten:
        variance = estimator.explained_variance_
        least = np.finfo(np.asarray(variance).dtype).eps
        axes = axes / np.sqrt(np.where(variance < least, least, variance))[:, None]
    return projected(frame, _zero(estimator.mean_, axes), axes)


def _zero(mean: Any, axes: Any) -> Any:
    return np.zeros(axes.shape[1]) if mean is None else mean


@maps(
    "transformer",
    "TruncatedSVD",
    "GaussianRandomProjection",
    "SparseRandomProjection",
    "NeighborhoodComponentsAnalysis",
    how="ML Program: a product with the components",
)
def components(estimator: Any, frame: Frame) -> Frame:
    """A product with a matrix."""
    axes = dense(estimator.components_)
    return projected(frame, np.zeros(axes.shape[1]), axes)


@maps("transformer", "FastICA", how=_CENTRED)
def independent_components(estimator: Any, frame: Frame) -> Frame:
    """Unmixed signals."""
    axes = np.asarray(estimator.components_)
    return projected(frame, estimator.mean_ if estimator.whiten else _zero(None, axes), axes)


@maps("transformer", "FactorAnalysis", how=_CENTRED)
def factor_analysis(estimator: Any, frame: Frame) -> Frame:
    """The factors' posterior means."""
    loadings, noise = np.asarray(estimator.components_), estimator.noise_variance_
    scaled = loadings / noise
    posterior = np.linalg.inv(np.eye(len(loadings)) + scaled @ loadings.T)
    return projected(frame, estimator.mean_, posterior @ scaled)


@maps("transformer", "SparsePCA", "MiniBatchSparsePCA", how=_CENTRED)
def sparse_components(estimator: Any, frame: Frame) -> Frame:
    """A ridge regression on the components, which is linear."""
    axes = np.asarray(estimator.components_)
    square = axes @ axes.T + estimator.ridge_alpha * np.eye(len(axes))
    return projected(frame, estimator.mean_, np.linalg.solve(square, axes))


@maps("transformer", "PLSRegression", "PLSCanonical", "CCA", "PLSSVD", how=_CENTRED)
def partial_least_squares(estimator: Any, frame: Frame) -> Frame:
    """The scores of the first block."""
    turn = getattr(estimator, "x_rotations_", getattr(estimator, "x_weights_", None))
    axes = np.asarray(turn).T / estimator._x_std
    return projected(frame, estimator._x_mean, axes)


@maps("transformer", "BernoulliRBM", how="ML Program: a product and a sigmoid")
def boltzmann_machine(estimator: Any, frame: Frame) -> Frame:
    """Probabilities of the hidden units."""
    weights, bias = estimator.components_, estimator.intercept_hidden_
    value = frame.graph.compute(
        "hidden", frame.vector(), len(weights), lambda x: mb.sigmoid(x=affine(x, weights, bias))
    )
    return Frame.of(frame.graph, value)


@maps("transformer", "RBFSampler", how="ML Program: a product and a cosine")
def random_fourier(estimator: Any, frame: Frame) -> Frame:
    """Random Fourier features."""
    weights, offset = estimator.random_weights_.T, estimator.random_offset_
    factor = np.float32(np.sqrt(2.0 / len(weights)))

    def build(x: Any) -> Any:
        return mb.mul(x=mb.cos(x=affine(x, weights, offset)), y=factor)

    value = frame.graph.compute("fourier", frame.vector(), len(weights), build)
    return Frame.of(frame.graph, value)


@maps("transformer", "Nystroem", how="ML Program: kernels with the stored samples, a product")
def nystroem(estimator: Any, frame: Frame) -> Frame:
    """Kernels with chosen samples, turned."""
    points = dense(estimator.components_)
    shift = points.mean(axis=0) if is_local(estimator.kernel) else np.zeros(points.shape[1])
    x = center(frame.graph, frame.vector(), shift)
    turn = estimator.normalization_
    coef0, degree = (1 if v is None else v for v in (estimator.coef0, estimator.degree))
    degree = 3 if estimator.degree is None else degree

    def build(x: Any) -> Any:
        return affine(
            pairwise(x, points, estimator.kernel, estimator.gamma, coef0, degree, shift), turn
        )

    return Frame.of(frame.graph, frame.graph.compute("features", x, len(turn), build))


@maps(
    "transformer",
    "KernelPCA",
    how="support vector regressors, in doubles; rbf and laplacian in an ML Program",
)
def kernel_pca(estimator: Any, frame: Frame) -> Frame:
    """Kernels with all training samples, centred and projected."""
    points = dense(estimator.X_fit_)
    values, vectors = estimator.eigenvalues_, estimator.eigenvectors_
    positive = values > 0
    axes = np.zeros((len(values), len(points)))
    axes[positive] = (vectors[:, positive] / np.sqrt(values[positive])).T
    rows, whole = estimator._centerer.K_fit_rows_, estimator._centerer.K_fit_all_
    # Centring is linear in the kernels: it goes into the weights.
    offsets = axes.sum(axis=1) * whole - axes @ rows
    axes = axes - axes.mean(axis=1, keepdims=True)
    gamma = float(estimator.gamma_ if hasattr(estimator, "gamma_") else estimator.gamma or 1.0)
    kernel, coef0, degree = estimator.kernel, float(estimator.coef0), estimator.degree
    if has_machine(kernel, degree) and not is_local(kernel):
        value = kernel_sums(frame, kernel, gamma, coef0, int(degree), points, axes, offsets)
        return Frame.of(frame.graph, value)
    shift = points.mean(axis=0)
    x = center(frame.graph, frame.vector(), shift)

    def build(x: Any) -> Any:
        return affine(pairwise(x, points, kernel, gamma, coef0, degree, shift), axes, offsets)

    return Frame.of(frame.graph, frame.graph.compute("components", x, len(axes), build))


@maps("transformer", "FeatureAgglomeration", how="ML Program: means of groups of columns")
def agglomerated(estimator: Any, frame: Frame) -> Frame:
    """Each group's mean."""
    if getattr(estimator.pooling_func, "__name__", "") != "mean":
        raise Problem("FeatureAgglomeration is mapped with pooling_func=numpy.mean only")
    groups = np.unique(estimator.labels_)
    axes = np.array([(estimator.labels_ == g) / (estimator.labels_ == g).sum() for g in groups])
    return projected(frame, np.zeros(axes.shape[1]), axes)


refuse(
    "each sample is solved for by iterations until they agree, which a fixed model cannot",
    "NMF", "MiniBatchNMF", "DictionaryLearning", "MiniBatchDictionaryLearning", "SparseCoder",
    "LatentDirichletAllocation",
)  # fmt: skip
refuse(
    "it finds paths through all of its training samples for each new one",
    "Isomap", "LocallyLinearEmbedding",
)  # fmt: skip
