"""Strings to integers or integers to strings, one by one or in a sequence.

Source: Core ML specification, CategoricalMapping.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...body import Ran
from ...errors import InputError
from ..kind import Computation, Given, kind

_UNKNOWN = {"stringToInt64Map": "int64Value", "int64ToStringMap": "strValue"}
_KINDS = {"stringToInt64Map": ("string", "int64"), "int64ToStringMap": ("int64", "string")}


@kind("categoricalMapping")
def categorical_mapping(given: Given) -> Computation:
    """A value outside of the map takes the default one, or is an error if there is none."""
    params = given.params
    which, unknown = params.WhichOneof("MappingType"), params.WhichOneof("ValueOnUnknown")
    if which is None:
        raise given.wrong("there is no mapping")
    if unknown not in (None, _UNKNOWN[which]):
        raise given.wrong("the default is of the wrong type", unknown, (_UNKNOWN[which],))
    table = dict(getattr(params, which).map)
    before, after = _KINDS[which]
    source = given.one_input(before, "sequence")
    target = given.one_output(after, "sequence")
    if (source.kind == "sequence") != (target.kind == "sequence"):
        raise given.wrong("input and output are not both sequences")

    def mapped(value: Any) -> Any:
        if value in table:
            return table[value]
        if unknown is None:
            raise InputError("an unknown value", place=f"input '{source.name}'", got=repr(value))
        return getattr(params, unknown)

    def run(values: Mapping[str, Any]) -> Ran:
        value = values.get(source.name)
        result = [mapped(item) for item in value] if isinstance(value, list) else mapped(value)
        return Ran({target.name: result}, {})

    return Computation(run)
