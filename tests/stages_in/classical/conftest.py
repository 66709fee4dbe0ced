"""Small real tables, written as files that a user would have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

NAMES = {
    "iris": ["sepal length", "sepal width", "petal length", "petal width"],
    "wine": None,
    "diabetes": None,
}


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """``table("iris", rows=slice(0, 100, 2)) -> Path`` of a CSV of a set of scikit-learn."""
    from sklearn import datasets

    def write(name: str, rows: slice = slice(None), to: str | None = None) -> Path:
        found = getattr(datasets, f"load_{name}")()
        names = [str(n) for n in NAMES[name] or found.feature_names]
        labels = getattr(found, "target_names", None)
        lines = [",".join([*names, "target"])]
        for numbers, target in list(zip(found.data, found.target))[rows]:  # noqa: B905
            said = str(target) if labels is None else str(labels[target])
            lines.append(",".join([*(repr(float(n)) for n in numbers), said]))
        path = tmp_path / (to or f"{name}.csv")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Numbers and text, in which colour decides together with size."""
    import numpy as np

    random = np.random.default_rng(3)
    lines = ["size,colour,shop,price,sold"]
    for place in range(120):
        size, colour = random.uniform(1, 9), ["red", "green", "blue"][random.integers(3)]
        price = 3 * size + {"red": 10, "green": 0, "blue": -5}[colour] + random.normal() / 10
        sold = "yes" if price > 15 else "no"
        lines.append(f"{size:.4f},{colour},{'AB'[place % 2]},{price:.4f},{sold}")
    path = tmp_path / "mixed.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
