"""Kernel ridge regression and Gaussian processes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import center
from .frame import Frame
from .graph import Value
from .kernels import dense, has_machine, pairwise
from .ops import affine, const, mb, squared_distances
from .registry import maps, refuse
from .sk_neighbors import shifted
from .support_vectors import kernel_sums


@maps(
    "regressor",
    "KernelRidge",
    how="support vector regressors, in doubles; the laplacian kernel in an ML Program",
)
def kernel_ridge(estimator: Any, frame: Frame) -> Value:
    """Kernels times dual coefficients."""
    points = dense(estimator.X_fit_)
    dual = np.asarray(estimator.dual_coef_, float).reshape(len(points), -1).T
    gamma = 1.0 / points.shape[1] if estimator.gamma is None else float(estimator.gamma)
    kernel, coef0, degree = estimator.kernel, estimator.coef0, estimator.degree
    if has_machine(kernel, degree):
        kernel = "poly" if kernel == "polynomial" else kernel
        zeros = np.zeros(len(dual))
        return kernel_sums(frame, kernel, gamma, coef0, int(degree), points, dual, zeros)
    shift = points.mean(axis=0)
    x = center(frame.graph, frame.vector(), shift)

    def build(x: Any) -> Any:
        return affine(pairwise(x, points, kernel, gamma, coef0, degree, shift), dual)

    return frame.graph.compute("ridge", x, len(dual), build)


@maps(
    "regressor", "GaussianProcessRegressor", how="ML Program: the kernel with all training samples"
)
def gaussian_process(estimator: Any, frame: Frame) -> Value:
    """The posterior mean."""
    points = np.asarray(estimator.X_train_, np.float64)
    middle = points.mean(axis=0)
    x = center(frame.graph, frame.vector(), middle)
    dual = np.asarray(estimator.alpha_, float).reshape(len(points), -1).T
    spread = np.broadcast_to(np.ravel(estimator._y_train_std), (len(dual),))
    offset = np.broadcast_to(np.ravel(estimator._y_train_mean), (len(dual),))

    def build(x: Any) -> Any:
        return affine(
            _kernel(estimator.kernel_, x, points - middle, middle), dual * spread[:, None]
        )

    return shifted(frame, frame.graph.compute("process", x, len(dual), build), offset)


def _kernel(kernel: Any, x: Any, points: Any, middle: Any) -> Any:
    """One of scikit-learn's kernels between x and points, both less the middle."""
    name = type(kernel).__name__
    if name in ("Sum", "Product"):
        a = _kernel(kernel.k1, x, points, middle)
        b = _kernel(kernel.k2, x, points, middle)
        return (mb.add if name == "Sum" else mb.mul)(x=a, y=b)
    if name == "Exponentiation":
        inner = _kernel(kernel.kernel, x, points, middle)
        return mb.pow(x=inner, y=np.float32(kernel.exponent))
    if name == "ConstantKernel":
        return np.full(len(points), kernel.constant_value, np.float32)
    if name == "WhiteKernel":
        return np.zeros(len(points), np.float32)  # noise is between a sample and itself
    if name == "DotProduct":
        rows = points + middle
        return affine(x, rows, rows @ middle + kernel.sigma_0**2)
    if name in ("RBF", "Matern", "RationalQuadratic"):
        return _stationary(kernel, name, x, points)
    raise Problem(
        f"the kernel {name} of a Gaussian process is not mapped to Core ML",
        hint="RBF, Matern, RationalQuadratic, DotProduct, ConstantKernel, WhiteKernel are",
    )


def _stationary(kernel: Any, name: str, x: Any, points: Any) -> Any:
    length = np.broadcast_to(np.asarray(kernel.length_scale, float), (points.shape[1],))
    squares = squared_distances(mb.mul(x=x, y=const(1 / length)), points / length)
    if name == "RBF" or getattr(kernel, "nu", 0) == np.inf:
        return mb.exp(x=mb.mul(x=squares, y=np.float32(-0.5)))
    if name == "RationalQuadratic":
        base = mb.add(x=mb.mul(x=squares, y=np.float32(0.5 / kernel.alpha)), y=np.float32(1))
        return mb.pow(x=base, y=np.float32(-kernel.alpha))
    far = mb.sqrt(x=squares)
    if kernel.nu not in (0.5, 1.5, 2.5):
        raise Problem(f"Matern with nu={kernel.nu} is not mapped", hint="0.5, 1.5, 2.5, inf are")
    far = mb.mul(x=far, y=np.float32(np.sqrt(2 * kernel.nu)))
    decay = mb.exp(x=mb.mul(x=far, y=np.float32(-1)))
    if kernel.nu == 0.5:
        return decay
    factor = mb.add(x=far, y=np.float32(1))
    if kernel.nu == 2.5:
        third = mb.mul(x=mb.mul(x=far, y=far), y=np.float32(1 / 3))
        factor = mb.add(x=factor, y=third)
    return mb.mul(x=factor, y=decay)


refuse("its probabilities are an integral of its own", "GaussianProcessClassifier")
