"""Whether the provenance is that of these very artifacts, from the manifest's commit.

Formats: https://in-toto.io/Statement/v1, https://slsa.dev/spec/v1.0/provenance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlbuild.records import Json
from mlbuild.release.checking.documents import differing, finding, get, read, rows
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


def _finding(where: str, what: str, expected: str, found: str) -> Finding:
    return finding(About.PROVENANCE, PROVENANCE + where, what, expected, found)
