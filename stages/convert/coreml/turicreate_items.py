"""Recommenders of similar items as Core ML's own, which needs no library of Turi Create's.

Its own export is a custom model, code that an app must bring. Core ML says the same: the score of
an item is the sum of its similarities to the given ones; Turi Create divides that by how many are
given, which changes no order.

Source: Core ML specification, ItemSimilarityRecommender.proto; turicreate, get_similar_items.
"""

from __future__ import annotations

from typing import Any, Dict, List  # noqa: UP035 - evaluated, on 3.8 too

from ..._shared.problem.problem import Problem

_ITEMS, _COUNT, _LISTED, _SCORES = "interactions", "k", "recommendations", "scores"
_VERSION = 3  # of the specification that has it: iOS 12


def recommender(model: Any, description: Dict[str, Any]) -> Any:  # noqa: UP006
    """The specification.

    Raises:
        Problem: Core ML cannot say the same.
    """
    from coremltools.proto import Model_pb2  # heavy

    if (description.get("options") or {}).get("similarity_type") == "pearson" or _pearson(model):
        raise Problem(
            "pearson: Core ML's recommender knows sums of similarities, not means of ratings",
            hint="similarity_type: jaccard, or cosine",
        )
    item = model.item_id
    similar = model.get_similar_items(k=max(1, int(model.num_items)))
    names = sorted({*description.get("items", ()), *(str(i) for i in similar[item])})
    places = {name: place for place, name in enumerate(names)}
    spec = Model_pb2.Model(specificationVersion=_VERSION)
    _interface(spec.description)
    made = spec.itemSimilarityRecommender
    made.itemStringIds.vector.extend(names)
    made.itemInputFeatureName, made.numRecommendationsInputFeatureName = _ITEMS, _COUNT
    made.recommendedItemListOutputFeatureName = _LISTED
    made.recommendedItemScoreOutputFeatureName = _SCORES
    lists: Dict[str, List[Any]] = {}  # noqa: UP006
    for name, other, score in zip(similar[item], similar["similar"], similar["score"]):  # noqa: B905
        lists.setdefault(str(name), []).append((places[str(other)], float(score)))
    for name in sorted(lists):
        entry = made.itemItemSimilarities.add(itemId=places[name])
        for place, score in lists[name]:
            entry.similarItemList.add(itemId=place, similarityScore=score)
    return spec


def _pearson(model: Any) -> bool:
    try:
        return bool(model.similarity_type == "pearson")
    except AttributeError:
        return False  # items by content have no such choice


def _interface(description: Any) -> None:
    items = description.input.add(name=_ITEMS, shortDescription="Items that are liked: 1, or more")
    items.type.dictionaryType.stringKeyType.SetInParent()
    count = description.input.add(name=_COUNT, shortDescription="How many to recommend")
    count.type.int64Type.SetInParent()
    listed = description.output.add(name=_LISTED, shortDescription="The best items, in order")
    listed.type.sequenceType.stringType.SetInParent()
    scores = description.output.add(
        name=_SCORES, shortDescription="Sum of similarities to the given items"
    )
    scores.type.dictionaryType.stringKeyType.SetInParent()
