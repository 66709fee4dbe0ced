"""Whether the bill of materials is that of this release: its version, and every file's digest.

Format: CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlbuild.records import Json
from mlbuild.release.checking.documents import differing, finding, get, read, rows
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import Folder
from mlbuild.release.manifest_reading import Manifest

BOM = "bom.cdx.json"


def check_bom(folder: Folder, manifest: Manifest) -> Iterator[Finding]:
    """It describes this name and version, and the files of the artifacts by their SHA-256."""
    bom = read(folder, BOM, About.BOM)
    if isinstance(bom, Finding):
        yield bom
        return
    told = (str(bom.get("bomFormat")), str(bom.get("specVersion")))
    if told != ("CycloneDX", "1.6"):
        yield _finding(": specVersion", "is no such document", "CycloneDX 1.6", " ".join(told))
    for key, expected in (("name", manifest.name), ("version", manifest.release)):
        found = get(bom, "metadata", "component", key)
        if found != expected:
            where = f": metadata.component.{key}"
            yield _finding(where, "is that of another release", expected, str(found))
    properties = rows(get(bom, "metadata", "properties"))
    told_of = {str(row.get("name")): row.get("value") for row in properties}
    for key, expected in (("commit", manifest.commit), ("tag", manifest.tag)):
        found = told_of.get(f"mlbuild:{key}")
        if found != expected:
            where = f": metadata.properties: mlbuild:{key}"
            yield _finding(where, "is that of another release", expected, str(found))
    yield from _hashes(bom, manifest)


def _hashes(bom: Mapping[str, Json], manifest: Manifest) -> Iterator[Finding]:
    listed = manifest.listed
    made = {p: listed[p].sha256 for a in manifest.artifacts for p in a.files if p in listed}
    told = dict(_files(get(bom, "metadata", "component"), made))
    for component in rows(bom.get("components")):
        told |= dict(_files(component, made))
    if odd := differing(made, told):
        first = odd[0]
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        what = f"describes other files than those that lie here: {first}{more}"
        yield _finding(": components", what, made.get(first, "none"), told.get(first, "none"))


def _files(component: Json, made: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Files of a component and of those inside it, by path, with their SHA-256."""
    waiting = [component]
    while waiting:
        inner = waiting.pop()
        if not isinstance(inner, dict):
            continue
        waiting += rows(inner.get("components"))
        name = str(inner.get("name"))
        if inner.get("type") == "file" or name in made:
            digests = [h.get("content") for h in rows(inner.get("hashes")) if _is_sha256(h)]
            yield name, str(digests[0]) if len(digests) == 1 else "none"


def _is_sha256(row: Mapping[str, Json]) -> bool:
    return row.get("alg") == "SHA-256"


def _finding(where: str, what: str, expected: str, found: str) -> Finding:
    return finding(About.BOM, BOM + where, what, expected, found)
