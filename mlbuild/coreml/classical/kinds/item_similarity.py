"""Recommending items that are similar to given ones.

The score of item k is the sum over the given items i of sim(k, i) * (score_i - shift_k), where
the list of i holds sim(k, i) and shift_k is the adjustment of item k. All items have a score,
zero where nothing is similar; they are ranked by falling score, equal ones by their position.

Given items are a dictionary of scores, or a sequence or array of items with a score of one
each. Items that the model does not know are left out. Unless an exclusion list is given, the
given items are not recommended; a restriction list leaves only its items.

Source: Core ML specification, ItemSimilarityRecommender.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...body import Ran
from ...errors import InputError
from ..kind import Computation, Given, kind
from ..vectors import flat

_MOST_ITEMS = 2**24


@dataclass(frozen=True, slots=True)
class _Table:
    """Items by position; for each the positions and similarities of those similar to it."""

    names: tuple[Any, ...]
    places: dict[Any, int]
    similar: dict[int, tuple[Any, Any]]
    shifts: Any

    def scores(self, given: Mapping[int, float]) -> Any:
        """The score of every item."""
        result = np.zeros(len(self.names))
        for item, score in given.items():
            if item in self.similar:
                others, similarities = self.similar[item]
                np.add.at(result, others, similarities * (score - self.shifts[others]))
        return result


@kind("itemSimilarityRecommender")
def item_similarity(given: Given) -> Computation:
    """The best items in order, and their scores by item."""
    params = given.params
    table = _table(given)
    inputs = {feature.name for feature in given.inputs}
    source = params.itemInputFeatureName or (next(iter(inputs)) if len(inputs) == 1 else "")
    if source not in inputs:
        raise given.wrong(
            "the input of items is not described", repr(source), tuple(sorted(inputs))
        )
    listed, scored = (
        params.recommendedItemListOutputFeatureName,
        params.recommendedItemScoreOutputFeatureName,
    )
    if not listed and not scored:
        raise given.wrong("no output is named")

    def run(values: Mapping[str, Any]) -> Ran:
        observed = _observed(table, values[source])
        scores = table.scores(observed)
        allowed = np.ones(len(scores), bool)
        if (only := values.get(params.itemRestrictionInputFeatureName)) is not None:
            allowed[:] = False
            allowed[_known(table, _items(only))] = True
        excluded = values.get(params.itemExclusionInputFeatureName)
        allowed[list(observed) if excluded is None else _known(table, _items(excluded))] = False
        order = np.argsort(-scores, kind="stable")
        best = order[allowed[order]][: _count(given, values)]
        outputs = {
            listed: [table.names[place] for place in best],
            scored: {table.names[place]: float(scores[place]) for place in best},
        }
        return Ran({name: value for name, value in outputs.items() if name}, {"scores": scores})

    return Computation(run, values=("scores",))


def _table(given: Given) -> _Table:
    params = given.params
    lists = {each.itemId: each for each in params.itemItemSimilarities}
    if len(lists) != len(params.itemItemSimilarities):
        raise given.wrong("an item with two lists of similar items")
    mentioned = [o.itemId for each in lists.values() for o in each.similarItemList]
    highest = max([-1, *lists, *mentioned])
    names = _names(given, highest)
    shifts = np.zeros(len(names))
    for item, each in lists.items():
        shifts[item] = each.itemScoreAdjustment
    similar = {
        item: (
            np.array([other.itemId for other in each.similarItemList], np.int64),
            np.array([other.similarityScore for other in each.similarItemList], np.float64),
        )
        for item, each in lists.items()
    }
    return _Table(names, {name: place for place, name in enumerate(names)}, similar, shifts)


def _names(given: Given, highest: int) -> tuple[Any, ...]:
    params = given.params
    strings, numbers = tuple(params.itemStringIds.vector), tuple(params.itemInt64Ids.vector)
    if strings and numbers:
        raise given.wrong("items are named by strings and by integers")
    names: tuple[Any, ...] = strings or numbers
    if not names:
        if highest >= _MOST_ITEMS:
            raise given.wrong("an absurd number of items", highest + 1, (f"up to {_MOST_ITEMS}",))
        return tuple(range(highest + 1))
    if highest >= len(names):
        raise given.wrong(
            "similarities of an item without a name", highest, (f"0 to {len(names) - 1}",)
        )
    if len(set(names)) != len(names):
        raise given.wrong("an item's name stands twice")
    return names


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [int(item) for item in flat(value)]


def _known(table: _Table, items: Iterable[Any]) -> list[int]:
    return [table.places[item] for item in items if item in table.places]


def _observed(table: _Table, value: Any) -> dict[int, float]:
    if isinstance(value, Mapping):
        return {table.places[k]: float(v) for k, v in value.items() if k in table.places}
    return dict.fromkeys(_known(table, _items(value)), 1.0)


def _count(given: Given, values: Mapping[str, Any]) -> int | None:
    count = values.get(given.params.numRecommendationsInputFeatureName)
    if count is None:
        return None
    if count < 0:
        raise InputError(
            "a negative number of recommendations",
            place=f"input '{given.params.numRecommendationsInputFeatureName}'",
            got=str(count),
        )
    return int(count)
