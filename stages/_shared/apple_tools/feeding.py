"""A sample as Core ML itself takes it, which is stricter than the reference runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..parity.rows import RowSide
from ..parity.sides import CoreMLSide


def taken(side: CoreMLSide, rows: RowSide | None, content: Any) -> dict[str, Any]:
    """The model's inputs by name.

    Args:
        side: the model.
        rows: the same for rows of a table; None where samples are none.
        content: a picture, arrays by name, or the cells of a row.
    """
    if rows is not None:
        return rows.given(content)
    if not isinstance(content, Mapping):
        return dict(side.prepared(content))
    wanted = {feature.name: feature for feature in side.model.description.inputs}
    return {name: _typed(value, wanted.get(name)) for name, value in content.items()}


def _typed(value: Any, wanted: Any) -> Any:
    """An array in the type that the model declares."""
    if wanted is None:
        return value
    if wanted.array is None:  # a single number or text
        return value.item() if value.ndim == 0 else value
    # coremltools takes no float16, and brings float32 to it.
    return value.astype({"float16": "float32"}.get(wanted.array.dtype, wanted.array.dtype))
