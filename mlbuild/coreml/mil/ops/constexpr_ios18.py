"""Compressed weights of iOS18: blocks, vectors, and compressions laid over each other.

Operands are inputs and may themselves be results of such operators: a pruned and quantized
weight is a mask with its data, dequantized while sparse, then made dense.

Source: coremltools MIL op docs, iOS18 compression.
"""

from __future__ import annotations

import numpy as np

from ..operator import Array, operator


@operator("constexpr_blockwise_shift_scale", since="iOS18", constant=True)
def blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    """Dequantize with a scale and an offset for each block.

    Args:
        data: Integers or real numbers of any shape.
        scale: The same rank; each dimension divides that of the data and thus sets the block.
        offset: The scale's shape.

    Returns:
        scale * (data - offset), in the scale's type.
    """
    result = data.astype(np.float32)
    if offset is not None:
        result -= _repeated(offset.astype(np.float32), data.shape)
    result *= _repeated(scale.astype(np.float32), data.shape)
    return result.astype(scale.dtype)


@operator("constexpr_lut_to_dense", since="iOS18", constant=True)
def lut_to_dense(indices: Array, lut: Array, vector_axis: int | None = None) -> Array:
    """Look elements, or vectors of them, up in tables that hold for blocks.

    Args:
        indices: Of any shape.
        lut: [blocks of each dimension..., entries, vector size].
        vector_axis: The dimension along which vectors are laid out, if they have several parts.

    Returns:
        The table's values; vector_axis is longer by the vector size.
    """
    if lut.ndim != indices.ndim + 2:
        raise ValueError(f"a table of rank {lut.ndim} for indices of rank {indices.ndim}")
    entries, size = lut.shape[-2:]
    if indices.size and int(indices.max()) >= entries:
        raise ValueError(f"index {int(indices.max())} into a table of {entries}")
    places = []
    for axis, (dimension, blocks) in enumerate(zip(indices.shape, lut.shape, strict=False)):
        block = np.arange(dimension) // _block(dimension, blocks)
        places.append(block.reshape([-1 if i == axis else 1 for i in range(indices.ndim)]))
    found = lut[(*places, indices)]  # [*indices.shape, vector size]
    if size == 1:
        return found[..., 0]
    if vector_axis is None:
        raise ValueError("a table of vectors needs vector_axis")
    axis = vector_axis % indices.ndim
    shape = list(indices.shape)
    shape[axis] *= size
    return np.moveaxis(found, -1, axis + 1).reshape(shape)


@operator("constexpr_sparse_to_dense", since="iOS18", constant=True)
def sparse_to_dense(nonzero_data: Array, mask: Array) -> Array:
    """Put the elements that are not zero where the mask is 1; the mask has the result's shape."""
    places = mask != 0
    if int(places.sum()) != nonzero_data.size:
        raise ValueError(f"{nonzero_data.size} elements for {int(places.sum())} bits that are set")
    dense = np.zeros(mask.shape, nonzero_data.dtype)
    dense[places] = nonzero_data
    return dense


@operator("constexpr_lut_to_sparse", since="iOS18", constant=True)
def lut_to_sparse(
    indices_mask: Array,
    indices_nonzero_data: Array,
    lut: Array,
    vector_axis: int | None = None,
) -> tuple[Array, Array]:
    """Look up only what is not zero.

    Returns:
        The mask, longer along vector_axis by the vector size, and the values where it is 1.
    """
    indices = sparse_to_dense(indices_nonzero_data, indices_mask)
    dense = lut_to_dense(indices, lut, vector_axis)
    mask = indices_mask
    if vector_axis is not None and lut.shape[-1] > 1:
        mask = np.repeat(mask, lut.shape[-1], axis=vector_axis)
    return mask, dense[mask != 0]


@operator("constexpr_sparse_blockwise_shift_scale", since="iOS18", constant=True)
def sparse_blockwise_shift_scale(
    data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None
) -> tuple[Array, Array]:
    """Dequantize only what is not zero.

    Returns:
        The mask and the dequantized values where it is 1.
    """
    dense = sparse_to_dense(nonzero_data, data_mask)
    return data_mask, blockwise_shift_scale(dense, scale, offset)[data_mask != 0]


def _block(dimension: int, blocks: int) -> int:
    if blocks < 1 or dimension % blocks:
        raise ValueError(f"{dimension} elements cannot be cut into {blocks} blocks")
    return dimension // blocks


def _repeated(values: Array, shape: tuple[int, ...]) -> Array:
    """Values for each element out of values for each block."""
    if values.ndim != len(shape):
        raise ValueError(f"scale or offset of rank {values.ndim} for data of rank {len(shape)}")
    for axis, (dimension, blocks) in enumerate(zip(shape, values.shape, strict=True)):
        size = _block(dimension, blocks)
        if blocks > 1 and size > 1:  # a single block is broadcast
            values = np.repeat(values, size, axis)
    return values
