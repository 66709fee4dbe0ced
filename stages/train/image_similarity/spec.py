"""train/image-similarity: which pictures of a set look most like a given one."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator


class SimilarityParams(Params):
    """What pictures are compared by, and how that is judged."""

    backbone: Literal["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"] = Field(
        "efficientnet-lite0",
        description="Whose features are compared, where no `backbone` input is given.",
    )
    image_size: int | None = Field(
        None, ge=64, le=512, description="Side of the input; default: the backbone's."
    )
    resize: Literal["crop", "squash", "pad"] = Field(
        "crop", description="How a picture of other proportions becomes a square."
    )
    crop: float = Field(
        1.0, gt=0, le=1, description="Share of the shorter side that the central crop keeps."
    )
    projection: Literal["none", "pca", "learned"] = Field(
        "none",
        description="What is done to the features: nothing, the directions in which they differ "
        "most, or a linear map that brings pictures of one label together.",
    )
    dimensions: int = Field(
        128, ge=2, le=2048, description="Length of a projected embedding, at most the pictures'."
    )
    distance: Literal["euclidean", "cosine"] = Field(
        "euclidean", description="Between embeddings of length 1."
    )
    neighbors: int = Field(5, ge=1, le=1000, description="How many of the nearest are told.")
    epochs: int = Field(100, ge=1, le=10_000, description="Steps of the learned projection.")
    learning_rate: float = Field(0.003, gt=0, le=10, description="Of the learned projection.")
    temperature: float = Field(
        0.1, gt=0, le=10, description="Of the learned projection: lower looks at closer ones."
    )
    folds: int = Field(
        5, ge=2, le=50, description="Without `test`: parts that in turn ask all the others."
    )
    unreadable: Literal["skip", "fail"] = Field(
        "skip", description="Files that are no picture: listed and left out, or an error."
    )
    path_column: str = Field("path", description="Of a table: the file, relative to the table.")
    label_column: str = Field("label", description="Of a table: the class.")
    seed: int = Field(0, ge=0, description="Of every random choice.")

    @model_validator(mode="after")
    def _together(self) -> "SimilarityParams":
        if self.resize != "crop" and self.crop != 1.0:
            raise ValueError(f"crop: resize: {self.resize} does not crop")
        return self


KIND = Kind(
    summary="Finds the pictures of a set that look most like a given one.",
    toolchain="torch",
    params=SimilarityParams,
    inputs={
        "images": In(
            "ImageFolder | Table | Folder",
            "The set to search: a folder for each label, a table, or a flat folder.",
        ),
        "test": In("ImageFolder | Table | Folder", "Labelled pictures to ask with.", optional=True),
        "backbone": In(
            "TorchModel", "A trained image classifier whose features are compared.", optional=True
        ),
    },
    outputs={
        "model": Out("TorchModel", "model", "Backbone, projection and the set's embeddings."),
        "references": Out("Report", "references.json", "Name and label of each of the set."),
        "report": Out("Report", "report.json", "Figures, files that were left out."),
    },
    metrics={
        "recall_at_1": Metric("Share of questions whose nearest has their label.", share=True),
        "recall_at_5": Metric("Share with their label among the 5 nearest.", share=True),
        "recall_at_10": Metric("Share with their label among the 10 nearest.", share=True),
        "map": Metric("Mean average precision of the whole order."),
        "found_again": Metric(
            "Without labels: share of pictures whose closer view finds them first.", share=True
        ),
        "images": Metric("Readable pictures of the set.", better="none"),
        "unreadable": Metric("Files that were left out.", better="min"),
        "labels": Metric("Number of labels.", better="none"),
        "dimensions": Metric("Length of an embedding.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "A picture's embedding is what a frozen classifier computes before its last layer, brought "
        "to length 1, after a projection if one is wanted. The set's embeddings are part of the "
        "model, which gives `distances` to each, the places of the `nearest`, their `labels` (by "
        "number, names stand in the metadata) and the `embedding` itself, for a set that an app "
        "keeps. Figures come from pictures that ask and are not in the set at that moment: the "
        "`test` input, or one fold after the other, the projection learnt from the others only. "
        "Identical files stay on one side. A flat folder has no labels: there a closer view of "
        "each picture, three quarters of its side, must find it."
    ),
    example={"backbone": "efficientnet-lite0", "neighbors": 5},
)
