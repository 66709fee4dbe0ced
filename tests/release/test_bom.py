"""The bill of materials: as CycloneDX's own library reads and checks it."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import ComponentType
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from mlbuild.release.documents import licences
from mlbuild.release.documents.bom import bom
from mlbuild.release.documents.canonical import canonical_json
from mlbuild.release.facts import Change, ReleaseFacts
from tests.release.facts_of import facts_of, turned
from tests.release.hostile import hostile

CHECK = JsonStrictValidator(SchemaVersion.V1_6)


def text(facts: ReleaseFacts) -> str:
    return canonical_json(bom(facts)).decode("utf-8")


def read(facts: ReleaseFacts) -> Bom:
    return Bom.from_json(json.load(io.StringIO(text(facts))))


def properties(component: dict) -> dict[str, str]:
    return {p["name"]: p["value"] for p in component["properties"]}


def test_the_strict_validator_has_nothing_to_say() -> None:
    assert CHECK.validate_str(text(facts_of())) is None


def test_the_strict_validator_would_have_something_to_say() -> None:
    wrong = bom(facts_of()) | {"serialNumber": "urn:uuid:none"}
    assert CHECK.validate_str(json.dumps(wrong)) is not None


def test_hostile_names_make_a_valid_document(tmp_path: Path) -> None:
    assert CHECK.validate_str(text(hostile(tmp_path))) is None


def test_a_release_without_anything_but_artifacts_makes_a_valid_document() -> None:
    bare = facts_of(
        stages=(), gates=(), datasets=(), toolchains={}, card={}, change=Change("first", ()),
        repository=None,
    )  # fmt: skip
    assert CHECK.validate_str(text(bare)) is None
    plain = replace(bare, artifacts=tuple(replace(a, model=None) for a in bare.artifacts))
    assert CHECK.validate_str(text(plain)) is None
    assert "modelCard" not in bom(plain)["metadata"]["component"]


def test_the_library_reads_model_data_and_packages() -> None:
    found = read(facts_of())
    main = found.metadata.component
    assert main is not None
    assert (main.name, main.version) == ("dogs", "2.0.0")
    assert main.type is ComponentType.MACHINE_LEARNING_MODEL
    kinds = {c.name: c.type for c in found.components}
    assert kinds == {
        "breeds": ComponentType.DATA,
        "photos": ComponentType.DATA,
        "samples": ComponentType.DATA,
        "coremltools": ComponentType.LIBRARY,
        "numpy": ComponentType.LIBRARY,
        "torch": ComponentType.LIBRARY,
    }


def test_every_file_of_an_artifact_has_its_digest() -> None:
    facts = facts_of()
    artifacts = bom(facts)["metadata"]["component"]["components"]
    told = {f["name"]: f["hashes"][0]["content"] for a in artifacts for f in a["components"]}
    assert told == {f.path: f.sha256 for a in facts.artifacts for f in a.files}


def test_packages_made_the_model_and_are_no_part_of_it() -> None:
    (torch,) = [c for c in bom(facts_of())["components"] if c["name"] == "torch"]
    assert torch["scope"] == "excluded"
    assert torch["purl"] == "pkg:pypi/torch@2.13.0%2Bcpu"


def test_a_folders_md5_is_no_hash_of_a_file() -> None:
    (photos,) = [c for c in bom(facts_of())["components"] if c["name"] == "photos"]
    assert "hashes" not in photos
    assert properties(photos)["mlbuild:md5"].endswith(".dir")


def test_the_model_card_tells_measures_with_intervals_and_considerations() -> None:
    card = bom(facts_of())["metadata"]["component"]["modelCard"]
    assert card["modelParameters"]["task"] == "image-classification"
    rows = card["quantitativeAnalysis"]["performanceMetrics"]
    accuracy = next(r for r in rows if (r["type"], r["slice"]) == ("accuracy", "stage accuracy"))
    assert float(accuracy["value"]) == pytest.approx(225 / 238)
    assert accuracy["confidenceInterval"]["lowerBound"].startswith("0.9088")
    collie = [r["value"] for r in rows if r["slice"] == "stage accuracy, label collie"]
    assert collie[0] == "0.875"
    assert card["considerations"]["technicalLimitations"] == [
        "Puppies and crossbreeds were not in the photographs. Dark pictures are often wrong.",
        "out of scope: Veterinary or legal decisions. Pictures with several dogs.",
    ]


def test_no_time_is_told_and_the_serial_number_is_made_of_the_content() -> None:
    found = bom(facts_of())
    assert "timestamp" not in text(facts_of())
    assert bom(turned(facts_of())) == found
    other = bom(facts_of(version="2.0.1"))
    assert other["serialNumber"] != found["serialNumber"]


@pytest.mark.parametrize("known", licences._KNOWN)
def test_a_known_licence_is_one_of_spdx(known: str) -> None:
    facts = facts_of(card={"licence": known.lower()}, stages=())
    (licence,) = bom(facts)["metadata"]["component"]["licenses"]
    assert licence == {"license": {"id": known}}


def test_all_known_licences_are_valid_in_one_document() -> None:
    found = bom(facts_of(card={"licence": list(licences._KNOWN)}))
    assert CHECK.validate_str(json.dumps(found)) is None


def test_another_licence_is_told_by_its_name() -> None:
    (licence,) = bom(facts_of(card={"licence": "Ask us"}))["metadata"]["component"]["licenses"]
    assert licence == {"license": {"name": "Ask us"}}
