"""data/scenes: pictures with boxes and masks, composed from cut-out objects and backgrounds."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator


class ScenesParams(Params):
    """How many scenes, how large, and what is put into them."""

    count: int = Field(500, ge=1, le=100_000, description="Scenes to compose.")
    width: int = Field(128, ge=16, le=2048, description="Of a scene, in pixels.")
    height: int = Field(128, ge=16, le=2048, description="Of a scene, in pixels.")
    objects: list[int] = Field(
        default_factory=lambda: [1, 4],
        min_length=2,
        max_length=2,
        description="Least and most objects of a scene.",
    )
    scale: list[float] = Field(
        default_factory=lambda: [0.2, 0.4],
        min_length=2,
        max_length=2,
        description="Least and greatest height of an object, as share of the scene's.",
    )
    labels: list[str] | None = Field(
        None, min_length=1, description="Classes of objects to use; default: all."
    )
    rotate: float = Field(0.0, ge=0, le=180, description="Degrees, either way.")
    overlap: float = Field(
        0.1, ge=0, le=1, description="Greatest overlap (intersection over union) of two objects."
    )
    cutout: Literal["bright", "dark", "none"] = Field(
        "bright",
        description="What of an object's picture is the object: `bright` on dark ground, `dark` on "
        "bright ground, or all of it.",
    )
    tint: bool = Field(
        True, description="Give each object a colour of its own, so that only its shape tells it."
    )
    seed: int = Field(0, ge=0, description="Another seed is another set of scenes.")

    @model_validator(mode="after")
    def _ordered(self) -> "ScenesParams":
        if not 0 <= self.objects[0] <= self.objects[1] or self.objects[1] < 1:
            raise ValueError("objects: least and most, the most at least 1")
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError("scale: least and greatest, above 0 and up to 1")
        return self


KIND = Kind(
    summary="Composes scenes from objects and backgrounds, with boxes and masks.",
    toolchain="torch",
    params=ScenesParams,
    inputs={
        "objects": In("ImageFolder | Table | Folder", "Pictures of one object, by class."),
        "backgrounds": In("ImageFolder | Folder", "Photographs to put them on.", optional=True),
    },
    outputs={
        "scenes": Out("Folder", "scenes", "Pictures, and annotations.json in Create ML's format."),
        "masks": Out("Folder", "masks", "The class of each pixel, 0 for none, under equal names."),
        "report": Out("Report", "report.json", "Labels in the masks' order, and counts."),
    },
    metrics={
        "scenes": Metric("Scenes.", better="none"),
        "boxes": Metric("Objects in them.", better="none"),
        "labels": Metric("Number of classes.", better="none"),
    },
    details=(
        "For detectors and segmentation where nobody annotated anything: each scene is a part of a "
        "background with objects pasted on it, and so their boxes and masks are known. Split the "
        "objects first, so that scenes to judge with hold none that was learnt. A box is the "
        "smallest around what can be seen of an object; objects that would overlap others by more "
        "than `overlap` are placed elsewhere, or left out."
    ),
    example={"count": 500, "width": 128, "height": 128},
)
