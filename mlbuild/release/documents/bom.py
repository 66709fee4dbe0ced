"""The bill of materials: model, datasets and packages in CycloneDX 1.6.

Format: https://cyclonedx.org/docs/1.6/json/. It tells no time; its serial number is made from its
content, so that equal content is equal bytes.
"""

from __future__ import annotations

import uuid

from mlbuild.records import Json
from mlbuild.release.documents import wording
from mlbuild.release.documents.canonical import canonical_json
from mlbuild.release.documents.licences import spdx
from mlbuild.release.documents.modelcard import model_card, texts
from mlbuild.release.documents.packages import dataset_purl, packages, purl, web_address
from mlbuild.release.documents.provenance import digests
from mlbuild.release.facts import DatasetFacts, ReleasedArtifact, ReleaseFacts

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_NAMESPACE = uuid.UUID("6f3c2a52-0f3e-5d0b-9f6b-2f4d7c1e8a90")  # of our serial numbers
_ALGORITHMS = {"md5": "MD5", "sha256": "SHA-256"}


def bom(facts: ReleaseFacts) -> dict[str, Json]:
    """The bill of materials of a release."""
    data = sorted(facts.datasets, key=lambda d: d.name)
    libraries = [_library(*package) for package in packages(facts)]
    release = _reference(facts)
    content: dict[str, Json] = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [_tool(facts)]},
            "component": _release(facts, release),
            "properties": _properties(facts),
        },
        "components": [*(_dataset(d) for d in data), *libraries],
        "dependencies": [
            {
                "ref": release,
                "dependsOn": [_data_reference(d) for d in data] + [c["bom-ref"] for c in libraries],
            }
        ],
    }
    serial = uuid.uuid5(_NAMESPACE, canonical_json(content).decode("utf-8"))
    return {**content, "serialNumber": serial.urn}


def _reference(facts: ReleaseFacts) -> str:
    return f"release:{facts.name}@{facts.version}"


def _data_reference(data: DatasetFacts) -> str:
    return f"dataset:{data.name}"


def _tool(facts: ReleaseFacts) -> Json:
    version = facts.mlbuild
    return {
        "type": "application",
        "name": "mlbuild-pipelines",
        "version": version,
        "purl": purl("pypi", "mlbuild-pipelines", version),
    }


def _release(facts: ReleaseFacts, reference: str) -> Json:
    """The release as the model that the document is about, its artifacts and files inside."""
    card = facts.card
    found: dict[str, Json] = {
        "type": "machine-learning-model",
        "bom-ref": reference,
        "name": facts.name,
        "version": facts.version,
        "description": " ".join(texts(card.get("summary"))),
        "authors": [{"name": name} for name in texts(card.get("authors"))],
        "licenses": _licences(card.get("licence")),
        "tags": texts(card.get("tags")),
        "externalReferences": _addresses(facts),
        "modelCard": model_card(facts, [_data_reference(d) for d in facts.datasets]),
        "components": [_artifact(artifact) for artifact in facts.artifacts],
    }
    return {key: value for key, value in found.items() if value}


def _licences(licence: Json) -> list[Json]:
    found: list[Json] = []
    for text in texts(licence):
        known = spdx(text)
        found.append({"license": {"id": known} if known else {"name": text}})
    return found


def _addresses(facts: ReleaseFacts) -> list[Json]:
    address = web_address(facts.repository or "")
    return [{"type": "vcs", "url": address, "comment": f"commit {facts.commit}"}] if address else []


def _artifact(artifact: ReleasedArtifact) -> Json:
    is_model = artifact.model is not None or artifact.type.endswith("Model")
    return {
        "type": "machine-learning-model" if is_model else "library",
        "bom-ref": f"artifact:{artifact.name}",
        "name": artifact.name,
        "components": [
            {
                "type": "file",
                "bom-ref": f"file:{file.path}",
                "name": file.path,
                "hashes": [{"alg": "SHA-256", "content": file.sha256}],
            }
            for file in sorted(artifact.files, key=lambda f: f.path)
        ],
        "properties": _pairs(
            {
                "type": artifact.type,
                "stage": artifact.stage,
                "key": artifact.key,
                "md5": artifact.md5,
            }
        ),
    }


def _dataset(data: DatasetFacts) -> Json:
    known = digests(data)
    hashes = [
        {"alg": _ALGORITHMS[name], "content": known[name]}
        for name in sorted(known)
        if name in _ALGORITHMS
    ]
    contents: dict[str, Json] = {"type": "dataset", "name": data.name}
    address = web_address(data.location)
    if address:
        contents["contents"] = {"url": address}
    told = {key: wording.told(data.source[key]) for key in data.source}
    told |= {"md5": data.md5, "location": data.location, "scheme": data.scheme}
    found: dict[str, Json] = {
        "type": "data",
        "bom-ref": _data_reference(data),
        "name": data.name,
        "version": _frozen(data),
        "hashes": hashes,
        "purl": dataset_purl(data),
        "data": [contents],
        "properties": _pairs(told),
    }
    return {key: value for key, value in found.items() if value}


def _frozen(data: DatasetFacts) -> str:
    told = (data.source.get(key) for key in ("version", "commit", "rev"))
    return next((wording.told(value) for value in told if value), data.md5)


def _library(name: str, version: str, toolchains: list[str]) -> dict[str, Json]:
    """A package of a toolchain: it made the model and is no part of it, so it is `excluded`."""
    address = purl("pypi", name, version)
    return {
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": version,
        "purl": address,
        "scope": "excluded",
        "properties": [{"name": "mlbuild:toolchain", "value": t} for t in toolchains],
    }


def _properties(facts: ReleaseFacts) -> list[Json]:
    return _pairs({"commit": facts.commit, "pipeline": facts.pipeline, "tag": facts.tag})


def _pairs(told: dict[str, str]) -> list[Json]:
    return [{"name": f"mlbuild:{name}", "value": told[name]} for name in sorted(told)]
