"""Provenance: an in-toto statement on what the artifacts were made from, and how.

Formats: https://in-toto.io/Statement/v1, https://slsa.dev/spec/v1.0/provenance. It tells no time
and no machine: it is a function of the commit, the ledger and the command line.
"""

from __future__ import annotations

from mlbuild.records import Json
from mlbuild.release.documents.packages import dataset_purl, packages, purl, web_address
from mlbuild.release.facts import DatasetFacts, ReleaseFacts

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
# Where the parameters are described: a page of our source distribution.
BUILD_TYPE = "pkg:pypi/mlbuild-pipelines?format=1#docs/release-folder.md"
_BUILDER = "pkg:pypi/mlbuild-pipelines"
_HEX = frozenset("0123456789abcdef")


def statement(facts: ReleaseFacts) -> dict[str, Json]:
    """The statement on every file of every artifact."""
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": file.path, "digest": {"sha256": file.sha256}}
            for artifact in facts.artifacts
            for file in sorted(artifact.files, key=lambda f: f.path)
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "pipeline": facts.pipeline,
                    "directory": facts.directory,
                    "profiles": list(facts.profiles),
                    "set": list(facts.sets),
                    "params": facts.params,
                },
                "internalParameters": {
                    "stages": [_stage(facts, number) for number in range(len(facts.stages))],
                    "toolchains": {
                        name: {"python": told.get("python"), "digest": told.get("digest")}
                        for name, told in facts.toolchains.items()
                    },
                },
                "resolvedDependencies": _dependencies(facts),
            },
            "runDetails": {
                "builder": {"id": _BUILDER, "version": {"mlbuild": facts.mlbuild}},
            },
        },
    }


def _stage(facts: ReleaseFacts, number: int) -> Json:
    stage = facts.stages[number]
    return {
        "name": stage.name,
        "kind": stage.kind,
        "command": stage.command,
        "key": stage.key,
        "toolchain": stage.toolchain,
        "outputs": {name: out.get("md5") for name, out in stage.outputs.items()},
    }


def _dependencies(facts: ReleaseFacts) -> list[Json]:
    found: list[Json] = [_source(facts)]
    found += [_dataset(data) for data in sorted(facts.datasets, key=lambda d: d.name)]
    for name, version, users in packages(facts):
        uri = purl("pypi", name, version)
        found.append({"name": name, "uri": uri, "annotations": {"toolchains": users}})
    return found


def _source(facts: ReleaseFacts) -> Json:
    source: dict[str, Json] = {"name": "source", "digest": {"gitCommit": facts.commit}}
    address = web_address(facts.repository or "")
    if address:
        source["uri"] = f"git+{address}@{facts.commit}"
    return source


def _dataset(data: DatasetFacts) -> Json:
    told: dict[str, Json] = {
        "name": f"dataset {data.name}",
        "digest": digests(data),
        "annotations": {"scheme": data.scheme, "location": data.location},
    }
    uri = dataset_purl(data) or web_address(data.location)
    if uri:
        told["uri"] = uri
    return told


def digests(data: DatasetFacts) -> dict[str, str]:
    """What identifies a dataset, by algorithm.

    The MD5 of a folder is that of DVC's listing of it, so it has a name of its own.
    """
    folder = data.md5.endswith(".dir")
    found = {"dvcListingMd5" if folder else "md5": data.md5.removesuffix(".dir")}
    sha256, commit = str(data.source.get("sha256") or ""), str(data.source.get("commit") or "")
    if _is_hex(sha256, 64):
        found["sha256"] = sha256
    if _is_hex(commit, 40) or _is_hex(commit, 64):
        found["gitCommit"] = commit
    return found


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and set(text) <= _HEX
