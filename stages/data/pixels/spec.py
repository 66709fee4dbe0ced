"""data/pixels: rows of pixel values into picture files, a folder for each class."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator


class PixelsParams(Params):
    """How a row becomes a picture."""

    label: Literal["first", "last"] | str = Field(
        "last", description="Column of the class: `first`, `last`, or its name in the header."
    )
    header: Literal["auto", "yes", "no"] = Field(
        "auto", description="Whether the first line names columns; `auto` looks whether it is text."
    )
    width: int | None = Field(None, ge=1, description="Of a picture; square if not given.")
    height: int | None = Field(None, ge=1, description="Of a picture; square if not given.")
    channels: Literal[1, 3] = Field(1, description="Values of a pixel.")
    layout: Literal["pixels", "planes"] = Field(
        "pixels", description="With three channels: colours beside one another, or plane by plane."
    )
    white: float = Field(255.0, gt=0, description="The value that means full brightness.")
    invert: bool = Field(False, description="Swap black and white.")
    names: dict[str, str] = Field(
        default_factory=dict, description="Other names for classes: `{'0': zero}`."
    )
    images_array: str | None = Field(
        None, description="Of an npz: the array of pictures; if not given, x, images or data."
    )
    labels_array: str | None = Field(
        None, description="Of an npz: the array of classes; if not given, y, labels or target."
    )

    @model_validator(mode="after")
    def _both_sides(self) -> "PixelsParams":
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height go together")
        return self


KIND = Kind(
    summary="Turns a table or array of pixel values into PNG files, a folder for each class.",
    toolchain="torch",
    params=PixelsParams,
    inputs={
        "pixels": In("Table | File | Folder", "A .csv, .csv.gz or .npz, or a folder with one.")
    },
    outputs={"images": Out("ImageFolder", "images", "A folder for each class.")},
    metrics={
        "images": Metric("Pictures written.", better="none"),
        "labels": Metric("Number of classes.", better="none"),
    },
    details=(
        "Each row of a CSV is one picture, its pixels row by row, with the class in one column. "
        "An npz holds pictures of shape [N, H, W] or [N, H, W, 3] and N classes; pickled objects "
        "in it are refused. Files are named by row: `7/00042.png`. PNG keeps every value."
    ),
    example={"label": "last"},
)
