"""Whether the model card is this release's: its front matter, its title, its commit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mlbuild.lazily import lazily
from mlbuild.records import Json
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import Folder
from mlbuild.release.manifest_reading import Manifest

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazily("yaml")  # 35 ms

CARD = "README.md"
_FRONT = re.compile(r"---\n(.*?\n)---\n", re.S)
_MAX_FRONT = 1 << 20  # characters; what we write has some thousands
_REMEDY = "the card was exchanged or rewritten: get the release again"


def check_card(folder: Folder, manifest: Manifest) -> Iterator[Finding]:
    """README.md begins with YAML that model hubs read, and tells of this model and version."""
    if CARD not in folder.files:
        yield _finding("there is no model card")
        return
    try:
        text = folder.document(CARD).decode("utf-8")
        front = _FRONT.match(text)
        metadata = _metadata(front[1] if front else "")
    except ValueError as error:  # UnicodeDecodeError is one
        yield _finding(f"the model card cannot be read: {error}")
        return
    yield from _names(metadata, manifest)
    body = text[front.end() :] if front else text
    titles = (line[2:].strip() for line in body.splitlines() if line.startswith("# "))
    told = next(titles, "").replace("\\", "")  # Markdown escapes with it
    if not told.endswith(f" {manifest.release}"):
        yield _finding("the card is that of another release", manifest.release, told or "no title")
    if manifest.commit not in body:
        yield _finding("the card does not tell the commit of this release", manifest.commit)


def _metadata(front: str) -> Mapping[str, Json]:
    if not front:
        raise ValueError("it does not begin with front matter between two lines of ---")
    if len(front) > _MAX_FRONT:
        raise ValueError("its front matter is larger than 1 MiB")
    try:
        # libyaml, where PyYAML has it, is ten times as fast.
        value = yaml.load(front, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        first = str(error).partition("\n")[0]
        raise ValueError(f"its front matter is not YAML: {first}") from None
    if not isinstance(value, dict):
        raise ValueError("its front matter is no map")
    return value


def _names(metadata: Mapping[str, Json], manifest: Manifest) -> Iterator[Finding]:
    """Hubs show results under the name of the index."""
    index = metadata.get("model-index")
    rows = index if isinstance(index, list) else []
    for row in rows:
        name = row.get("name") if isinstance(row, dict) else None
        if name != manifest.name:
            what = "the results of the card are those of another model"
            yield _finding(what, manifest.name, str(name))


def _finding(what: str, expected: str | None = None, found: str | None = None) -> Finding:
    return Finding(About.CARD, CARD, what, expected, found, _REMEDY)
