"""Whether the provenance is that of these very artifacts, from the manifest's commit.

Formats: https://in-toto.io/Statement/v1, https://slsa.dev/spec/v1.0/provenance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlbuild.records import Json
from mlbuild.release.checking.documents import brief, differing, finding, get, read, rows
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import Folder
from mlbuild.release.manifest_reading import Manifest

PROVENANCE = "provenance.json"
_TYPES = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicateType": "https://slsa.dev/provenance/v1",
}
_SHOWN = 3


def check_provenance(folder: Folder, manifest: Manifest) -> Iterator[Finding]:
    """Each file of an artifact is a subject, by its SHA-256, and nothing else is."""
    statement = read(folder, PROVENANCE, About.PROVENANCE)
    if isinstance(statement, Finding):
        yield statement
        return
    for key, kind in _TYPES.items():
        if statement.get(key) != kind:
            yield _finding(f": {key}", "is no build provenance", kind, str(statement.get(key)))
    yield from _subjects(statement, manifest)
    yield from _commit(statement, manifest)
    yield from _build(statement, manifest)


def _subjects(statement: Mapping[str, Json], manifest: Manifest) -> Iterator[Finding]:
    listed = manifest.listed
    made = {p: listed[p].sha256 for a in manifest.artifacts for p in a.files if p in listed}
    subjects = rows(statement.get("subject"))
    told = {str(row.get("name")): str(get(row, "digest", "sha256")) for row in subjects}
    if odd := differing(made, told):
        first = odd[0]
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        what = f"tells how other files were made than those that lie here: {first}{more}"
        yield _finding(": subject", what, made.get(first, "no subject"), told.get(first, "none"))


def _commit(statement: Mapping[str, Json], manifest: Manifest) -> Iterator[Finding]:
    sources = rows(get(statement, "predicate", "buildDefinition", "resolvedDependencies"))
    commits = {str(c) for row in sources if (c := get(row, "digest", "gitCommit"))}
    if manifest.commit not in commits:
        where = ": predicate.buildDefinition.resolvedDependencies"
        told = ", ".join(sorted(commits)[:_SHOWN]) or "no commit"
        yield _finding(where, "is that of another build", manifest.commit, told)


def _build(statement: Mapping[str, Json], manifest: Manifest) -> Iterator[Finding]:
    """What it says was asked for and done is what the manifest says."""
    definition = get(statement, "predicate", "buildDefinition")
    for name in ("pipeline", "directory", "profiles", "set", "params"):
        told, expected = get(definition, "externalParameters", name), getattr(manifest, name)
        if told != expected:
            where = f": predicate.buildDefinition.externalParameters.{name}"
            yield _finding(where, "is that of another build", brief(expected), brief(told))
    stages = rows(get(definition, "internalParameters", "stages"))
    keys = {str(row.get("name")): str(row.get("key")) for row in stages}
    if odd := differing({stage.name: stage.key for stage in manifest.stages}, keys):
        where = ": predicate.buildDefinition.internalParameters.stages"
        what = f"tells of other stages than the manifest: {', '.join(odd[:_SHOWN])}"
        yield _finding(where, what, f"{len(manifest.stages)} stages", f"{len(odd)} differ")
    sources = rows(get(definition, "resolvedDependencies"))
    data = {str(s.get("name")): _md5(s) for s in sources if _md5(s)}
    expected = {f"dataset {d.name}": d.md5.removesuffix(".dir") for d in manifest.datasets}
    if odd := differing(expected, data):
        where = ": predicate.buildDefinition.resolvedDependencies"
        what = f"tells of other data than the manifest: {', '.join(odd[:_SHOWN])}"
        yield _finding(where, what, expected.get(odd[0], "none"), data.get(odd[0], "none"))


def _md5(source: Mapping[str, Json]) -> str:
    """Of a file, or of the listing that DVC makes of a folder."""
    return str(get(source, "digest", "md5") or get(source, "digest", "dvcListingMd5") or "")


def _finding(where: str, what: str, expected: str, found: str) -> Finding:
    return finding(About.PROVENANCE, PROVENANCE + where, what, expected, found)
