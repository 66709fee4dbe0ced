"""A Swift package around a Core ML model."""

from mlbuild.api import Field, In, Kind, Metric, Out, Params


class SwiftParams(Params):
    """Parameters of package/swift."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9]*$",
        description="Name of the package and its module; by default the pipeline's, in CamelCase.",
    )
    type: str | None = Field(
        None,
        pattern=r"^[A-Z][A-Za-z0-9]*$",
        description="Name of the wrapper; by default the package's with Classifier or Model behind "
        "it. It must not be the package's own, which Xcode takes for the class it generates.",
    )
    platforms: dict[str, str] = Field(
        {},
        description="Oldest systems, `{iOS: '17.0'}`; those not named follow from the model.",
    )


KIND = Kind(
    summary="Makes a Swift package with the model as resource and a typed wrapper.",
    toolchain="torch",
    params=SwiftParams,
    uses_coreml=True,
    inputs={
        "model": In("CoreMLModel", "The model to deliver; with variants that for older systems."),
        "variants": In(
            "CoreMLModel",
            "The same model for newer systems, compressed in ways that these have: the app runs "
            "the newest that its device can.",
            optional=True,
            many=True,
        ),
        "files": In(
            "File | Folder | Tokenizer",
            "What lies beside the model in the bundle: a tokenizer, a vocabulary.",
            optional=True,
            many=True,
        ),
        "reports": In(
            "Report",
            "Reports whose figures the README tells; those about other models are left out.",
            optional=True,
            many=True,
        ),
    },
    outputs={"package": Out("SwiftPackage", "{Name}", "The package's folder.")},
    metrics={
        "size_mb": Metric("Size of the package.", unit="MB", better="min"),
        "files": Metric("Number of files.", better="none"),
    },
    details=(
        "The wrapper is generated from the model's description: initialiser, typed inputs and "
        "outputs, prediction from CGImage and CVPixelBuffer of any size with the preparation that "
        "the model was trained with, labels with scores in order, an asynchronous twin of each, an "
        "error type, and tests that load the model and predict. Models given as `variants` must "
        "take and give the same; which one runs is chosen when it is loaded, with `#available`. "
        'Files come back by name: `file("vocab.txt")`. Xcode compiles the model; where '
        "only the uncompiled package is in the bundle, it is compiled when it is loaded. All Swift "
        "is parsed before it is published, but not compiled: that needs a Mac."
    ),
    example={},
)
