"""What a model says about itself: inputs, outputs, labels, metadata.

Source: Core ML specification, Model.proto (ModelDescription) and FeatureTypes.proto.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from .errors import ModelFileError

_MAX_ELEMENTS = 2**32  # as in ML Programs: no feature of a real model comes near

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
    """Element type and shape; ``shapes`` or ``ranges`` where it is flexible.

    ``legacy`` marks inputs of networks whose arrays become [S, B, C, H, W]: the first two
    dimensions may be given beyond the described ones (NeuralNetwork.proto, RANK5_ARRAY_MAPPING).
    """

    dtype: str
    shape: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...] = ()
    ranges: tuple[tuple[int, int | None], ...] = ()
    default: float | None = None
    legacy: bool = False

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape may be given."""
        return self._fits(shape) or (self.legacy and self._fits_rank_5(shape))

    def _fits_rank_5(self, shape: tuple[int, ...]) -> bool:
        """Whether a shape is [S, B, C, H, W] (leading ones may be left out) of a described one."""
        described = len(self.ranges or self.shape)
        if len(shape) > 5 or described not in (1, 3):
            return False
        if described == 3:
            return len(shape) > 3 and self._fits(shape[-3:])
        # [C], [B, C], [S, B, C] and [S, B, C, 1, 1] are all sequences of vectors
        return (len(shape) in (2, 3) and self._fits(shape[-1:])) or (
            len(shape) in (4, 5) and shape[-2:] == (1, 1) and self._fits(shape[-3:-2])
        )

    def _fits(self, shape: tuple[int, ...]) -> bool:
        if not (self.shape or self.ranges or self.shapes):
            return True
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
        item_type: For sequences the type of the elements, string or int64.
        lengths: For sequences the least and the greatest length (None: any).
    """

    name: str
    kind: str
    optional: bool = False
    help: str = ""
    image: ImageLayout | None = None
    array: ArrayLayout | None = None
    key_type: str | None = None
    item_type: str | None = None
    lengths: tuple[int, int | None] = (0, None)

    def __str__(self) -> str:
        if self.image:
            return f"image {self.image.width} x {self.image.height} {self.image.color}"
        if self.array:
            return f"{self.array.dtype}{list(self.array.shape)}"
        if self.kind == "dictionary":
            return f"dictionary of {self.key_type} to double"
        return f"sequence of {self.item_type}" if self.item_type else self.kind


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
    states: tuple[Feature, ...] = ()
    training: tuple[Feature, ...] = ()


def describe(
    spec: Any, function: str | None = None, class_labels: tuple[str | int, ...] = ()
) -> Description:
    """Read a specification's description; ``class_labels`` come from the model's inside."""
    whole = spec.description
    part = whole
    for candidate in whole.functions:  # multi-function models describe each one on its own
        if candidate.name == (function or whole.defaultFunctionName):
            part = candidate
    kind = str(spec.WhichOneof("Type"))
    return Description(
        type=kind,
        spec_version=int(spec.specificationVersion),
        inputs=tuple(_feature(f, _maps_to_rank_5(spec)) for f in part.input),
        outputs=tuple(_feature(f) for f in part.output),
        predicted_feature=part.predictedFeatureName or None,
        predicted_probabilities=part.predictedProbabilitiesName or None,
        class_labels=class_labels,
        metadata=_metadata(whole.metadata),
        functions=tuple(f.name for f in whole.functions),
        training=tuple(_feature(f) for f in whole.trainingInput),
        states=tuple(_feature(f) for f in part.state),
    )


def _maps_to_rank_5(spec: Any) -> bool:
    """Whether arrays take a network's five dimensions (0 is RANK5_ARRAY_MAPPING)."""
    kind = spec.WhichOneof("Type")
    if kind == "pipeline":
        return any(_maps_to_rank_5(model) for model in spec.pipeline.models)
    if kind in ("pipelineClassifier", "pipelineRegressor"):
        return any(_maps_to_rank_5(model) for model in getattr(spec, kind).pipeline.models)
    if kind in ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor"):
        return int(getattr(spec, kind).arrayInputShapeMapping) == 0
    return False


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


def _feature(message: Any, legacy: bool = False) -> Feature:
    which = message.type.WhichOneof("Type")
    if which not in _KINDS:
        raise ModelFileError("a feature has no type", place=f"feature '{message.name}'")
    kind, place = _KINDS[which], f"feature '{message.name}'"
    facts: dict[str, Any] = {}
    if kind == "image":
        facts["image"] = _image(message.type.imageType, place)
    elif kind == "multi_array":
        facts["array"] = _array(message.type.multiArrayType, place, legacy)
    elif kind == "state":
        facts["array"] = _array(message.type.stateType.arrayType, place)
    elif kind == "dictionary":
        key = message.type.dictionaryType.WhichOneof("KeyType")
        facts["key_type"] = "int64" if key == "int64KeyType" else "string"
    elif kind == "sequence":
        sequence = message.type.sequenceType
        facts["item_type"] = "int64" if sequence.WhichOneof("Type") == "int64Type" else "string"
        if sequence.HasField("sizeRange"):
            facts["lengths"] = _range(sequence.sizeRange)
    return Feature(
        message.name, kind, bool(message.type.isOptional), message.shortDescription, **facts
    )


def _image(message: Any, place: str) -> ImageLayout:
    sizes = tuple((int(s.width), int(s.height)) for s in message.enumeratedSizes.sizes)
    ranges: tuple[tuple[int, int | None], ...] = ()
    if message.WhichOneof("SizeFlexibility") == "imageSizeRange":
        flexible = message.imageSizeRange
        ranges = (_range(flexible.widthRange), _range(flexible.heightRange))
    size = int(message.width), int(message.height)
    if size == (0, 0):  # then the first size, or the least one, is the default
        size = sizes[0] if sizes else (ranges[0][0], ranges[1][0]) if ranges else size
    if message.colorSpace not in _COLORS:
        raise ModelFileError(
            "an image of unknown colours",
            place=place,
            got=f"colour space {message.colorSpace}",
            allowed=_COLORS.values(),
        )
    _check_shape(size, place)
    return ImageLayout(*size, _COLORS[message.colorSpace], sizes, ranges)


def _array(message: Any, place: str, legacy: bool = False) -> ArrayLayout:
    ranges: tuple[tuple[int, int | None], ...] = ()
    if message.WhichOneof("ShapeFlexibility") == "shapeRange":
        ranges = tuple(_range(r) for r in message.shapeRange.sizeRanges)
    shapes = tuple(tuple(int(n) for n in s.shape) for s in message.enumeratedShapes.shapes)
    shape = tuple(int(n) for n in message.shape)
    if not shape:  # then the first shape, or the least one, is the default
        shape = shapes[0] if shapes else tuple(low for low, _ in ranges)
    which = message.WhichOneof("defaultOptionalValue")
    if message.dataType and message.dataType not in _ARRAY_TYPES:
        raise ModelFileError(
            "an array of unknown element type",
            place=place,
            got=f"data type {message.dataType}",
            allowed=_ARRAY_TYPES.values(),
        )
    _check_shape(shape, place)
    return ArrayLayout(
        _ARRAY_TYPES.get(message.dataType, "float32"),  # outputs of old models name no type
        shape,
        shapes,
        ranges,
        float(getattr(message, which)) if which else None,
        legacy,
    )


def _check_shape(shape: tuple[int, ...], place: str) -> None:
    if prod(max(n, 1) for n in shape) > _MAX_ELEMENTS or len(shape) > 64:
        text = str(list(shape[:8]))
        raise ModelFileError("a feature's shape is absurd", place=place, got=text)


def _range(message: Any) -> tuple[int, int | None]:
    high = int(message.upperBound)
    return int(message.lowerBound), None if high < 0 else high
