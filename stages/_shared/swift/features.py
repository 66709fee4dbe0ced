"""A model's inputs and outputs as Swift properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlbuild.coreml import Feature

from ..problem.problem import Problem
from .names import comment, identifiers

_TYPES = {
    "image": "CVPixelBuffer",
    "multi_array": "MLMultiArray",
    "int64": "Int64",
    "double": "Double",
    "string": "String",
}
_WRAPS = {
    "image": "MLFeatureValue(pixelBuffer: {})",
    "multi_array": "MLFeatureValue(multiArray: {})",
    "int64": "MLFeatureValue(int64: {})",
    "double": "MLFeatureValue(double: {})",
    "string": "MLFeatureValue(string: {})",
    "dictionary": "try MLFeatureValue(dictionary: {})",
}
_UNWRAPS = {
    "image": "?.imageBufferValue",
    "multi_array": "?.multiArrayValue",
    "int64": "?.int64Value",
    "double": "?.doubleValue",
    "string": "?.stringValue",
    "dictionary": "?.dictionaryValue",
}


@dataclass(frozen=True)
class Property:
    """One feature, ready for the templates."""

    name: str
    identifier: str
    kind: str
    type: str
    help: str
    told: str
    optional: bool
    key_type: str

    @property
    def local(self) -> str:
        """A name for a local constant that no property has."""
        return f"found_{self.identifier.strip('`')}"

    @property
    def unwrap(self) -> str:
        return _UNWRAPS[self.kind]

    @property
    def read(self) -> str:
        """The property's value from the local constant."""
        if self.kind != "dictionary":
            return self.local
        key = "pair.key as? String"
        if self.key_type == "Int64":
            key = "(pair.key as? NSNumber)?.int64Value"
        pairs = f"{{ pair in ({key}).map {{ ($0, pair.value.doubleValue) }} }}"
        return f"Dictionary(uniqueKeysWithValues: {self.local}.compactMap {pairs})"

    def wrap(self, value: str) -> str:
        """The feature value of a Swift expression."""
        if self.kind == "dictionary":
            pairs = f"{value}.map {{ (AnyHashable($0.key), NSNumber(value: $0.value)) }}"
            value = f"Dictionary(uniqueKeysWithValues: {pairs})"
        return _WRAPS[self.kind].format(value)


def properties(features: Sequence[Feature]) -> list[Property]:
    """One property for each feature.

    Raises:
        Problem: a feature is of a kind that the wrapper does not know.
    """
    names = identifiers(feature.name for feature in features)
    return [_property(f, name) for f, name in zip(features, names, strict=True)]


def _property(feature: Feature, identifier: str) -> Property:
    if feature.kind not in _WRAPS:
        raise Problem(f"no Swift wrapper can be made: '{feature.name}' is a {feature.kind}")
    key = "Int64" if feature.key_type == "int64" else "String"
    swift = _TYPES.get(feature.kind, f"[{key}: Double]")
    told = str(feature) if feature.kind != "dictionary" else "scores by label"
    return Property(
        name=feature.name,
        identifier=identifier,
        kind=feature.kind,
        type=f"{swift}?" if feature.optional else swift,
        help=comment(feature.help or told),
        told=comment(told),
        optional=feature.optional,
        key_type=key,
    )
