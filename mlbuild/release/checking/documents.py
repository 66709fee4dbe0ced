"""JSON documents of a release: read once, strictly, or told why not."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlbuild.records import Json
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import Folder
from mlbuild.release.checking.strict_json import parse

_REMEDY = "the document was exchanged or rewritten: get the release again"


def finding(
    about: About, where: str, what: str, expected: str | None = None, found: str | None = None
) -> Finding:
    """A finding about a document."""
    return Finding(about, where, what, expected, found, _REMEDY)


def read(folder: Folder, name: str, about: About) -> Mapping[str, Json] | Finding:
    """The object that a document is, or what is wrong with it."""
    if name not in folder.files:
        return finding(about, name, "is not there")
    try:
        value = parse(folder.document(name))
    except ValueError as error:
        return finding(about, name, str(error))
    return value if isinstance(value, dict) else finding(about, name, "is not an object")


def get(value: Json, *path: str | int) -> Json:
    """What lies at a path in a document; None where there is nothing."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def rows(value: Json) -> list[Mapping[str, Json]]:
    """The objects of a list; what is none is passed over."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def brief(value: Json) -> str:
    """A value as a message shows it."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def differing(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Paths that are missing, unknown, or have another digest."""
    return [p for p in sorted({*expected, *found}) if expected.get(p) != found.get(p)]
