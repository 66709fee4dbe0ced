"""A Core ML package as one file, with a manifest."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params


class MlpackageParams(Params):
    """Parameters of package/mlpackage."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$",
        description="Name of the model; by default the pipeline's.",
    )
    compression: Literal["store", "deflate"] = Field(
        "store",
        description="Weights hardly shrink; `deflate` makes bytes that depend on the machine's "
        "zlib, `store` the same bytes everywhere.",
    )


KIND = Kind(
    summary="Zips a Core ML package reproducibly and writes a manifest beside it.",
    toolchain="torch",
    params=MlpackageParams,
    uses_coreml=True,
    inputs={
        "model": In("CoreMLModel", "The model to deliver."),
        "reports": In(
            "Report",
            "Reports whose figures the manifest tells; those about other models are left out.",
            optional=True,
            many=True,
        ),
    },
    outputs={
        "archive": Out("Archive", "{Name}.mlpackage.zip", "The package, zipped."),
        "manifest": Out("Report", "manifest.json", "Digests, sizes, description, figures."),
    },
    metrics={
        "size_mb": Metric("Size of the archive.", unit="MB", better="min"),
        "files": Metric("Number of files in the package.", better="none"),
    },
    details=(
        "Entries are sorted and carry one fixed date and fixed permissions, so that equal models "
        "are equal archives. The manifest holds the SHA-256 of the archive, of every file, and of "
        "the whole package (of the lines that sha256sum prints), specification version and target, "
        "inputs, outputs, labels, and the figures of the reports that the model was accepted with."
    ),
    example={},
)
