"""Wines of three grapes as three tables: the factory's, a user's few, and what judges both.

The factory has hardly seen barbera: one bottle. The user has eight.
"""

import csv
import sys
from pathlib import Path

NAMES = [
    *("alcohol", "malic_acid", "ash", "alcalinity", "magnesium", "phenols", "flavanoids"),
    *("nonflavanoids", "proanthocyanins", "colour", "hue", "od280", "proline", "classLabel"),
]
GRAPES = ["barolo", "grignolino", "barbera"]


def main(source, factory, user, judge):
    """Write the three tables."""
    with source.open(newline="") as file:
        rows = [[*row[:-1], GRAPES[int(row[-1])]] for row in list(csv.reader(file))[1:]]
    learnt, judged = rows[::2], rows[1::2]
    barbera = [row for row in learnt if row[-1] == "barbera"]
    others = [row for row in learnt if row[-1] != "barbera"]
    for path, part in ((factory, others + barbera[:1]), (user, barbera[1:9]), (judge, judged)):
        with Path(path).open("w", newline="") as file:
            csv.writer(file).writerows([NAMES, *part])


given = Path(sys.argv[1])
main(next(given.rglob("*.csv")) if given.is_dir() else given, *sys.argv[2:])
