"""Every estimator that convert/coreml maps, trained on tiny data: rows of the table of tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

_RANDOM = np.random.default_rng(0)
ROWS = 60
X = _RANDOM.normal([5.0, -3.0, 100.0, 0.01], [1.0, 2.0, 20.0, 0.005], (ROWS, 4))
CENTRES = _RANDOM.integers(0, 3, ROWS)
X += CENTRES[:, None] * np.array([1.5, 2.0, 30.0, 0.008])
THREE = CENTRES.copy()
TWO = (CENTRES > 0).astype(int)
NAMES = np.array(["ash", "beech", "oak"])[THREE]
NUMBER = X[:, 0] * 2 - X[:, 1] + np.sin(X[:, 2] / 20) + 7
SEVERAL = np.stack([NUMBER, X[:, 2] / 10], axis=1)
COUNTS = _RANDOM.poisson(2.0 + 2 * THREE[:, None] * np.array([1, 0, 1, 0]), (ROWS, 4)).astype(float)
POSITIVE = np.abs(NUMBER) + 0.1
HOLES = np.where(_RANDOM.random(X.shape) < 0.15, np.nan, X)


@dataclass(frozen=True)
class Case:
    """An estimator of a role, the data that it learns, and what is asked of the result."""

    name: str
    make: Callable[[], Any]
    x: Any = None
    y: Any = None
    task: str | None = None  # of an estimator that can do several things

    @property
    def given(self) -> dict[str, Any]:
        """What a description would say."""
        return {"description": {"task": self.task}} if self.task else {}


def case(make: Callable[[], Any], y: Any = None, x: Any = X, name: str = "") -> Case:
    made = make()
    return Case(name or _shown(made), make, x, y)


def _shown(estimator: Any) -> str:
    given = {
        k: v
        for k, v in estimator.get_params(deep=False).items()
        if isinstance(v, str | int | float) and v != _default(estimator, k)
    }
    inside = ",".join(f"{k}={v}" for k, v in given.items() if k not in ("random_state", "max_iter"))
    return f"{type(estimator).__name__}({inside})"


def _default(estimator: Any, name: str) -> Any:
    import inspect

    return inspect.signature(type(estimator)).parameters[name].default


def trained(row: Case) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = row.make()
        return made.fit(row.x) if row.y is None else made.fit(row.x, row.y)


def cases() -> Iterator[Case]:
    yield from scalers()
    yield from decompositions()
    yield from linear()
    yield from vectors()
    yield from trees()
    yield from neighbours()
    yield from probabilistic()
    yield from clusters()
    yield from anomalies()
    yield from composed()
    yield from others()


def scalers() -> Iterator[Case]:
    from sklearn import feature_selection as choose
    from sklearn import impute
    from sklearn import preprocessing as pre

    for make in (
        pre.StandardScaler,
        lambda: pre.StandardScaler(with_mean=False),
        lambda: pre.StandardScaler(with_std=False),
        pre.MinMaxScaler,
        lambda: pre.MinMaxScaler((-1, 2), clip=True),
        pre.RobustScaler,
        pre.MaxAbsScaler,
        pre.Normalizer,
        lambda: pre.Normalizer("l1"),
        lambda: pre.Normalizer("max"),
        lambda: pre.Binarizer(threshold=4.5),
        pre.PowerTransformer,
        lambda: pre.PowerTransformer(standardize=False),
        lambda: pre.QuantileTransformer(n_quantiles=20),
        lambda: pre.QuantileTransformer(n_quantiles=ROWS),
        lambda: pre.PolynomialFeatures(2),
        lambda: pre.PolynomialFeatures(3, interaction_only=True, include_bias=False),
        lambda: pre.KBinsDiscretizer(4, encode="ordinal"),
        lambda: pre.KBinsDiscretizer(3, encode="onehot"),
        lambda: pre.KBinsDiscretizer(2, encode="onehot-dense", strategy="kmeans"),
        pre.FunctionTransformer,
        lambda: pre.FunctionTransformer(np.square),
        pre.SplineTransformer,
        lambda: pre.SplineTransformer(4, degree=2, include_bias=False),
        lambda: choose.VarianceThreshold(0.5),
    ):
        yield case(make)
    yield case(lambda: pre.PowerTransformer("box-cox"), x=COUNTS + 0.5)
    yield case(lambda: pre.QuantileTransformer(n_quantiles=15), x=COUNTS, name="Quantile jumps")
    yield case(lambda: pre.FunctionTransformer(np.log1p), x=COUNTS)
    yield case(lambda: pre.OneHotEncoder(handle_unknown="ignore"), x=COUNTS)
    yield case(
        lambda: pre.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), x=COUNTS
    )
    yield case(lambda: pre.TargetEncoder(cv=3, random_state=0), y=NUMBER, x=COUNTS)
    yield case(lambda: choose.SelectKBest(k=2), y=THREE)
    from sklearn.linear_model import Lasso, Ridge

    for make in (
        lambda: choose.SelectPercentile(percentile=50),
        lambda: choose.GenericUnivariateSelect(mode="k_best", param=3),
        choose.SelectFpr,
        choose.SelectFdr,
        choose.SelectFwe,
    ):
        yield case(make, y=THREE)
    yield case(lambda: choose.SelectFromModel(Lasso(), threshold="mean"), y=NUMBER)
    yield case(
        lambda: choose.SequentialFeatureSelector(Ridge(), n_features_to_select=2, cv=2), y=NUMBER
    )
    for make in (
        impute.SimpleImputer,
        lambda: impute.SimpleImputer(strategy="median", add_indicator=True),
        lambda: impute.SimpleImputer(strategy="constant", fill_value=-1.0),
        lambda: impute.MissingIndicator(features="all"),
    ):
        yield case(make, x=HOLES)
    yield case(lambda: impute.SimpleImputer(missing_values=0.0), x=COUNTS)


def decompositions() -> Iterator[Case]:
    from sklearn import (
        cluster,
        cross_decomposition,
        decomposition,
        discriminant_analysis,
        kernel_approximation,
        neighbors,
        neural_network,
        random_projection,
    )

    for make in (
        lambda: decomposition.PCA(2),
        lambda: decomposition.PCA(3, whiten=True),
        lambda: decomposition.IncrementalPCA(2),
        lambda: decomposition.TruncatedSVD(2, random_state=0),
        lambda: decomposition.FastICA(2, random_state=0),
        lambda: decomposition.FactorAnalysis(2, random_state=0),
        lambda: decomposition.SparsePCA(2, max_iter=5, random_state=0),
        lambda: decomposition.MiniBatchSparsePCA(2, max_iter=5, random_state=0),
        lambda: decomposition.KernelPCA(2, kernel="rbf", gamma=0.001),
        lambda: decomposition.KernelPCA(2, kernel="poly", gamma=0.0001, degree=2),
        lambda: random_projection.GaussianRandomProjection(2, random_state=0),
        lambda: random_projection.SparseRandomProjection(2, random_state=1, density=0.6),
        lambda: kernel_approximation.RBFSampler(gamma=0.001, n_components=8, random_state=0),
        lambda: kernel_approximation.Nystroem(gamma=0.001, n_components=8, random_state=0),
        lambda: cluster.FeatureAgglomeration(2),
    ):
        yield case(make)
    for make in (
        lambda: cluster.KMeans(3, n_init=1, random_state=0),
        lambda: cluster.MiniBatchKMeans(3, n_init=1, random_state=0),
        lambda: cluster.BisectingKMeans(3, random_state=0),
        lambda: cluster.Birch(n_clusters=3, threshold=5.0),
    ):
        row = case(make)
        yield Case(f"{row.name} as features", make, X, task="transform")
    yield case(lambda: neural_network.BernoulliRBM(3, n_iter=2, random_state=0), x=COUNTS / 10)
    yield case(lambda: cross_decomposition.PLSRegression(2), y=NUMBER)
    yield case(lambda: cross_decomposition.PLSCanonical(2), y=SEVERAL)
    yield case(lambda: cross_decomposition.CCA(2), y=SEVERAL)
    yield case(lambda: cross_decomposition.PLSSVD(2), y=SEVERAL)
    yield case(lambda: discriminant_analysis.LinearDiscriminantAnalysis(n_components=2), y=THREE)
    yield case(lambda: discriminant_analysis.LinearDiscriminantAnalysis(solver="eigen"), y=THREE)
    yield case(
        lambda: neighbors.NeighborhoodComponentsAnalysis(2, max_iter=5, random_state=0), y=THREE
    )


def linear() -> Iterator[Case]:
    from sklearn import discriminant_analysis, svm
    from sklearn import linear_model as lm
    from sklearn.isotonic import IsotonicRegression

    for name in (
        "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV",
        "LassoLarsIC", "Lars", "LarsCV", "ElasticNet", "ElasticNetCV", "HuberRegressor",
        "BayesianRidge", "ARDRegression", "TheilSenRegressor", "OrthogonalMatchingPursuit",
        "OrthogonalMatchingPursuitCV", "QuantileRegressor", "RANSACRegressor",
    ):  # fmt: skip
        yield case(getattr(lm, name), y=NUMBER)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    for make in (
        lambda: lm.SGDRegressor(random_state=0),
        lambda: lm.PassiveAggressiveRegressor(random_state=0),
        lambda: svm.LinearSVR(random_state=0),
    ):
        yield case(make, y=NUMBER, x=scaled)
    for name in (
        "LinearRegression",
        "Ridge",
        "MultiTaskLasso",
        "MultiTaskElasticNet",
        "MultiTaskLassoCV",
        "MultiTaskElasticNetCV",
    ):
        yield case(getattr(lm, name), y=SEVERAL, name=f"{name} of two numbers")
    yield case(lm.PoissonRegressor, y=POSITIVE, x=scaled)
    yield case(lm.GammaRegressor, y=POSITIVE, x=scaled)
    yield case(lambda: lm.TweedieRegressor(power=1.5), y=POSITIVE, x=scaled)
    yield case(lambda: lm.TweedieRegressor(power=0), y=NUMBER, x=scaled)
    yield case(lambda: IsotonicRegression(out_of_bounds="clip"), y=NUMBER, x=X[:, :1])
    for y, many in ((TWO, "two"), (NAMES, "three")):
        for make in (
            lambda: lm.LogisticRegression(max_iter=200),
            lambda: lm.LogisticRegression(multi_class="ovr"),
            lambda: lm.LogisticRegression(multi_class="multinomial"),
            lambda: lm.LogisticRegression(solver="liblinear"),
            lambda: lm.SGDClassifier(random_state=0),
            lambda: lm.SGDClassifier(loss="log_loss", random_state=0),
            lambda: lm.SGDClassifier(loss="modified_huber", random_state=0),
            lambda: lm.Perceptron(random_state=0),
            lambda: lm.PassiveAggressiveClassifier(random_state=0),
            lm.RidgeClassifier,
            lm.RidgeClassifierCV,
            lambda: svm.LinearSVC(random_state=0),
            discriminant_analysis.LinearDiscriminantAnalysis,
            discriminant_analysis.QuadraticDiscriminantAnalysis,
        ):
            row = case(make, y=y, x=scaled)
            yield Case(f"{row.name} of {many}", make, scaled, y)
    yield case(lambda: lm.LogisticRegressionCV(Cs=2, cv=2, max_iter=50), y=THREE, x=scaled)


def vectors() -> Iterator[Case]:
    from sklearn import svm

    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    for kernel in ("linear", "poly", "rbf", "sigmoid"):
        yield case(lambda k=kernel: svm.SVR(kernel=k), y=NUMBER, x=scaled)
        yield case(lambda k=kernel: svm.NuSVR(kernel=k, coef0=0.5), y=NUMBER, x=scaled)
        for y, many in ((TWO, "two"), (NAMES, "three")):
            for given in (False, True):
                yield case(
                    lambda k=kernel, g=given: svm.SVC(kernel=k, probability=g, random_state=0),
                    y=y,
                    x=scaled,
                    name=f"SVC({kernel}, probability={given}) of {many}",
                )
    yield case(lambda: svm.NuSVC(nu=0.2, probability=True, random_state=0), y=NAMES, x=scaled)


def trees() -> Iterator[Case]:
    from sklearn import ensemble, tree

    for y, many in ((TWO, "two"), (NAMES, "three")):
        for make in (
            lambda: tree.DecisionTreeClassifier(max_depth=4, random_state=0),
            lambda: tree.ExtraTreeClassifier(max_depth=4, random_state=0),
            lambda: ensemble.RandomForestClassifier(6, max_depth=4, random_state=0),
            lambda: ensemble.ExtraTreesClassifier(6, random_state=0),
            lambda: ensemble.GradientBoostingClassifier(n_estimators=4, random_state=0),
            lambda: ensemble.HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5),
            lambda: ensemble.AdaBoostClassifier(n_estimators=4, random_state=0, algorithm="SAMME"),
            lambda: ensemble.AdaBoostClassifier(
                tree.DecisionTreeClassifier(max_depth=2), n_estimators=4, random_state=0
            ),
            lambda: ensemble.BaggingClassifier(n_estimators=4, max_features=3, random_state=0),
        ):
            row = case(make, y=y)
            yield Case(f"{row.name} of {many}", make, X, y)
    yield case(
        lambda: ensemble.GradientBoostingClassifier(loss="exponential", n_estimators=4), y=TWO
    )
    yield case(lambda: ensemble.GradientBoostingClassifier(init="zero", n_estimators=3), y=THREE)
    for make in (
        lambda: tree.DecisionTreeRegressor(max_depth=4, random_state=0),
        lambda: tree.ExtraTreeRegressor(max_depth=4, random_state=0),
        lambda: ensemble.RandomForestRegressor(6, max_depth=4, random_state=0),
        lambda: ensemble.ExtraTreesRegressor(6, random_state=0),
        lambda: ensemble.GradientBoostingRegressor(n_estimators=4, random_state=0),
        lambda: ensemble.HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=5),
        lambda: ensemble.AdaBoostRegressor(n_estimators=4, random_state=0),
        lambda: ensemble.BaggingRegressor(n_estimators=4, max_features=3, random_state=0),
    ):
        yield case(make, y=NUMBER)
    yield case(lambda: ensemble.RandomForestRegressor(4, random_state=0), y=SEVERAL,
               name="RandomForestRegressor of two numbers")  # fmt: skip
    for make in (
        lambda: tree.DecisionTreeClassifier(max_depth=4, random_state=0),
        lambda: ensemble.RandomForestClassifier(4, random_state=0),
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5),
    ):
        row = case(make, y=THREE, x=HOLES)
        yield Case(f"{row.name} with holes", make, HOLES, THREE)
    yield case(
        lambda: ensemble.HistGradientBoostingRegressor(
            loss="poisson", max_iter=4, min_samples_leaf=5
        ),
        y=POSITIVE,
        x=HOLES,
    )
    kinds = np.where(_RANDOM.random(COUNTS.shape) < 0.1, np.nan, COUNTS)
    yield case(
        lambda: ensemble.HistGradientBoostingClassifier(
            max_iter=6, min_samples_leaf=3, categorical_features=[0, 2]
        ),
        y=THREE,
        x=kinds,
        name="HistGradientBoostingClassifier with categories",
    )


def neighbours() -> Iterator[Case]:
    from sklearn import neighbors

    for given in (
        {}, {"weights": "distance"}, {"p": 1}, {"metric": "chebyshev"}, {"metric": "cosine"},
        {"metric": "minkowski", "p": 3}, {"algorithm": "brute", "n_neighbors": 1},
    ):  # fmt: skip
        yield case(lambda g=given: neighbors.KNeighborsClassifier(**g), y=NAMES)
        yield case(lambda g=given: neighbors.KNeighborsRegressor(**g), y=NUMBER)
    yield case(neighbors.KNeighborsRegressor, y=SEVERAL, name="KNeighborsRegressor of two numbers")
    yield case(lambda: neighbors.RadiusNeighborsRegressor(radius=60.0), y=NUMBER)
    yield case(neighbors.NearestCentroid, y=NAMES)


def probabilistic() -> Iterator[Case]:
    from sklearn import gaussian_process, kernel_ridge, naive_bayes, neural_network
    from sklearn.gaussian_process import kernels

    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    yield case(naive_bayes.GaussianNB, y=NAMES)
    yield case(naive_bayes.GaussianNB, y=TWO)
    for name in ("MultinomialNB", "ComplementNB", "BernoulliNB"):
        yield case(getattr(naive_bayes, name), y=THREE, x=COUNTS)
        yield case(getattr(naive_bayes, name), y=TWO, x=COUNTS, name=f"{name} of two")
    yield case(lambda: naive_bayes.BernoulliNB(binarize=None), y=TWO, x=(COUNTS > 1).astype(float))
    yield case(naive_bayes.CategoricalNB, y=THREE, x=np.minimum(COUNTS, 4))
    for activation in ("relu", "tanh", "logistic", "identity"):
        yield case(
            lambda a=activation: neural_network.MLPRegressor(
                (5, 4), activation=a, max_iter=20, random_state=0
            ),
            y=NUMBER,
            x=scaled,
        )
    for y, many in ((TWO, "two"), (NAMES, "three")):
        yield case(lambda: neural_network.MLPClassifier((5,), max_iter=20, random_state=0),
                   y=y, x=scaled, name=f"MLPClassifier of {many}")  # fmt: skip
    for kernel in ("linear", "poly", "rbf", "sigmoid", "laplacian"):
        yield case(
            lambda k=kernel: kernel_ridge.KernelRidge(kernel=k, gamma=0.1), y=NUMBER, x=scaled
        )
    for kernel in (
        kernels.RBF(2.0) + kernels.WhiteKernel(0.1),
        kernels.ConstantKernel(2.0) * kernels.Matern(nu=1.5) + kernels.WhiteKernel(0.1),
        kernels.Matern(nu=2.5) + kernels.WhiteKernel(0.1),
        kernels.RationalQuadratic() + kernels.WhiteKernel(0.1),
        kernels.DotProduct() + kernels.WhiteKernel(0.1),
    ):
        yield case(
            lambda k=kernel: gaussian_process.GaussianProcessRegressor(
                k, optimizer=None, normalize_y=True
            ),
            y=NUMBER,
            x=scaled,
            name=f"GaussianProcessRegressor({kernel})",
        )


def clusters() -> Iterator[Case]:
    from sklearn import cluster, mixture

    for make in (
        lambda: cluster.KMeans(3, n_init=1, random_state=0),
        lambda: cluster.MiniBatchKMeans(3, n_init=1, random_state=0),
        lambda: cluster.BisectingKMeans(4, random_state=0),
        lambda: cluster.MeanShift(bandwidth=30.0),
        lambda: cluster.AffinityPropagation(random_state=0, damping=0.9),
        lambda: cluster.Birch(n_clusters=3, threshold=5.0),
    ):
        row = case(make)
        yield Case(f"{row.name} as clusters", make, X)
    for kind in ("full", "tied", "diag", "spherical"):
        yield case(lambda k=kind: mixture.GaussianMixture(3, covariance_type=k, random_state=0))
        yield case(
            lambda k=kind: mixture.BayesianGaussianMixture(
                n_components=3, covariance_type=k, random_state=0, max_iter=20
            )
        )


def anomalies() -> Iterator[Case]:
    from sklearn import covariance, ensemble, linear_model, neighbors, svm

    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    yield case(lambda: ensemble.IsolationForest(n_estimators=8, random_state=0))
    yield case(
        lambda: ensemble.IsolationForest(
            n_estimators=8, max_features=2, contamination=0.1, random_state=0
        )
    )
    yield case(lambda: covariance.EllipticEnvelope(random_state=0))
    yield case(lambda: neighbors.LocalOutlierFactor(8, novelty=True))
    for kernel in ("rbf", "linear", "poly", "sigmoid"):
        yield case(lambda k=kernel: svm.OneClassSVM(kernel=k, nu=0.2), x=scaled)
    yield case(lambda: linear_model.SGDOneClassSVM(random_state=0), x=scaled)


def composed() -> Iterator[Case]:
    from sklearn import (
        compose,
        ensemble,
        multiclass,
        multioutput,
        naive_bayes,
        neighbors,
        svm,
        tree,
    )
    from sklearn import feature_selection as choose
    from sklearn import linear_model as lm
    from sklearn import model_selection as search
    from sklearn import preprocessing as pre
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.decomposition import PCA
    from sklearn.experimental import enable_halving_search_cv
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.semi_supervised import SelfTrainingClassifier

    assert enable_halving_search_cv
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    logistic = lm.LogisticRegression(max_iter=200)
    forest = ensemble.RandomForestClassifier(3, max_depth=3, random_state=0)
    bayes = naive_bayes.GaussianNB()
    rows = [
        (lambda: make_pipeline(pre.StandardScaler(), PCA(2), logistic), NAMES),
        (lambda: make_pipeline(pre.StandardScaler(), PCA(2), forest), NAMES),
        (lambda: make_pipeline(pre.MinMaxScaler(), svm.SVC(probability=True, random_state=0)), TWO),
        (lambda: make_pipeline(make_union(PCA(2), pre.RobustScaler()), logistic), NAMES),
        (lambda: make_pipeline(choose.SelectKBest(k=2), neighbors.KNeighborsClassifier(3)), NAMES),
        (
            lambda: make_pipeline(
                compose.ColumnTransformer(
                    [("a", pre.StandardScaler(), [2, 0]), ("b", pre.KBinsDiscretizer(3), [3])],
                    remainder="passthrough",
                    transformer_weights={"a": 2.0},
                ),
                logistic,
            ),
            THREE,
        ),
        (lambda: make_pipeline(pre.StandardScaler(), lm.Ridge()), NUMBER),
        (
            lambda: make_pipeline(pre.StandardScaler(), pre.PolynomialFeatures(2), lm.Ridge()),
            NUMBER,
        ),
        (lambda: search.GridSearchCV(lm.Ridge(), {"alpha": [1.0, 2.0]}, cv=2), NUMBER),
        (lambda: choose.RFE(lm.Ridge(), n_features_to_select=2), NUMBER),
        (lambda: choose.RFECV(lm.Ridge(), cv=2), NUMBER),
        (
            lambda: search.RandomizedSearchCV(forest, {"max_depth": [2, 3]}, n_iter=1, cv=2),
            NAMES,
        ),
        (lambda: search.HalvingGridSearchCV(lm.Ridge(), {"alpha": [1.0, 2.0]}, cv=2), NUMBER),
        (
            lambda: search.HalvingRandomSearchCV(
                lm.Ridge(), {"alpha": [1.0, 2.0]}, cv=2, random_state=0
            ),
            NUMBER,
        ),
        (lambda: SelfTrainingClassifier(bayes), np.where(np.arange(ROWS) % 4, THREE, -1)),
        (lambda: search.FixedThresholdClassifier(forest, threshold=0.3), TWO),
        (lambda: search.TunedThresholdClassifierCV(logistic, cv=2), TWO),
        (lambda: ensemble.VotingClassifier([("a", forest), ("b", bayes)], voting="soft"), NAMES),
        (
            lambda: ensemble.VotingClassifier(
                [("a", forest), ("b", bayes), ("c", tree.DecisionTreeClassifier(max_depth=2))]
            ),
            NAMES,
        ),
        (
            lambda: ensemble.VotingRegressor(
                [("a", lm.Ridge()), ("b", tree.DecisionTreeRegressor(max_depth=3))], weights=[1, 2]
            ),
            NUMBER,
        ),
        (lambda: ensemble.StackingClassifier([("a", forest), ("b", bayes)], logistic, cv=2), NAMES),
        (
            lambda: ensemble.StackingClassifier(
                [("a", forest), ("b", bayes)], logistic, cv=2, passthrough=True
            ),
            TWO,
        ),
        (
            lambda: ensemble.StackingRegressor(
                [("a", lm.Ridge()), ("b", tree.DecisionTreeRegressor(max_depth=3))],
                lm.Ridge(),
                cv=2,
            ),
            NUMBER,
        ),
        (lambda: multioutput.MultiOutputRegressor(lm.Ridge()), SEVERAL),
        (lambda: multioutput.RegressorChain(lm.Ridge(), order=[1, 0]), SEVERAL),
        (lambda: multiclass.OneVsRestClassifier(bayes), NAMES),
        (lambda: multiclass.OneVsRestClassifier(svm.SVC()), NAMES),
        (lambda: CalibratedClassifierCV(bayes, cv=2), NAMES),
        (lambda: CalibratedClassifierCV(bayes, cv=2, method="isotonic"), TWO),
        (lambda: CalibratedClassifierCV(forest, cv=2), TWO),
        (
            lambda: compose.TransformedTargetRegressor(
                lm.Ridge(), transformer=pre.StandardScaler()
            ),
            NUMBER,
        ),
        (
            lambda: compose.TransformedTargetRegressor(
                lm.Ridge(), func=np.log1p, inverse_func=np.expm1
            ),
            POSITIVE,
        ),
    ]
    for place, (make, y) in enumerate(rows):
        yield case(make, y=y, name=f"composed {place}: {type(make()).__name__}")
    for place, (make, y) in enumerate(
        [
            (lambda: multiclass.OneVsOneClassifier(svm.LinearSVC(random_state=0)), NAMES),
            (lambda: CalibratedClassifierCV(svm.LinearSVC(random_state=0), cv=2), NAMES),
            (lambda: CalibratedClassifierCV(logistic, cv=2), TWO),
            (
                lambda: ensemble.BaggingClassifier(
                    svm.LinearSVC(random_state=0), 3, random_state=0
                ),
                TWO,
            ),
        ]
    ):
        yield case(make, y=y, x=scaled, name=f"composed on scaled {place}: {type(make()).__name__}")


def others() -> Iterator[Case]:
    from sklearn import dummy

    yield case(dummy.DummyRegressor, y=NUMBER)
    yield case(lambda: dummy.DummyRegressor(strategy="median"), y=SEVERAL)
    yield case(dummy.DummyClassifier, y=NAMES)
    yield case(lambda: dummy.DummyClassifier(strategy="constant", constant="oak"), y=NAMES)
    yield case(lambda: dummy.DummyClassifier(strategy="most_frequent"), y=TWO)
