"""The documents of a release as a whole: what lies in the folder, and what does not."""

import hashlib
import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from mlbuild.errors import DataError
from mlbuild.release.checking.release import check
from mlbuild.release.documents import notes_text, write_documents
from mlbuild.release.facts import Change
from mlbuild.release.manifest_reading import manifest_of
from tests.release.dogs import BREEDS
from tests.release.example import PLACE, example
from tests.release.facts_of import facts_of, released, turned

WRITTEN = ["NOTES.md", "README.md", "bom.cdx.json", "card.html", "manifest.json", "provenance.json"]


def written(folder: Path, **changes: object) -> Path:
    """A release folder with its documents."""
    write_documents(released(folder, **changes), folder / "release")
    return folder / "release"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_bytes())


def test_five_documents_and_a_manifest_are_written_beside_the_artifacts(tmp_path: Path) -> None:
    folder = written(tmp_path)
    assert sorted(f.name for f in folder.iterdir() if f.is_file()) == WRITTEN


def test_the_manifest_lists_every_other_file_with_its_digest(tmp_path: Path) -> None:
    folder = written(tmp_path)
    there = contents(folder)
    del there["manifest.json"]
    told = {f["path"]: (f["size"], f["sha256"]) for f in manifest(folder)["files"]}
    assert told == {p: (len(d), hashlib.sha256(d).hexdigest()) for p, d in there.items()}


def test_a_signature_that_lies_there_is_not_listed(tmp_path: Path) -> None:
    facts = released(tmp_path)
    (tmp_path / "release/model.sig").write_bytes(b"{}")
    write_documents(facts, tmp_path / "release")
    assert "model.sig" not in {f["path"] for f in manifest(tmp_path / "release")["files"]}


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    folder = written(tmp_path)
    before = contents(folder)
    write_documents(released(tmp_path), folder)
    assert contents(folder) == before


def test_two_folders_and_maps_in_another_order_give_equal_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "a longer name"
    written(one)
    write_documents(turned(released(two)), two / "release")
    assert contents(one / "release") == contents(two / "release")


def test_no_document_tells_of_a_place_a_machine_or_a_user(tmp_path: Path) -> None:
    for name, data in contents(written(tmp_path)).items():
        text = data.decode("utf-8", "replace")
        for secret in (str(tmp_path), socket.gethostname(), os.environ.get("HOME", "/root")):
            assert secret not in text, name


def test_the_reader_of_manifests_takes_what_is_written(tmp_path: Path) -> None:
    folder = written(tmp_path)
    read, findings = manifest_of((folder / "manifest.json").read_bytes())
    assert (read.tag, read.release, findings) == ("dogs@v2.0.0", "2.0.0", [])


def test_what_is_written_is_what_verify_asks_for(tmp_path: Path) -> None:
    folder = written(tmp_path)
    assert check(folder, name="dogs", version="2.0.0") == []


def test_the_manifest_is_canonical_json(tmp_path: Path) -> None:
    data = (written(tmp_path) / "manifest.json").read_bytes()
    text = json.dumps(json.loads(data), sort_keys=True, indent=2, ensure_ascii=False)
    assert data == f"{text}\n".encode()


def test_the_manifest_tells_what_was_waived_and_why(tmp_path: Path) -> None:
    reason = "collies of the new photographs are mostly puppies; told in the limits"
    waived = manifest(written(tmp_path))["waivers"]
    assert waived == [{"gate": "accuracy.recall.collie", "reason": reason}]


def test_the_manifest_has_labels_and_interface_of_a_model_and_leaves_its_layers_to_it(
    tmp_path: Path,
) -> None:
    model = manifest(written(tmp_path))["artifacts"][0]["model"]
    assert (model["class_labels"], model["target"]) == (list(BREEDS), "iOS17")
    assert "weights" not in model


def test_a_half_of_a_surrogate_pair_in_a_card_is_written_as_an_escape(tmp_path: Path) -> None:
    folder = written(tmp_path, card={"summary": "odd \ud800 end"}, params={"x": "\ud800"})
    assert manifest(folder)["params"] == {"x": "\ud800"}
    assert "odd \ufffd end" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "artifacts/package/Dogs/Package.swift").unlink(),
            "artifacts/package/Dogs/Package.swift is missing in the release",
        ),
        (
            lambda folder: (folder / "artifacts/model/more.txt").write_text("x"),
            "artifacts/model/more.txt belongs to no artifact",
        ),
        (
            lambda folder: (folder / "artifacts/package/Dogs/Package.swift").write_bytes(b"// x\n"),
            "artifacts/package/Dogs/Package.swift is not the file that was to be released\n"
            "  got: sha256 f94d8b23bc234e14ce3286e38d973afeda5f3b382e4b75a316f795834bfe2a02\n"
            "  allowed: sha256 10707fad97d64a7ec0bb9899f8de3a4f337d6650922c9c062a1c0f5af286b386",
        ),
        (
            lambda folder: (folder / "artifacts/model/link").symlink_to("/etc/hostname"),
            "artifacts/model/link is no plain file, and cannot be released",
        ),
        (
            lambda folder: (folder / "artifacts/model/a\\b").write_text("x"),
            "'artifacts/model/a\\\\b' cannot be released: it holds a backslash, which parts "
            "folders on other systems\n  hint: give the output of the stage another name",
        ),
    ],
    ids=["missing", "added", "changed", "link", "unsafe name"],
)
def test_a_folder_that_is_not_what_the_facts_tell_gets_no_manifest(
    tmp_path: Path, spoil, message: str
) -> None:
    facts = released(tmp_path)
    spoil(tmp_path / "release")
    with pytest.raises(DataError) as caught:
        write_documents(facts, tmp_path / "release")
    assert caught.value.render() == message
    assert not (tmp_path / "release/manifest.json").exists()


def test_a_release_of_something_that_is_no_core_ml_model_has_all_documents(tmp_path: Path) -> None:
    facts = released(tmp_path)
    plain = tuple(replace(a, type="TFLiteModel", model=None) for a in facts.artifacts)
    write_documents(replace(facts, artifacts=plain), tmp_path / "release")
    card = (tmp_path / "release/README.md").read_text()
    assert "library_name" not in card and "Size by layer" not in card


def test_a_first_release_that_measured_nothing_has_all_documents(tmp_path: Path) -> None:
    bare = {
        "stages": (), "gates": (), "datasets": (), "toolchains": {}, "params": {}, "card": {},
        "change": Change("first", ()), "previous": None, "repository": None,
        "profiles": (), "sets": (),
    }  # fmt: skip
    folder = written(tmp_path, **bare)
    assert "Gates | none were set" in (folder / "README.md").read_text()
    assert notes_text(facts_of(**bare)).startswith("# dogs 2.0.0\n\nThe first release.\n\n")


def test_the_example_of_the_docs_is_what_is_written_today(tmp_path: Path) -> None:
    there = {file.name: file.read_bytes() for file in PLACE.iterdir()}
    assert there == example(tmp_path), "run: python -m tests.release.example"


def test_the_page_of_the_format_knows_every_field_of_the_manifest(tmp_path: Path) -> None:
    page = PLACE.with_name("release-folder.md").read_text(encoding="utf-8")
    found = manifest(written(tmp_path))
    fields = [*found, *found["artifacts"][0], *found["stages"][0], *found["gates"][0]]
    assert not [name for name in {*fields, *found["change"]} if f"`{name}`" not in page]
