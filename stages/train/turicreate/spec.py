"""train/turicreate: a toolkit of Turi Create, learnt from a table, recordings or drawings."""

from __future__ import annotations

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.tables.spec_parameters import ReadingParams
from . import spec_toolkits as toolkits


class TuriParams(ReadingParams):
    """Which toolkit learns which columns, and what judges it."""

    toolkit: (
        toolkits.LinearRegression
        | toolkits.LogisticClassifier
        | toolkits.SvmClassifier
        | toolkits.Classifier
        | toolkits.Regression
        | toolkits.BoostedTreesClassifier
        | toolkits.BoostedTreesRegression
        | toolkits.RandomForestClassifier
        | toolkits.RandomForestRegression
        | toolkits.DecisionTreeClassifier
        | toolkits.DecisionTreeRegression
        | toolkits.TextClassifier
        | toolkits.ActivityClassifier
        | toolkits.DrawingClassifier
        | toolkits.ItemSimilarityRecommender
        | toolkits.ItemContentRecommender
        | toolkits.FactorizationRecommender
        | toolkits.RankingFactorizationRecommender
        | toolkits.PopularityRecommender
        | toolkits.Kmeans
        | toolkits.Dbscan
        | toolkits.TopicModel
        | toolkits.NearestNeighbors
        | toolkits.NearestNeighborClassifier
        | toolkits.ImageClassifier
        | toolkits.ImageSimilarity
        | toolkits.SoundClassifier
        | toolkits.ObjectDetector
        | toolkits.StyleTransfer
        | toolkits.OneShotObjectDetector
    ) = Field(..., discriminator="name", description="Its `name` and its own parameters.")
    target: str | None = Field(
        None, min_length=1, description="The column that is learnt; of recommenders the rating."
    )
    include: list[str] | None = Field(
        None, min_length=1, description="Columns to learn from, names or patterns; default: all."
    )
    exclude: list[str] = Field(
        default_factory=list, description="Columns to leave out, names or patterns."
    )
    types: dict[str, Literal["number", "category"]] = Field(
        default_factory=dict,
        description="Types of columns; default: number where every value is one.",
    )
    max_categories: int = Field(
        1000, ge=2, description="A column of text with more of them is refused: names, free text."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of every random choice.")
    evaluate: Literal["auto", "holdout", "test", "none"] = Field(
        "auto",
        description="Rows that the figures come from. `auto`: the `test` input, else a held-out "
        "part; `none`: all is learnt, nothing is judged.",
    )
    holdout: float = Field(
        0.2, gt=0, lt=1, description="Share held out: of rows by label, of recordings, of users."
    )
    refit: bool = Field(
        True, description="Learn everything once more after judging; the figures stay."
    )
    samples: int = Field(
        200, ge=1, le=100_000, description="Judged rows to give out for validation, at most."
    )

    @model_validator(mode="after")
    def _together(self) -> TuriParams:
        name = getattr(self.toolkit, "name", "")
        supervised = name.endswith(("classifier", "regression")) or name == "classifier"
        pictures = ("drawing-classifier", "image-classifier", "sound-classifier")
        if supervised and name not in pictures and self.target is None:
            raise ValueError(f"target: {name} learns a column, which must be said")
        if name in pictures and self.target is not None:
            raise ValueError(f"target: {name} takes labels from the names of folders")
        if self.target is not None and self.target in (self.include or ()):
            raise ValueError(f"include: '{self.target}' is the target")
        for column in self.types:
            if column in self.exclude:
                raise ValueError(f"types: '{column}' is excluded")
        return self


KIND = Kind(
    summary="Trains a toolkit of Turi Create.",
    toolchain="turicreate",
    params=TuriParams,
    inputs={
        "data": In(
            "Table | ImageFolder | Folder | File",
            "A table; recordings (a table, or .ts files); drawings or pictures in folders by "
            "label; strokes (.ndjson).",
        ),
        "test": In(
            "Table | ImageFolder | Folder | File", "For the figures; never learnt.", optional=True
        ),
        "items": In("Table", "Of recommenders: columns of items.", optional=True),
        "weights": In(
            "Folder | File",
            "Networks of Apple's that some toolkits begin with, as Turi Create's `model_cache` "
            "holds them.",
            optional=True,
        ),
    },
    outputs={
        "model": Out("TuriModel", "model", "What Turi Create saves, and what it says of itself."),
        "report": Out("Report", "report.json", "Figures."),
        "samples": Out("Folder", "samples", "Judged samples as the model takes them, for parity."),
    },
    metrics={
        "accuracy": Metric("Share of right answers on what was not learnt.", share=True),
        "log_loss": Metric("Mean of -log of the true label's probability.", better="min"),
        "calibration_error": Metric("Expected calibration error, 15 bins.", better="min"),
        "precision.*": Metric("Share of right ones among those called so.", share=True),
        "recall.*": Metric("Share of a label that was found.", share=True),
        "labels": Metric("Number of labels.", better="none"),
        "rmse": Metric("Root mean square error.", better="min"),
        "mae": Metric("Mean absolute error.", better="min"),
        "r2": Metric("Share of the variance that is explained."),
        "recall_at_k": Metric(
            "Of recommenders: mean share of a user's held-out items that are recommended."
        ),
        "precision_at_k": Metric(
            "Of recommenders: mean share of recommended items that the user has."
        ),
        "users": Metric("Users with held-out items.", better="none"),
        "clusters": Metric("Groups that rows fell into.", better="none"),
        "inertia": Metric("Mean square distance of rows from their centre.", better="min"),
        "perplexity": Metric("Of topics: how surprising the words of a text are.", better="min"),
        "rows": Metric("Rows, texts, moments or pictures that were learnt.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "Turi Create 6.4.1 runs in a toolchain of its own (Python 3.8). A toolkit's parameters "
        "have Turi Create's names. Tables become SFrames: numbers, and text, which its toolkits "
        "encode themselves; labels are text. Figures come from rows, recordings or users that "
        "were held out; then everything is learnt once more.\n\n"
        "`convert/coreml` takes regression and classification, text, activity and drawing "
        "classifiers, item similarity and item content; the other recommenders, k-means, DBSCAN, "
        "topics and nearest neighbours have no export. Image and sound classifiers, image "
        "similarity, object detectors and style transfer begin with networks that Turi Create "
        "would fetch from Apple: give them as the input `weights`. "
        "Equal work leaves equal bytes (of a topic model equal contents): names of parts and "
        "durations are made plain."
    ),
    example={"toolkit": {"name": "boosted-trees-classifier", "max_iterations": 20}, "target": "x"},
)
