"""Compressed weights of iOS16: operands are attributes, narrow fields packed in bytes.

Results are made when a program is compiled, in the type of the scale, the table or the data.

Source: coremltools MIL op docs, iOS16 constexpr_ops.
"""

from __future__ import annotations

import numpy as np

from ..dtypes import BY_NAME
from ..operator import Array, operator
from ..weights import unpack

_TABLE_BITS = {2: 1, 4: 2, 8: 3, 16: 4, 64: 6, 256: 8}


@operator("constexpr_affine_dequantize", since="iOS16", constant=True)
def affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: int) -> Array:
    """Affine dequantization.

    Args:
        quantized_data: int8 or uint8 of any shape.
        zero_point: One, or one for each element of the axis.
        scale: Likewise; float16 or float32.
        axis: The dimension along which scale and zero point vary.

    Returns:
        scale * (quantized_data - zero_point), in the scale's type.
    """
    shape = [1] * quantized_data.ndim
    if scale.size > 1 or zero_point.size > 1:
        shape[axis] = -1
    data = quantized_data.astype(np.float32)
    data -= zero_point.astype(np.float32).reshape(shape if zero_point.size > 1 else ())
    data *= scale.astype(np.float32).reshape(shape if scale.size > 1 else ())
    return data.astype(scale.dtype)


@operator("constexpr_lut_to_dense", since="iOS16", constant=True)
def lut_to_dense(indices: Array, lut: Array, shape: Array) -> Array:
    """Look each element up in a table.

    Args:
        indices: uint8 of shape [ceil(bits * product(shape) / 8)], packed from the lowest bit on.
        lut: [2 ** bits].
        shape: The shape of the result.

    Returns:
        The table's values, of that shape.
    """
    count, bits = _count(shape), _bits(lut.size)
    if indices.size != -(-count * bits // 8):
        raise ValueError(f"{indices.size} bytes of indices for {count} elements of {bits} bits")
    places = unpack(indices, BY_NAME[f"uint{bits}"], count) if bits < 8 else indices
    return lut.reshape(-1)[places].reshape(shape.astype(np.int64))


@operator("constexpr_sparse_to_dense", since="iOS16", constant=True)
def sparse_to_dense(nonzero_data: Array, mask: Array, shape: Array) -> Array:
    """Put the elements that are not zero where the mask has a bit.

    Args:
        nonzero_data: One element for each bit that is set.
        mask: uint8 of shape [ceil(product(shape) / 8)], packed from the lowest bit on.
        shape: The shape of the result.

    Returns:
        The data, zeros between them, of that shape.
    """
    count = _count(shape)
    if mask.size != -(-count // 8):
        raise ValueError(f"{mask.size} bytes of mask for {count} elements")
    places = np.unpackbits(mask, bitorder="little", count=count).astype(bool)
    if int(places.sum()) != nonzero_data.size:
        raise ValueError(f"{nonzero_data.size} elements for {int(places.sum())} bits that are set")
    dense = np.zeros(count, nonzero_data.dtype)
    dense[places] = nonzero_data
    return dense.reshape(shape.astype(np.int64))


@operator("constexpr_cast", since="iOS16", constant=True)
def cast(source_val: Array, output_dtype: str) -> Array:
    """The same numbers in another type, float32 from float16."""
    return source_val.astype(BY_NAME[output_dtype].storage)


def _count(shape: Array) -> int:
    count = 1
    for dimension in shape.reshape(-1).tolist():
        count *= int(dimension)
    return count


def _bits(entries: int) -> int:
    if entries not in _TABLE_BITS:
        raise ValueError(f"a table of {entries} entries")
    return _TABLE_BITS[entries]
