"""data/shapes: drawn pictures of circles, squares and crosses."""

from mlbuild.api import Field, In, Kind, Metric, Out, Params


class ShapesParams(Params):
    """What is drawn."""

    count: int = Field(60, ge=2, le=10_000, description="Pictures of each shape.")
    size: int = Field(24, ge=8, le=256, description="Side of a picture in pixels.")
    seed: int = Field(0, ge=0, description="Of places, sizes and greys.")


KIND = Kind(
    summary="Draws pictures of circles, squares and crosses, a folder for each.",
    toolchain="torch",
    params=ShapesParams,
    inputs={
        "words": In("File", "Names of the shapes in some language, one a line.", optional=True)
    },
    outputs={"images": Out("ImageFolder", "images", "A folder for each shape.")},
    metrics={"images": Metric("Pictures drawn.", better="none")},
)
