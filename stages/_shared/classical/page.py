"""``docs/classical.md``: which estimator becomes what, from the registry alone."""

from __future__ import annotations

from itertools import groupby

from .every import MODULES
from .registry import Entry, entries, refused

_LIBRARIES = {
    "sklearn": "scikit-learn",
    "xgboost": "XGBoost, in a pipeline of scikit-learn",
    "lightgbm": "LightGBM, in a pipeline of scikit-learn",
}
_GIVES = {
    "transformer": "`transformed`, a multi-array",
    "regressor": "a number, or a multi-array of several, under the target's name",
    "classifier": "`classLabel` and `classProbability`; `classScore` where scikit-learn has no "
    "probabilities",
    "clusterer": "`cluster`, and `distances` to the centres or `probabilities`",
    "detector": "`score`, scikit-learn's `decision_function`, and `anomaly`, 1 where it is below "
    "zero",
}
_HEAD = """# Models of tables in Core ML

Made from the registry of `stages/_shared/classical`; do not edit. `convert/coreml` takes models of
scikit-learn, XGBoost, LightGBM and LIBSVM in the toolchain `classical`.

Everything here is mapped by mlbuild itself, not by coremltools' converters, which refuse most of it
and are silently wrong on some: XGBoost's base score is read from the model, the probabilities of
forests sum to 1, multinomial logistic regression is one, SVC's label is the one that scikit-learn
votes for. Before a package is written it is run by the reference runtime on drawn rows, and on the
input `samples` if there is one, and compared with the library's own predictions: a number that
differs by more than 1e-5 of its output's greatest one, or another label that is not on a border,
fails the stage and names the step.

**Inputs** are one for each column (`features: columns`), numbers as doubles and categories as
texts, or one multi-array (`features: vector`). Columns that nothing depends on are left out. Where
a model was trained with missing values, an input may be left out.

**Precision.** Core ML's classical models compute in doubles here as in their specification, ML
Programs in float32, never float16. Means are taken away in doubles before a program sees a column.
scikit-learn's trees and XGBoost round an input to float32 before they compare it: thresholds are
chosen so that the comparison in doubles goes the same way for every input.

**XGBoost** (.json, .ubj): all objectives but `binary:hinge` and several targets; DART with its
weights, gblinear, categories, missing values; rounds after the best one are left out.
**LightGBM** (.txt): all objectives but custom ones; the three kinds of missing values, categories,
DART and random forests; no linear trees. **LIBSVM** (.libsvm): C-SVC, nu-SVC, one-class,
epsilon-SVR, nu-SVR with linear, polynomial, RBF and sigmoid kernels, with and without
probabilities; no precomputed kernels.
"""


def text() -> str:
    """The whole page."""
    assert MODULES
    parts = [_HEAD]
    for library, found in groupby(entries(), key=lambda e: e.library):
        parts.append(f"## {_LIBRARIES[library]}\n")
        for role, rows in groupby(found, key=lambda e: e.role):
            parts.append(f"### {role.capitalize()}s: {_GIVES[role]}\n")
            parts.append(_table(list(rows)))
    parts.append("## Refused by name\n\n| estimator | because |\n| --- | --- |")
    parts[-1] += "".join(f"\n| {name} | {why} |" for (_, name), why in refused().items()) + "\n"
    return "\n".join(parts)


def _table(rows: list[Entry]) -> str:
    """One line for each way, with the estimators that go it."""
    ways: dict[str, list[str]] = {}
    for row in rows:
        ways.setdefault(row.how, []).append(row.name)
    lines = ["| estimators | become |", "| --- | --- |"]
    lines += [f"| {', '.join(names)} | {how} |" for how, names in ways.items()]
    return "\n".join(lines) + "\n"
