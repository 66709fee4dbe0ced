"""train/on-device: an updatable model learns as it would in an app."""

from mlbuild.api import Field, In, Kind, Metric, Out, Params


class OnDeviceParams(Params):
    """What an app would hand over; what is not given, the model says."""

    epochs: int | None = Field(None, ge=1, description="How often each sample is seen.")
    learning_rate: float | None = Field(None, ge=0, description="Length of a step.")
    mini_batch: int | None = Field(None, ge=1, description="Samples a step.")
    shuffle: bool | None = Field(None, description="Whether each epoch has its own order.")
    seed: int = Field(0, ge=0, description="Of that order.")
    limit: int | None = Field(
        None, ge=1, description="Learn at most so many samples, evenly spread over the labels."
    )
    columns: list[str] | None = Field(
        None,
        min_length=1,
        description="Of a table: the columns that fill the model's array, in its order; by default "
        "all but the truth.",
    )
    target: str | None = Field(
        None, description="Of a table: the column of truths; by default as the model calls it."
    )
    name: str | None = Field(
        None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="The package's name, without suffix."
    )


KIND = Kind(
    summary="Trains an updatable Core ML model on Linux, as an app would on the device.",
    toolchain="torch",
    params=OnDeviceParams,
    uses_coreml=True,
    plots=True,
    inputs={
        "model": In("CoreMLModel", "An updatable model, as convert/updatable makes it."),
        "samples": In(
            "ImageFolder | Folder | Table", "What its user shows it: pictures in folders, or rows."
        ),
        "test": In(
            "ImageFolder | Folder | Table", "What it is judged by; never learnt.", optional=True
        ),
    },
    outputs={"model": Out("CoreMLModel", "{Name}.mlpackage", "The model that has learnt.")},
    metrics={
        "samples": Metric("Samples learnt.", better="none"),
        "accuracy_before": Metric("Named rightly before, of the test.", share=True),
        "accuracy_after": Metric("Named rightly after, of the test.", share=True),
        "gain": Metric("Accuracy after, less accuracy before."),
        "loss_first": Metric("Mean loss of the first epoch.", better="min"),
        "loss_last": Metric("Mean loss of the last epoch.", better="min"),
    },
    details=(
        "What a personalised model is worth, before anybody has it: the reference runtime does "
        "what Core ML's MLUpdateTask does, with the same parameters within the limits that the "
        "model sets. Pictures are fitted as in training, by what the model says of its "
        "preparation. Without `test` it is judged by the samples themselves."
    ),
    example={"epochs": 10, "limit": 30},
)
