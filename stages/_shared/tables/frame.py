"""A table as pandas and scikit-learn take it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .table import NUMBER, Table


def to_frame(table: Table) -> pd.DataFrame:
    """Numbers as float64, categories as objects; NaN where nothing is."""
    columns = {}
    for name, column in table.columns.items():
        if column.type == NUMBER:
            columns[name] = pd.Series(column.values, dtype=np.float64)
            continue
        values = column.values.copy()
        values[column.empty] = np.nan  # None is a value for scikit-learn's imputer, NaN is none
        columns[name] = pd.Series(values, dtype=object)
    return pd.DataFrame(columns)
