"""Changing the shape and nothing else: reshape, expand_dims, squeeze, flatten2d, identity.

Source: coremltools MIL op docs, iOS15, iOS16 and iOS17 tensor_transformation; iOS15
tensor_operation (flatten2d, identity).
"""

from __future__ import annotations

from ..operator import Bools, Ints, Tensor, Tensors, operator


@operator("reshape", exact=True)
def reshape(x: Tensor, shape: Ints) -> Tensor:
    """A 0 takes over the dimension at the same place, a -1 is worked out."""
    if 0 in shape and (x.numel() or len(shape) == x.dim()):
        if len(shape) != x.dim():
            raise ValueError("a shape with zeros must have the rank of the input")
        shape = [n or int(old) for n, old in zip(shape, x.shape, strict=True)]
    return x.reshape(shape)


@operator("reshape", since="iOS17", exact=True)
def reshape_ios17(x: Tensor, shape: Ints) -> Tensor:
    """A 0 takes over the dimension at the same place counted from the right, 1 beyond it."""
    if 0 in shape:
        shift, beyond = x.dim() - len(shape), min(x.numel(), 1)  # a tensor may be empty indeed
        shape = [
            n or (int(x.shape[i + shift]) if i + shift >= 0 else beyond)
            for i, n in enumerate(shape)
        ]
    return x.reshape(shape)


@operator("reshape_like", since="iOS16", exact=True)
def reshape_like(
    x: Tensor, ref_tensors: Tensors, begins: Ints, ends: Ints, end_masks: Bools
) -> Tensor:
    """The shape is put together from parts of the shapes of other tensors."""
    shape: list[int] = []
    for reference, begin, end, open_end in zip(ref_tensors, begins, ends, end_masks, strict=True):
        shape += reference.shape[begin:] if open_end else reference.shape[begin:end]
    return x.reshape(shape)


@operator("expand_dims", exact=True)
def expand_dims(x: Tensor, axes: Ints) -> Tensor:
    """New dimensions of 1 at places counted in the result."""
    rank = x.dim() + len(axes)
    for axis in sorted(a % rank for a in axes):
        x = x.unsqueeze(axis)
    return x


@operator("squeeze", exact=True)
def squeeze(x: Tensor, axes: Ints | None = None) -> Tensor:
    """Without dimensions of 1; those that are larger stay, as in torch."""
    return x.squeeze() if axes is None else x.squeeze(axes)


@operator("flatten2d", exact=True)
def flatten2d(x: Tensor, axis: int = 1) -> Tensor:
    """Two dimensions: those before the axis, and those from it on."""
    first = axis if axis >= 0 else axis + x.dim()
    before = 1
    for n in x.shape[:first]:
        before *= int(n)
    after = 1
    for n in x.shape[first:]:
        after *= int(n)
    return x.reshape(before, after)


@operator("identity", exact=True)
def identity(x: Tensor) -> Tensor:
    """X itself."""
    return x
