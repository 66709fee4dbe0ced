"""What an app sees of a model, and how two models differ in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlbuild.records import Json

_FIELDS = ("type", "spec_version", "target", "inputs", "outputs", "class_labels", "content")


@dataclass(frozen=True, slots=True)
class Difference:
    """How the interface of a model changed; sentences are sorted by what they speak of."""

    breaking: tuple[str, ...] = ()  # an app that uses the old model does not run with the new one
    others: tuple[str, ...] = ()
    labels_added: tuple[str, ...] = ()
    labels_removed: tuple[str, ...] = ()


def interface_of(model: Mapping[str, Json]) -> dict[str, Json]:
    """The part of what `mlbuild inspect` tells that apps depend on, and a digest of the rest."""
    return {name: model[name] for name in _FIELDS if model.get(name) is not None}


def difference(before: Mapping[str, Json], after: Mapping[str, Json]) -> Difference:
    """What changed between two interfaces."""
    breaking = [
        sentence
        for what in ("input", "output")
        for sentence in _features(what, before.get(f"{what}s") or (), after.get(f"{what}s") or ())
    ]
    old, new = before.get("class_labels") or (), after.get("class_labels") or ()
    added = tuple(label for label in new if label not in set(old))
    removed = tuple(label for label in old if label not in set(new))
    breaking += _labels(added, removed, same=list(old) == list(new))
    others: list[str] = []
    needs, needed = after.get("spec_version") or 0, before.get("spec_version") or 0
    if needs != needed:
        told = f"it needs {_target(after)}, before {_target(before)}"
        (breaking if needs > needed else others).append(told)
    if before.get("type") != after.get("type"):
        others.append(f"it is of type {after.get('type')}, before {before.get('type')}")
    return Difference(tuple(breaking), tuple(others), added, removed)


def _features(
    what: str, before: Sequence[Mapping[str, Json]], after: Sequence[Mapping[str, Json]]
) -> list[str]:
    old, new = {f["name"]: f for f in before}, {f["name"]: f for f in after}
    told = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            told.append(f"{what} '{name}' went")
        elif name not in old:
            told.append(f"{what} '{name}' came: {_shown(new[name])}")
        elif old[name] != new[name]:
            told.append(f"{what} '{name}' is {_shown(new[name])}, before {_shown(old[name])}")
    return told


def _shown(feature: Mapping[str, Json]) -> str:
    text = str(feature.get("type"))
    return f"{text}, optional" if feature.get("optional") else text


def _labels(added: Sequence[str], removed: Sequence[str], *, same: bool) -> list[str]:
    if same:
        return []
    if not added and not removed:
        return ["the labels stand in another order"]
    parts = [f"{len(added)} came" if added else "", f"{len(removed)} went" if removed else ""]
    return [f"the labels changed: {', '.join(p for p in parts if p)}"]


def _target(interface: Mapping[str, Json]) -> str:
    version = f"specification version {interface.get('spec_version')}"
    target = interface.get("target")
    return f"{target} ({version})" if target else version
