"""How many elements the result of a call of torch may have, from its arguments alone.

A result is no larger than its arguments broadcast together; what may be larger has a formula of
its own here, or is bounded by all its numbers multiplied.

Source: PyTorch documentation of the functions named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Sizes = Sequence[int]


def bound_of(name: str, args: Any, kwargs: Any, tensors: list[Any]) -> int:
    """A number of elements that no result of a call exceeds.

    Args:
        name: The operator's, as "aten::add".
        args: Its positional arguments.
        kwargs: Its other arguments.
        tensors: All tensors among them.
    """
    name = name.removeprefix("aten::").rstrip("_")
    if name in _EXACT:
        try:
            return int(_EXACT[name](*args, **kwargs))
        except (TypeError, ValueError, IndexError, AttributeError, KeyError):
            pass  # another signature, or a wrong call, which torch itself will refuse
    shapes = [list(tensor.shape) for tensor in tensors]
    if name.startswith(_GROWING):
        return math.prod([*map(_numel, shapes), *_numbers([*args, *kwargs.values()])])
    if name.startswith(_PRODUCTS):
        return math.prod(map(_numel, shapes))
    return _broadcast(shapes)


def _broadcast(shapes: Sequence[Sizes]) -> int:
    """The elements of shapes broadcast together, or of all of them side by side if they cannot."""
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [[1] * (rank - len(shape)) + list(shape) for shape in shapes]
    columns = [set(column) - {1} for column in zip(*padded, strict=True)]
    if all(len(column) < 2 for column in columns):
        return math.prod(next(iter(column), 1) for column in columns)
    return sum(map(_numel, shapes))


def _numel(shape: Sizes) -> int:
    return max(math.prod(shape), 1)


def _numbers(values: Any) -> list[int]:
    """All numbers among arguments that could multiply a size."""
    found: list[int] = []
    for value in values:
        if isinstance(value, list | tuple):
            found += _numbers(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found += [math.ceil(abs(value)) + 1] if math.isfinite(value) else []
    return found


def _linear(x: Any, weight: Any, *_: Any) -> int:
    return int(x.numel() // max(x.shape[-1], 1) * weight.shape[0])


def _matmul(x: Any, y: Any) -> int:
    if x.dim() < 2 or y.dim() < 2:
        return int(max(x.numel(), y.numel()))
    return _broadcast([x.shape[:-2], y.shape[:-2]]) * int(x.shape[-2]) * int(y.shape[-1])


def _each(value: Any, rank: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * rank if len(values) == 1 else values


def _convolution(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, *_: Any
) -> int:
    rank = weight.dim() - 2
    before = [0] * rank if isinstance(padding, str) else _each(padding, rank)
    sizes = zip(x.shape[-rank:], before, _each(stride, rank), strict=True)
    places = math.prod((int(size) + 2 * pad) // max(step, 1) + 1 for size, pad, step in sizes)
    # some of torch's kernels lay out what each place sees as a matrix
    seen = max(int(weight.shape[0]), math.prod(weight.shape[1:]))
    return int(places * seen * (x.shape[0] if x.dim() > rank + 1 else 1))


def _transposed(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, more: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> int:  # fmt: skip
    rank = weight.dim() - 2
    sizes = zip(
        x.shape[-rank:], weight.shape[2:], _each(stride, rank), _each(more, rank),
        _each(dilation, rank), strict=True,
    )  # fmt: skip
    places = math.prod(
        max(int(size) - 1, 0) * step + apart * (int(kernel) - 1) + 1 + extra
        for size, kernel, step, extra, apart in sizes
    )
    columns = x.numel() * math.prod(weight.shape[1:])
    made = places * int(weight.shape[1]) * groups * (int(x.shape[0]) if x.dim() > rank + 1 else 1)
    return int(max(made, columns // max(groups, 1)))


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    scores = query.numel() // max(query.shape[-1], 1) * key.shape[-2]
    return int(max(scores, query.numel(), value.numel()))


def _repeated(x: Any, repeats: Sizes) -> int:
    return _numel(x.shape) * _numel([abs(n) for n in repeats])


def _joined(tensors: Any, *_: Any) -> int:
    return sum(_numel(tensor.shape) for tensor in tensors)


def _pooled(x: Any, *_: Any) -> int:
    """Padding is at most half of the window, so that a dimension grows by one at most, or two."""
    return _numel([int(n) + 2 for n in x.shape])


def _padded(x: Any, pad: Sizes, *_: Any) -> int:
    sizes = [int(n) for n in x.shape]
    for place, (before, after) in enumerate(zip(pad[0::2], pad[1::2], strict=True)):
        sizes[-1 - place] += abs(before) + abs(after)
    return _numel(sizes)


def _upsampled(x: Any, size: Any, *others: Any) -> int:
    if size is not None:
        return _numel(x.shape[:2]) * _numel(size)
    scales = next(value for value in reversed(others) if isinstance(value, list | tuple))
    return math.ceil(_numel(x.shape) * float(math.prod(scales)))


def _einsum(equation: str, tensors: Any, **_: Any) -> int:
    given, _arrow, made = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for letters, tensor in zip(given.split(","), tensors, strict=True):
        for letter, size in zip(letters, tensor.shape, strict=True):
            sizes[letter] = max(sizes.get(letter, 1), int(size))
    return math.prod(sizes[letter] for letter in made)


def _picked(x: Any, axis: int, indices: Any) -> int:
    return int(x.numel() // max(x.shape[axis], 1) * indices.numel())


def _indexed(x: Any, indices: Any) -> int:
    shapes = [i.shape for i in indices if i is not None]
    kept = [n for n, i in zip(x.shape, indices, strict=False) if i is None]
    return _broadcast(shapes) * _numel(kept) * _numel(x.shape[len(indices) :])


_EXACT: dict[str, Callable[..., int]] = {
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "bmm": _matmul,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "conv3d": _convolution,
    "conv_transpose1d": _transposed,
    "conv_transpose2d": _transposed,
    "conv_transpose3d": _transposed,
    "scaled_dot_product_attention": _attention,
    "cat": _joined,
    "stack": _joined,
    "eye": lambda rows, columns=None, **_: rows * (rows if columns is None else columns),
    "avg_pool1d": _pooled,
    "avg_pool2d": _pooled,
    "avg_pool3d": _pooled,
    "max_pool1d": _pooled,
    "max_pool2d": _pooled,
    "max_pool3d": _pooled,
    "repeat": _repeated,
    "tile": _repeated,
    "pad": _padded,
    "constant_pad_nd": _padded,
    "upsample_nearest1d": _upsampled,
    "upsample_nearest2d": _upsampled,
    "upsample_nearest3d": _upsampled,
    "upsample_bilinear2d": _upsampled,
    "upsample_linear1d": _upsampled,
    "upsample_trilinear3d": _upsampled,
    "upsample_bicubic2d": _upsampled,
    "einsum": _einsum,
    "index_select": _picked,
    "index": _indexed,
    "gather": lambda x, axis, indices, **_: int(indices.numel()),
    "take": lambda x, indices: int(indices.numel()),
    "embedding": lambda table, indices, *_: int(indices.numel() * table.shape[-1]),
}
# Whose results are of a size that their numbers say.
_GROWING = (
    "repeat", "tile", "pad", "constant_pad", "reflection_pad", "replication_pad", "full", "new_",
    "zeros", "ones", "empty", "eye", "arange", "linspace", "upsample", "one_hot", "im2col",
    "col2im", "max_unpool", "tril_indices", "triu_indices", "rand", "normal", "conv",
)  # fmt: skip
# Whose results may have as many elements as their arguments have together, multiplied.
_PRODUCTS = (
    "outer", "ger", "kron", "cdist", "einsum", "tensordot", "addmm", "baddbmm", "index", "gather",
    "take", "embedding", "meshgrid", "cartesian_prod", "bilinear", "lstm", "gru", "matmul", "mm",
    "bmm", "linear",
)  # fmt: skip
