"""What each toolkit of Turi Create is for, by the name that mlbuild gives it."""

from __future__ import annotations

from ..problem.problem import Problem

CLASSIFIERS = (
    "classifier", "logistic-classifier", "svm-classifier", "boosted-trees-classifier",
    "random-forest-classifier", "decision-tree-classifier",
)  # fmt: skip
REGRESSORS = (
    "regression", "linear-regression", "boosted-trees-regression", "random-forest-regression",
    "decision-tree-regression",
)  # fmt: skip
TEXT, ACTIVITY, DRAWING = "text-classifier", "activity-classifier", "drawing-classifier"
SIMILAR_ITEMS = ("item-similarity-recommender", "item-content-recommender")
RECOMMENDERS = (
    *SIMILAR_ITEMS, "factorization-recommender", "ranking-factorization-recommender",
    "popularity-recommender",
)  # fmt: skip
PRETRAINED = (
    "image-classifier", "image-similarity", "sound-classifier", "object-detector",
    "style-transfer", "one-shot-object-detector",
)  # fmt: skip
WITHOUT_SCORES = ("svm-classifier", "nearest-neighbor-classifier")

# What Turi Create has an export for.
EXPORTED = (*CLASSIFIERS, *REGRESSORS, TEXT, ACTIVITY, DRAWING, *SIMILAR_ITEMS, *PRETRAINED)

# How the class of a model that describes nothing is called here.
_OF_CLASSES = {
    "LogisticClassifier": "logistic-classifier",
    "SVMClassifier": "svm-classifier",
    "BoostedTreesClassifier": "boosted-trees-classifier",
    "RandomForestClassifier": "random-forest-classifier",
    "DecisionTreeClassifier": "decision-tree-classifier",
    "LinearRegression": "linear-regression",
    "BoostedTreesRegression": "boosted-trees-regression",
    "RandomForestRegression": "random-forest-regression",
    "DecisionTreeRegression": "decision-tree-regression",
    "TextClassifier": TEXT,
    "ActivityClassifier": ACTIVITY,
    "DrawingClassifier": DRAWING,
    "ItemSimilarityRecommender": "item-similarity-recommender",
    "ItemContentRecommender": "item-content-recommender",
    "FactorizationRecommender": "factorization-recommender",
    "RankingFactorizationRecommender": "ranking-factorization-recommender",
    "PopularityRecommender": "popularity-recommender",
    "KmeansModel": "kmeans",
    "DBSCANModel": "dbscan",
    "TopicModel": "topic-model",
    "NearestNeighborsModel": "nearest-neighbors",
    "NearestNeighborClassifier": "nearest-neighbor-classifier",
    "ImageClassifier": "image-classifier",
    "ImageSimilarityModel": "image-similarity",
    "SoundClassifier": "sound-classifier",
    "ObjectDetector": "object-detector",
    "StyleTransfer": "style-transfer",
    "OneShotObjectDetector": "one-shot-object-detector",
}


def toolkit_of(model: object) -> str:
    """The toolkit that a model is of.

    Raises:
        Problem: it is of none that is known.
    """
    name = type(model).__name__
    if name not in _OF_CLASSES:
        raise Problem(f"a model of Turi Create's {name} is not known here")
    return _OF_CLASSES[name]


def classifies(toolkit: str) -> bool:
    """Whether its answers are labels."""
    return toolkit.endswith("classifier")
