"""The toolkits of Turi Create, each with its own parameters under its own names."""

from __future__ import annotations

from typing import Literal

from mlbuild.api import Field, Params, model_validator


class _Linear(Params):
    """What linear models share."""

    feature_rescaling: bool = Field(True, description="Bring features to one scale first.")
    convergence_threshold: float = Field(0.01, gt=0, description="Change at which it stops.")
    lbfgs_memory_level: int = Field(11, ge=1, description="Steps that lbfgs remembers.")
    max_iterations: int = Field(10, ge=1, description="Passes over the data, at most.")


class _Penalized(_Linear):
    """Linear models with both penalties."""

    l2_penalty: float = Field(0.01, ge=0, description="Squared penalty of coefficients.")
    l1_penalty: float = Field(
        0.0, ge=0, description="Absolute penalty; above 0 needs solver fista or auto."
    )
    solver: Literal["auto", "newton", "lbfgs", "fista"] = Field("auto", description="How.")
    step_size: float = Field(1.0, gt=0, description="First step of fista.")

    @model_validator(mode="after")
    def _sparse(self) -> _Penalized:
        if self.l1_penalty > 0 and self.solver in ("newton", "lbfgs"):
            raise ValueError(f"l1_penalty: the solver {self.solver} knows l2_penalty alone")
        return self


class LinearRegression(_Penalized):
    """A number from a weighted sum of the columns."""

    name: Literal["linear-regression"]


class LogisticClassifier(_Penalized):
    """A label from weighted sums of the columns."""

    name: Literal["logistic-classifier"]
    class_weights: Literal["none", "auto"] | dict[str, float] = Field(
        "none", description="`auto`: each label counts the same."
    )


class SvmClassifier(_Linear):
    """One of two labels, by the side of a plane."""

    name: Literal["svm-classifier"]
    penalty: float = Field(1.0, gt=0, description="Of rows on the wrong side.")
    solver: Literal["auto", "lbfgs"] = Field("auto", description="How.")
    class_weights: Literal["none", "auto"] | dict[str, float] = Field(
        "none", description="`auto`: each label counts the same."
    )


class Classifier(Params):
    """Whichever of its classifiers Turi Create finds best."""

    name: Literal["classifier"]


class Regression(Params):
    """Whichever of its regressions Turi Create finds best."""

    name: Literal["regression"]


class _Tree(Params):
    """What trees share."""

    max_depth: int = Field(6, ge=1, le=100, description="Of a tree.")
    min_loss_reduction: float = Field(0.0, ge=0, description="Least gain of a split.")
    min_child_weight: float = Field(0.1, ge=0, description="Least weight of a leaf's rows.")


class _Forest(_Tree):
    """What several trees share."""

    max_iterations: int = Field(10, ge=1, le=10_000, description="Trees (of each label).")
    row_subsample: float = Field(1.0, gt=0, le=1, description="Share of rows of a tree.")
    column_subsample: float = Field(1.0, gt=0, le=1, description="Share of columns of a tree.")


class _Random(_Forest):
    """What random forests share."""

    row_subsample: float = Field(0.8, gt=0, le=1, description="Share of rows of a tree.")
    column_subsample: float = Field(0.8, gt=0, le=1, description="Share of columns of a tree.")


class BoostedTreesClassifier(_Forest):
    """A label from trees, each of which mends what those before it say."""

    name: Literal["boosted-trees-classifier"]
    step_size: float = Field(0.3, gt=0, le=1, description="How much of each tree counts.")
    class_weights: Literal["none", "auto"] | dict[str, float] = Field(
        "none", description="`auto`: each label counts the same."
    )


class BoostedTreesRegression(_Forest):
    """A number from trees, each of which mends what those before it say."""

    name: Literal["boosted-trees-regression"]
    step_size: float = Field(0.3, gt=0, le=1, description="How much of each tree counts.")


class RandomForestClassifier(_Random):
    """A label from the mean of trees."""

    name: Literal["random-forest-classifier"]
    class_weights: Literal["none", "auto"] | dict[str, float] = Field(
        "none", description="`auto`: each label counts the same."
    )


class RandomForestRegression(_Random):
    """A number from the mean of trees."""

    name: Literal["random-forest-regression"]


class DecisionTreeClassifier(_Tree):
    """A label from one tree."""

    name: Literal["decision-tree-classifier"]
    class_weights: Literal["none", "auto"] | dict[str, float] = Field(
        "none", description="`auto`: each label counts the same."
    )


class DecisionTreeRegression(_Tree):
    """A number from one tree."""

    name: Literal["decision-tree-regression"]


class TextClassifier(Params):
    """A label from how often words occur."""

    name: Literal["text-classifier"]
    text: str | None = Field(
        None, description="The column of text; default: the only one beside the target."
    )
    drop_stop_words: bool = Field(True, description="Leave out English words like `the`.")
    word_count_threshold: int = Field(2, ge=1, description="Leave out rarer words.")
    max_iterations: int = Field(10, ge=1, description="Passes over the data, at most.")
    l2_penalty: float = Field(0.2, ge=0, description="Squared penalty of coefficients.")


class ActivityClassifier(Params):
    """A label of movement from recordings of sensors; a network with a memory."""

    name: Literal["activity-classifier"]
    session: str = Field("session", description="Column that tells recordings apart.")
    prediction_window: int = Field(100, ge=4, le=10_000, description="Moments of one answer.")
    max_iterations: int = Field(10, ge=1, description="Passes over the data.")
    batch_size: int = Field(32, ge=1, description="Pieces of recordings a step.")


class DrawingClassifier(Params):
    """A label of a drawing; a network that starts from nothing."""

    name: Literal["drawing-classifier"]
    max_iterations: int = Field(500, ge=1, description="Steps.")
    batch_size: int = Field(256, ge=1, description="Drawings a step.")
    feature: str = Field("drawing", pattern=r"^[A-Za-z_]\w*$", description="Input's name.")


class _Recommender(Params):
    """What recommenders share."""

    user: str = Field("user_id", description="Column of users.")
    item: str = Field("item_id", description="Column of items.")
    recommend: int = Field(10, ge=1, le=1000, description="Items a user, for the figures.")


class ItemSimilarityRecommender(_Recommender):
    """Items that the same users liked."""

    name: Literal["item-similarity-recommender"]
    similarity_type: Literal["jaccard", "cosine", "pearson"] = Field("jaccard", description="How.")
    threshold: float = Field(0.001, ge=0, description="Less alike is not alike at all.")
    only_top_k: int = Field(64, ge=1, description="Similar items that are kept of each.")


class ItemContentRecommender(_Recommender):
    """Items whose columns, in the input `items`, are alike."""

    name: Literal["item-content-recommender"]
    max_item_neighborhood_size: int = Field(64, ge=1, description="Similar items of each.")


class _Factorization(_Recommender):
    """What factorizations share."""

    regularization: float = Field(1e-8, ge=0, description="Squared penalty of factors.")
    linear_regularization: float = Field(1e-10, ge=0, description="Of the linear part.")
    num_factors: int = Field(8, ge=1, le=4096, description="Numbers that describe an item.")
    max_iterations: int = Field(50, ge=1, description="Passes over the data, at most.")
    solver: Literal["auto", "sgd", "adagrad", "ials", "als"] = Field("auto", description="How.")
    sgd_step_size: float = Field(0.0, ge=0, description="First step; 0: it finds one.")
    side_data_factorization: bool = Field(True, description="Factors of side data too.")


class FactorizationRecommender(_Factorization):
    """Ratings as products of factors of users and items."""

    name: Literal["factorization-recommender"]
    nmf: bool = Field(False, description="No factor is below 0.")
    binary_target: bool = Field(False, description="Ratings are 0 and 1.")


class RankingFactorizationRecommender(_Factorization):
    """Factors that put items that were seen before those that were not."""

    name: Literal["ranking-factorization-recommender"]
    num_factors: int = Field(32, ge=1, le=4096, description="Numbers that describe an item.")
    regularization: float = Field(1e-9, ge=0, description="Squared penalty of factors.")
    linear_regularization: float = Field(1e-9, ge=0, description="Of the linear part.")
    max_iterations: int = Field(25, ge=1, description="Passes over the data, at most.")
    ranking_regularization: float = Field(0.25, ge=0, description="Weight of the order.")
    num_sampled_negative_examples: int = Field(4, ge=1, description="Unseen items for each seen.")


class PopularityRecommender(_Recommender):
    """Items that many users liked."""

    name: Literal["popularity-recommender"]


class Kmeans(Params):
    """Groups around centres; the first centres are drawn by the seed."""

    name: Literal["kmeans"]
    num_clusters: int = Field(8, ge=1, le=100_000, description="Groups.")
    max_iterations: int = Field(10, ge=1, description="Passes over the data, at most.")


class Dbscan(Params):
    """Groups of dense places."""

    name: Literal["dbscan"]
    radius: float = Field(1.0, gt=0, description="How near neighbours are.")
    min_core_neighbors: int = Field(10, ge=1, description="Neighbours that make a dense place.")


class TopicModel(Params):
    """Topics as words that occur together."""

    name: Literal["topic-model"]
    text: str | None = Field(None, description="The column of text.")
    num_topics: int = Field(10, ge=2, le=10_000, description="Topics.")
    beta: float = Field(0.1, gt=0, description="Smoothing of a topic's words.")
    num_iterations: int = Field(10, ge=1, description="Passes over the words.")
    num_burnin: int = Field(5, ge=1, description="Passes before one of a text counts.")
    drop_stop_words: bool = Field(True, description="Leave out English words like `the`.")


class NearestNeighbors(Params):
    """The rows that are nearest to a row."""

    name: Literal["nearest-neighbors"]
    method: Literal["auto", "ball_tree", "brute_force", "lsh"] = Field("auto", description="How.")
    distance: Literal["auto", "euclidean", "squared_euclidean", "manhattan", "cosine"] = Field(
        "auto", description="Between rows."
    )


class NearestNeighborClassifier(Params):
    """The label of most of the nearest rows."""

    name: Literal["nearest-neighbor-classifier"]
    distance: Literal["auto", "euclidean", "squared_euclidean", "manhattan", "cosine"] = Field(
        "auto", description="Between rows."
    )
    max_neighbors: int = Field(10, ge=1, description="Rows that are asked.")


class _Pretrained(Params):
    """Toolkits that begin with a network of Apple's, from the input `weights`."""

    max_iterations: int = Field(10, ge=1, description="Passes or steps.")
    batch_size: int = Field(32, ge=1, description="Examples a step.")


class ImageClassifier(_Pretrained):
    """A label of a photograph."""

    name: Literal["image-classifier"]
    model: Literal["resnet-50", "squeezenet_v1.1"] = Field("resnet-50", description="Network.")


class ImageSimilarity(Params):
    """The photographs that are most alike."""

    name: Literal["image-similarity"]
    model: Literal["resnet-50", "squeezenet_v1.1"] = Field("resnet-50", description="Network.")
    batch_size: int = Field(32, ge=1, description="Photographs a step.")


class SoundClassifier(_Pretrained):
    """A label of a sound."""

    name: Literal["sound-classifier"]
    custom_layer_sizes: list[int] = Field(
        default_factory=lambda: [100, 100], description="Widths of the layers that are learnt."
    )


class ObjectDetector(_Pretrained):
    """Where things are in a photograph."""

    name: Literal["object-detector"]
    annotations: str = Field("annotations", description="Column of boxes, as JSON.")
    image: str = Field("image", description="Column of the photographs' paths.")


class StyleTransfer(_Pretrained):
    """Photographs in the manner of paintings (input `data`: a folder `style`, one `content`)."""

    name: Literal["style-transfer"]
    batch_size: int = Field(1, ge=1, description="Photographs a step.")


class OneShotObjectDetector(_Pretrained):
    """Where a thing is of which there is one picture (input `data`: a folder for each label)."""

    name: Literal["one-shot-object-detector"]
