"""Small tables, recordings and drawings that Turi Create learns in a moment."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _old_packages_warn() -> Any:
    """Turi Create's Python and TensorFlow warn of what newer ones will lack."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """``table("name.csv", {"column": [...]}) -> Path``."""

    def write(name: str, columns: dict) -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values()))  # noqa: B905
        return path

    return write


@pytest.fixture
def mixed(table: Any) -> Path:
    """Two numbers and a colour; a label and a number that follow from them."""
    random = np.random.RandomState(3)
    length, weight = random.uniform(1, 9, 150), random.uniform(-2, 2, 150)
    colour = random.choice(["blue", "green", "red"], 150)
    price = 3 * length + weight + 5 * (colour == "red")
    columns = {"length": length, "weight": weight, "colour": colour, "price": price}
    return table("mixed.csv", {**columns, "sold": np.where(price > 16, "yes", "no")})
