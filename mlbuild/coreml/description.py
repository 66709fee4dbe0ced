"""What a model says about itself: inputs, outputs, labels, metadata.

Source: Core ML specification, Model.proto (ModelDescription) and FeatureTypes.proto.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_COLORS = {10: "GRAYSCALE", 20: "RGB", 30: "BGR", 40: "GRAYSCALE_FLOAT16"}
_ARRAY_TYPES = {
    65552: "float16",
    65568: "float32",
    65600: "float64",
    131104: "int32",
    131080: "int8",
}
_KINDS = {
    "int64Type": "int64",
    "doubleType": "double",
    "stringType": "string",
    "imageType": "image",
    "multiArrayType": "multi_array",
    "dictionaryType": "dictionary",
    "sequenceType": "sequence",
    "stateType": "state",
}
_CHANNELS = {"GRAYSCALE": 1, "GRAYSCALE_FLOAT16": 1, "RGB": 3, "BGR": 3}


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """Size in pixels and order of channels; ``sizes`` or ``ranges`` where it is flexible.

    ``sizes`` are (width, height) pairs; ``ranges`` hold (lowest, highest or None) for width and
    height.
    """

    width: int
    height: int
    color: str
    sizes: tuple[tuple[int, int], ...] = ()
    ranges: tuple[tuple[int, int | None], ...] = ()

    @property
    def channels(self) -> int:
        """1 or 3."""
        return _CHANNELS[self.color]

    def accepts(self, width: int, height: int) -> bool:
        """Whether a picture of this size may be given."""
        if self.ranges:
            pairs = zip((width, height), self.ranges, strict=True)
            return all(low <= n and (high is None or n <= high) for n, (low, high) in pairs)
        return (width, height) in {(self.width, self.height), *self.sizes}


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """Element type and shape; ``shapes`` or ``ranges`` where it is flexible."""

    dtype: str
    shape: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...] = ()
    ranges: tuple[tuple[int, int | None], ...] = ()
    default: float | None = None

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape may be given."""
        if self.ranges:
            return len(shape) == len(self.ranges) and all(
                low <= n and (high is None or n <= high)
                for n, (low, high) in zip(shape, self.ranges, strict=True)
            )
        return shape in {self.shape, *self.shapes}

    def allowed(self) -> tuple[str, ...]:
        """The shapes that may be given, as text."""
        if self.ranges:
            parts = (f"{low}..{'' if high is None else high}" for low, high in self.ranges)
            return (f"[{', '.join(parts)}]",)
        return tuple(str(list(shape)) for shape in dict.fromkeys((self.shape, *self.shapes)))


@dataclass(frozen=True, slots=True)
class Feature:
    """One input or output.

    Attributes:
        kind: image, multi_array, dictionary, string, int64, double, sequence or state.
        key_type: For dictionaries the type of the keys, string or int64.
    """

    name: str
    kind: str
    optional: bool = False
    help: str = ""
    image: ImageLayout | None = None
    array: ArrayLayout | None = None
    key_type: str | None = None

    def __str__(self) -> str:
        if self.image:
            return f"image {self.image.width} x {self.image.height} {self.image.color}"
        if self.array:
            return f"{self.array.dtype}{list(self.array.shape)}"
        return self.kind


@dataclass(frozen=True, slots=True)
class Description:
    """What a model takes and gives."""

    type: str
    spec_version: int
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    predicted_feature: str | None = None
    predicted_probabilities: str | None = None
    class_labels: tuple[str | int, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    functions: tuple[str, ...] = ()


def describe(
    spec: Any, function: str | None = None, class_labels: tuple[str | int, ...] = ()
) -> Description:
    """Read a specification's description; ``class_labels`` come from the model's inside."""
    whole = spec.description
    part = whole
    for candidate in whole.functions:  # multi-function models describe each one on its own
        if candidate.name == (function or whole.defaultFunctionName):
            part = candidate
    return Description(
        type=str(spec.WhichOneof("Type")),
        spec_version=int(spec.specificationVersion),
        inputs=tuple(_feature(f) for f in part.input),
        outputs=tuple(_feature(f) for f in part.output),
        predicted_feature=part.predictedFeatureName or None,
        predicted_probabilities=part.predictedProbabilitiesName or None,
        class_labels=class_labels,
        metadata=_metadata(whole.metadata),
        functions=tuple(f.name for f in whole.functions),
    )


def _metadata(message: Any) -> dict[str, Any]:
    fields = {
        "description": message.shortDescription,
        "version": message.versionString,
        "author": message.author,
        "license": message.license,
    }
    named: dict[str, Any] = {key: value for key, value in fields.items() if value}
    if message.userDefined:
        named["user_defined"] = dict(sorted(message.userDefined.items()))
    return named


def _feature(message: Any) -> Feature:
    which = message.type.WhichOneof("Type")
    kind = _KINDS.get(which, str(which))
    image = array = key_type = None
    if kind == "image":
        image = _image(message.type.imageType)
    elif kind == "multi_array":
        array = _array(message.type.multiArrayType)
    elif kind == "state":
        array = _array(message.type.stateType.arrayType)
    elif kind == "dictionary":
        key = message.type.dictionaryType.WhichOneof("KeyType")
        key_type = "int64" if key == "int64KeyType" else "string"
    return Feature(
        message.name,
        kind,
        bool(message.type.isOptional),
        message.shortDescription,
        image,
        array,
        key_type,
    )


def _image(message: Any) -> ImageLayout:
    ranges: tuple[tuple[int, int | None], ...] = ()
    if message.WhichOneof("SizeFlexibility") == "imageSizeRange":
        flexible = message.imageSizeRange
        ranges = (_range(flexible.widthRange), _range(flexible.heightRange))
    return ImageLayout(
        int(message.width),
        int(message.height),
        _COLORS.get(message.colorSpace, "RGB"),
        tuple((int(s.width), int(s.height)) for s in message.enumeratedSizes.sizes),
        ranges,
    )


def _array(message: Any) -> ArrayLayout:
    ranges: tuple[tuple[int, int | None], ...] = ()
    if message.WhichOneof("ShapeFlexibility") == "shapeRange":
        ranges = tuple(_range(r) for r in message.shapeRange.sizeRanges)
    which = message.WhichOneof("defaultOptionalValue")
    return ArrayLayout(
        _ARRAY_TYPES.get(message.dataType, "float32"),
        tuple(int(n) for n in message.shape),
        tuple(tuple(int(n) for n in s.shape) for s in message.enumeratedShapes.shapes),
        ranges,
        float(getattr(message, which)) if which else None,
    )


def _range(message: Any) -> tuple[int, int | None]:
    high = int(message.upperBound)
    return int(message.lowerBound), None if high < 0 else high
