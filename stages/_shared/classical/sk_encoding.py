"""Encoders of categories, and imputers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import impute, impute_one
from .ensemble import EQUAL, LESS, regressor, stump
from .frame import Column, Frame
from .graph import DOUBLE
from .lookup import (
    MISSING_TEXT,
    Table,
    is_missing,
    look_up,
    look_up_with_gaps,
    require_text,
)
from .registry import maps, refuse


@maps(
    "transformer",
    "OneHotEncoder",
    how="texts by a mapping to numbers, then one question of a tree for each category",
)
def one_hot_encoder(encoder: Any, frame: Frame) -> Frame:
    """Each category one element; dropped and infrequent ones as in training."""
    tables = []
    for position, categories in enumerate(encoder.categories_):
        answers = _one_hot_rows(encoder, position, len(categories))
        otherwise = None
        if encoder.handle_unknown != "error" or not frame.columns[position].is_text:
            otherwise = _one_hot_unknown(encoder, position, answers.shape[1])
        tables.append(Table(_plain(categories), answers, otherwise))
    return Frame.of(frame.graph, look_up(frame, tables))


def _one_hot_rows(encoder: Any, position: int, count: int) -> Any:
    mapping = _infrequent(encoder, position)
    places = np.arange(count) if mapping is None else np.asarray(mapping)
    rows = np.eye(int(places.max()) + 1)[places]
    dropped = encoder.drop_idx_[position] if encoder.drop_idx_ is not None else None
    if dropped is not None:
        where = dropped if mapping is None else int(places[dropped])
        rows = np.delete(rows, where, axis=1)
    return rows


def _infrequent(encoder: Any, position: int) -> Any:
    if not getattr(encoder, "_infrequent_enabled", False):
        return None
    return encoder._default_to_infrequent_mappings[position]


def _one_hot_unknown(encoder: Any, position: int, width: int) -> Any:
    row = np.zeros(width)
    if (
        encoder.handle_unknown == "infrequent_if_exist"
        and _infrequent(encoder, position) is not None
    ):
        row[-1] = 1.0  # infrequent categories share the last element
    return row


@maps("transformer", "OrdinalEncoder", how="as OneHotEncoder, with the category's number as answer")
def ordinal_encoder(encoder: Any, frame: Frame) -> Frame:
    """Numbers of categories; unknown and missing ones as the encoder says."""
    tables = []
    for position, categories in enumerate(encoder.categories_):
        mapping = _infrequent(encoder, position)
        numbers = np.arange(len(categories), dtype=float) if mapping is None else mapping
        numbers = np.array(numbers, dtype=float)
        for place, category in enumerate(_plain(categories)):
            if is_missing(category):
                numbers[place] = encoder.encoded_missing_value
        otherwise = None
        if encoder.handle_unknown == "use_encoded_value":
            otherwise = [float(encoder.unknown_value)]
        elif not frame.columns[position].is_text:
            otherwise = [np.nan]
        tables.append(Table(_plain(categories), numbers[:, None], otherwise))
    return Frame.of(frame.graph, look_up_with_gaps(frame, tables))


@maps("transformer", "TargetEncoder", how="as OneHotEncoder, with the category's mean as answer")
def target_encoder(encoder: Any, frame: Frame) -> Frame:
    """Means of the target, the whole mean for what is unknown."""
    if encoder.target_type_ == "multiclass":
        raise Problem("TargetEncoder of more than two classes is not mapped to Core ML")
    tables = [
        Table(_plain(categories), np.asarray(means)[:, None], [float(encoder.target_mean_)])
        for categories, means in zip(encoder.categories_, encoder.encodings_, strict=True)
    ]
    return Frame.of(frame.graph, look_up(frame, tables))


def _plain(categories: Any) -> list[Any]:
    return [c.item() if isinstance(c, np.generic) else c for c in categories]


@maps("transformer", "SimpleImputer", how="Core ML's imputer; a number or text may be left out")
def simple_imputer(imputer: Any, frame: Frame) -> Frame:
    """Means, medians, most frequent values or constants; and indicators of what was missing."""
    filled: list[Column] = []
    for column, value in zip(frame.columns, imputer.statistics_, strict=True):
        if is_missing(value if not isinstance(value, np.generic) else value.item()):
            continue  # a column without any value in training is left out
        filled.append(_filled(imputer, frame, column, value))
    result = Frame(frame.graph, tuple(filled))
    if imputer.indicator_ is not None:
        result = result.join([missing_indicator(imputer.indicator_, frame)])
    return result


def _filled(imputer: Any, frame: Frame, column: Column, value: Any) -> Column:
    missing = imputer.missing_values
    if isinstance(value, str):
        require_text(column, value)
    if column.is_text:
        sign = missing if isinstance(missing, str) else MISSING_TEXT
        return Column(column.name, impute_one(frame.graph, column.source, str(value), sign))
    sign = None if is_missing(missing) else float(missing)
    source = column.source
    if source.kind == DOUBLE:
        return Column(column.name, impute_one(frame.graph, source, float(value), sign))
    vector = Frame(frame.graph, (column,)).vector()
    return Column(column.name, impute(frame.graph, vector, [float(value)], sign))


@maps("transformer", "MissingIndicator", how="one question of a tree for each column")
def missing_indicator(indicator: Any, frame: Frame) -> Frame:
    """1 where a value is missing."""
    missing = indicator.missing_values
    if isinstance(missing, str):
        raise Problem("MissingIndicator of texts is not mapped to Core ML")
    trees = []
    for place, position in enumerate(indicator.features_.tolist()):
        if is_missing(missing):
            trees.append(stump(position, -np.inf, [1.0], [0.0], LESS, True, place))
        else:
            trees.append(stump(position, float(missing), [1.0], [0.0], EQUAL, False, place))
    if not trees:
        return Frame(frame.graph, ())
    return Frame.of(frame.graph, regressor(frame, trees, np.zeros(len(trees)), missing=True))


refuse("it looks at all rows of its training data again", "KNNImputer")
refuse("it fits a model for each column in turn", "IterativeImputer")
refuse("it hashes texts, which no Core ML model does", "FeatureHasher", "HashingVectorizer")
refuse(
    "it splits texts into words: use `train/text-classifier` or Create ML's",
    "CountVectorizer", "TfidfVectorizer", "TfidfTransformer",
)  # fmt: skip
