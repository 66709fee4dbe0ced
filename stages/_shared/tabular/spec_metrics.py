"""Metrics that the kinds of tables declare. Read by their specs, in the engine."""

from mlbuild.api import Metric

COMMON = {
    "rows": Metric("Rows that were learnt.", better="none"),
    "features": Metric("Columns that were learnt from.", better="none"),
    "size_mb": Metric("Size of the model.", unit="MB", better="min"),
}

CLASSIFICATION = {
    "accuracy": Metric("Share of right answers on rows that were not learnt.", share=True),
    "accuracy_spread": Metric("Standard deviation over folds.", better="min"),
    "balanced_accuracy": Metric("Mean of the labels' recalls."),
    "log_loss": Metric("Mean of -log of the true label's probability.", better="min"),
    "calibration_error": Metric("Expected calibration error, 15 bins.", better="min"),
    "roc_auc": Metric("Area under the ROC curve; of more labels the mean, one against the rest."),
    "f1": Metric("Mean of the labels' F1."),
    "f1.*": Metric("Harmonic mean of a label's precision and recall."),
    "precision.*": Metric("Share of right ones among those called so.", share=True),
    "recall.*": Metric("Share of a label's rows that were found.", share=True),
    "labels": Metric("Number of labels.", better="none"),
}

REGRESSION = {
    "r2": Metric("Share of the variance that is explained; below 0: worse than the mean."),
    "r2_spread": Metric("Standard deviation over folds.", better="min"),
    "rmse": Metric("Root mean square error.", better="min"),
    "mae": Metric("Mean absolute error.", better="min"),
    "median_error": Metric("Median absolute error.", better="min"),
    "largest_error": Metric("Largest absolute error.", better="min"),
}

ANOMALY = {
    "anomalies": Metric("Share of rows that are called anomalous.", share=True, better="none"),
    "roc_auc": Metric("Area under the ROC curve of the scores, where the truth is known."),
    "average_precision": Metric("Area under precision over recall, where the truth is known."),
}

CLUSTERING = {
    "clusters": Metric("Clusters that rows fell into.", better="none"),
    "silhouette": Metric(
        "How much nearer rows are to their own cluster than to the next, -1 to 1."
    ),
    "adjusted_rand": Metric("Agreement with the target's labels, 0 by chance, 1 if equal."),
    "mutual_information": Metric("With the target's labels, adjusted for chance, at most 1."),
    "log_likelihood": Metric("Mean per row, of a mixture."),
}

TRANSFORM = {
    "components": Metric("Numbers that a row becomes.", better="none"),
    "explained_variance": Metric("Share of the variance that the components hold."),
    "reconstruction_error": Metric(
        "Root mean square of what is lost on the way back.", better="min"
    ),
}

BOOSTING = {"trees": Metric("Rounds of boosting that are used.", better="none")}
