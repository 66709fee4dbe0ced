"""Clusters and mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocks import center
from .frame import Frame
from .graph import Value
from .ops import affine, argmax, const, mb, row, squared_distances, sum_rows
from .registry import maps, refuse
from .results import Clusters

_CENTRES = {
    "KMeans": "cluster_centers_",
    "MiniBatchKMeans": "cluster_centers_",
    "MeanShift": "cluster_centers_",
    "AffinityPropagation": "cluster_centers_",
    "Birch": "subcluster_centers_",
}


def _to_centres(frame: Frame, centres: Any) -> Value:
    middle = centres.mean(axis=0)
    x = center(frame.graph, frame.vector(), middle)
    return frame.graph.compute(
        "distances", x, len(centres), lambda x: mb.sqrt(x=squared_distances(x, centres - middle))
    )


@maps("clusterer", *_CENTRES, how="ML Program: distances to the centres, the nearest one")
def centres(estimator: Any, frame: Frame) -> Clusters:
    """The nearest centre."""
    points = np.asarray(getattr(estimator, _CENTRES[type(estimator).__name__]), np.float64)
    far = _to_centres(frame, points)
    names = np.arange(len(points))
    if type(estimator).__name__ == "Birch":
        names = estimator.subcluster_labels_  # several small clusters may be one
    return Clusters(_nearest(frame, far, names), far)


def _nearest(frame: Frame, far: Value, names: Any) -> Value:
    return frame.graph.compute(
        "nearest", far, 1, lambda d: _named(mb.mul(x=d, y=np.float32(-1)), names)
    )


def _named(scores: Any, names: Any) -> Any:
    best = argmax(scores)
    if np.array_equal(names, np.arange(len(names))):
        return best
    return gather_at(const(names), best)


def gather_at(values: Any, place: Any) -> Any:
    """The value that stands at a place given as a float32 vector of one."""
    return mb.gather(x=values, indices=mb.cast(x=place, dtype="int32"), axis=0)


@maps("transformer", "KMeans", "MiniBatchKMeans", "BisectingKMeans", "Birch",
      how="ML Program: distances to the centres")  # fmt: skip
def centre_distances(estimator: Any, frame: Frame) -> Frame:
    """Distances as features."""
    name = _CENTRES.get(type(estimator).__name__, "cluster_centers_")
    points = np.asarray(getattr(estimator, name), np.float64)
    return Frame.of(frame.graph, _to_centres(frame, points))


@maps("clusterer", "BisectingKMeans", how="ML Program: the nearer half at each bisection")
def bisecting(estimator: Any, frame: Frame) -> Clusters:
    """Down the tree of bisections, as its prediction goes: not always to the nearest centre."""
    mean = estimator._X_mean if hasattr(estimator, "_X_mean") else 0.0
    points = np.asarray(estimator.cluster_centers_, np.float64)
    splits: list[tuple[Any, Any]] = []
    paths: list[list[tuple[int, bool]]] = [[] for _ in points]

    def walk(node: Any, path: list[tuple[int, bool]]) -> None:
        if node.left is None:
            paths[node.label] = path
            return
        number = len(splits)
        splits.append((node.left.center, node.right.center))
        walk(node.left, [*path, (number, True)])
        walk(node.right, [*path, (number, False)])

    walk(estimator._bisecting_tree, [])
    lefts, rights = (np.array([s[i] for s in splits]) + mean for i in (0, 1))
    middle = points.mean(axis=0)
    x = center(frame.graph, frame.vector(), middle)

    def build(x: Any) -> Any:
        nearer = mb.sub(
            x=squared_distances(x, rights - middle), y=squared_distances(x, lefts - middle)
        )
        goes = mb.cast(x=mb.greater_equal(x=nearer, y=np.float32(0)), dtype="fp32")
        # A leaf is reached where every turn on its path is taken.
        weights = np.zeros((len(points), len(splits)))
        needed = np.zeros(len(points))
        for leaf, path in enumerate(paths):
            for number, left in path:
                weights[leaf, number] = 1.0 if left else -1.0
                needed[leaf] += float(left)
        return argmax(mb.sub(x=affine(goes, weights), y=const(needed)))

    cluster = frame.graph.compute("nearest", x, 1, build)
    return Clusters(cluster, _to_centres(frame, points))


@maps("clusterer", "GaussianMixture", "BayesianGaussianMixture",
      how="ML Program: distances by each covariance's Cholesky factor, softmax")  # fmt: skip
def mixture(estimator: Any, frame: Frame) -> Clusters:
    """Responsibilities, and the component with the greatest one."""
    means = np.asarray(estimator.means_, np.float64)
    count, width = means.shape
    middle = means.mean(axis=0)
    x = center(frame.graph, frame.vector(), middle)
    factors = np.asarray(estimator.precisions_cholesky_, np.float64)
    kind = estimator.covariance_type
    constant = _mixture_constant(estimator, factors, kind, width)

    def build(x: Any) -> Any:
        if kind in ("diag", "spherical"):
            far = mb.sub(x=row(x), y=const(means - middle))
            far = mb.mul(x=far, y=const(factors.reshape(count, -1)))
            squares = sum_rows(mb.mul(x=far, y=far))
        else:
            parts = []
            for place in range(count):
                factor = factors if kind == "tied" else factors[place]
                turned = affine(mb.sub(x=x, y=const(means[place] - middle)), factor.T)
                parts.append(mb.reduce_sum(x=mb.mul(x=turned, y=turned), axes=[0], keep_dims=True))
            squares = mb.concat(values=parts, axis=0) if count > 1 else parts[0]
        logits = mb.add(x=mb.mul(x=squares, y=np.float32(-0.5)), y=const(constant))
        return mb.softmax(x=logits, axis=0), argmax(logits)

    shares, cluster = frame.graph.program("components", [x], [count, 1], build)
    return Clusters(cluster, shares, "probabilities")


def _mixture_constant(estimator: Any, factors: Any, kind: str, width: int) -> Any:
    """What each component's logarithm has beside the distance; the greatest is zero."""
    if kind == "full":
        logs = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    elif kind == "tied":
        logs = np.log(np.diag(factors)).sum()
    elif kind == "diag":
        logs = np.log(factors).sum(axis=1)
    else:
        logs = width * np.log(factors)
    total = estimator._estimate_log_weights() + logs
    if hasattr(estimator, "degrees_of_freedom_"):
        freedom = estimator.degrees_of_freedom_
        places = np.arange(width)[:, None]
        from scipy.special import digamma  # with scikit-learn, for this family alone

        spread = width * np.log(2.0) + digamma(0.5 * (freedom - places)).sum(axis=0)
        total = total - 0.5 * width * np.log(freedom)
        total = total + 0.5 * (spread - width / estimator.mean_precision_)
    return total - total.max()


refuse(
    "it only sorts its own training data and cannot place a new sample",
    "DBSCAN", "HDBSCAN", "OPTICS", "AgglomerativeClustering", "SpectralClustering",
    "SpectralBiclustering", "SpectralCoclustering", "TSNE", "MDS", "SpectralEmbedding",
)  # fmt: skip
