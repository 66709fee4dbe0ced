"""The changes of names and texts in a specification."""

from __future__ import annotations

import difflib
from typing import Any

import coremltools as ct

from ..._shared.problem.problem import Problem

# Source: coremltools' table of specification versions by system.
_VERSIONS = {
    "iOS13": 4,
    "iOS14": 5,
    "iOS15": 6,
    "iOS16": 7,
    "iOS17": 8,
    "macOS14": 8,
    "iOS18": 9,
    "macOS15": 9,
}


def change(spec: Any, params: Any) -> list[str]:
    """Change a specification in place.

    Returns:
        A line on each change.

    Raises:
        Problem: what shall be changed is not there, or a name is taken.
    """
    done = [*_target(spec, params.target), *_renamed(spec, params.rename)]
    done += _relabelled(spec, params.labels)
    done += _described(spec.description.input, params.inputs)
    done += _described(spec.description.output, params.outputs)
    if params.update == "drop" and spec.isUpdatable:
        _drop_update(spec)
        done.append("no longer updatable")
    return [*done, *_metadata(spec.description.metadata, params)]


def _target(spec: Any, target: str | None) -> list[str]:
    if target is None:
        return []
    wanted, has = _VERSIONS[target], spec.specificationVersion
    if has > wanted:
        raise Problem(
            f"the model has specification version {has}, {target} runs up to {wanted}",
            hint="leave out target, or name a newer system",
        )
    spec.specificationVersion = wanted
    return [f"specification version {has} -> {wanted}"] if has != wanted else []


def _renamed(spec: Any, rename: dict[str, str]) -> list[str]:
    names = [f.name for f in (*spec.description.input, *spec.description.output)]
    for old, new in rename.items():
        if old not in names:
            near = difflib.get_close_matches(old, names, 1)
            raise Problem(
                f"rename: the model has no input or output '{old}'; it has {', '.join(names)}",
                hint=f"did you mean '{near[0]}'?" if near else None,
            )
        if new in names and new not in rename:
            raise Problem(f"rename: '{new}' is the name of another input or output")
    # Over names that nothing has, so that two can be exchanged.
    for old in rename:
        ct.utils.rename_feature(spec, old, f"mlbuild__{old}")
    for old, new in rename.items():
        ct.utils.rename_feature(spec, f"mlbuild__{old}", new)
    return [f"{old} -> {new}" for old, new in rename.items()]


def _relabelled(spec: Any, labels: dict[str, str]) -> list[str]:
    if not labels:
        return []
    lists = list(_label_lists(spec))
    known = [label for found in lists for label in found.vector]
    missing = [old for old in labels if old not in known]
    if missing:
        near = difflib.get_close_matches(missing[0], known, 1)
        raise Problem(
            f"labels: the model has no label '{missing[0]}'",
            hint=f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known[:8])}",
        )
    for found in lists:
        new = [labels.get(label, label) for label in found.vector]
        if len(set(new)) != len(new):
            raise Problem("labels: two labels would have one name")
        del found.vector[:]
        found.vector.extend(new)
    return [f"label {old} -> {new}" for old, new in labels.items()]


def _label_lists(message: Any) -> Any:
    """Every list of text labels in a model; those of a program stand in it as values."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.name == "StringVector" and "label" in field.name.lower():
            yield value
        elif field.message_type.GetOptions().map_entry:
            continue
        elif field.is_repeated:
            for item in value:
                yield from _label_lists(item)
        else:
            yield from _label_lists(value)


def _described(features: Any, lines: dict[str, str]) -> list[str]:
    known = {f.name: f for f in features}
    for name, text in lines.items():
        if name not in known:
            raise Problem(f"there is no '{name}' to describe; there is {', '.join(known)}")
        known[name].shortDescription = text
    return [f"{name} is described" for name in lines]


def _drop_update(spec: Any) -> None:
    spec.isUpdatable = False
    kind = getattr(spec, spec.WhichOneof("Type"))
    for name in ("updateParams",):
        if name in kind.DESCRIPTOR.fields_by_name:
            kind.ClearField(name)
    spec.description.ClearField("trainingInput")


def _metadata(metadata: Any, params: Any) -> list[str]:
    done = []
    fields = {"author": "author", "licence": "license", "version": "versionString",
              "description": "shortDescription"}  # fmt: skip
    for name, field in fields.items():
        value = getattr(params, name)
        if value is not None:
            setattr(metadata, field, value)
            done.append(f"{name} is set")
    for key, value in params.metadata.items():
        metadata.userDefined[key] = value
        done.append(f"metadata {key} is set")
    return done
