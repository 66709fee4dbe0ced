"""The section `release`, and what stages may say of the last release."""

from __future__ import annotations

import pytest

from mlbuild.records import DatasetRef, Gate, StageOutput

BODY = """
stages:
  train: {uses: make/net, inputs: {images: ./data}}
  convert: {uses: to/coreml, inputs: {model: train.model}}
  small:
    uses: shrink/weights
    matrix: {bits: [4, 8]}
    inputs: {model: convert.model}
    with: {bits: "${{ matrix.bits }}"}
"""
RELEASE = """
release:
  artifacts: {model: "small[bits=8].model", net: train.model}
  gates: {train.accuracy: {min_lower: 0.8, max_drop: {value: 0.01, against: release}}}
  first: 2.0.0
  channels: [beta, prod]
  publish: [{folder: ../releases}]
  sign: {key_env: KEY, public_key: keys/release.pub}
  card: {title: "Dogs of ${{ params.where }}", limits: Small dogs., tags: [dogs, pets]}
"""
PARAMS = "params: {where: Graz}\n"


def resolved(project, text: str):
    return project.resolve("version: 1\nname: dogs\n" + text)


def refused(project, text: str) -> str:
    return project.told("version: 1\nname: dogs\n" + text) + "\n"


@pytest.fixture(autouse=True)
def data(project) -> None:
    project.put("data/a.txt")


def test_a_release_is_settled_in_full(project) -> None:
    release = resolved(project, PARAMS + BODY + RELEASE).release
    assert release.name == "dogs"
    assert release.artifacts == {
        "model": StageOutput("small[bits=8]", "model"),
        "net": StageOutput("train", "model"),
    }
    assert release.gates == (("train", Gate("accuracy", min_lower=0.8, max_drop=0.01)),)
    assert (release.first, release.channels) == ("2.0.0", ("beta", "prod"))
    assert release.publish == ({"folder": "../releases"},)
    assert release.sign == {"key_env": "KEY", "public_key": "keys/release.pub"}
    assert release.card == {
        "title": "Dogs of Graz",
        "limits": ["Small dogs."],
        "tags": ["dogs", "pets"],
    }


def test_a_file_without_the_section_has_no_release(project) -> None:
    assert resolved(project, BODY).release is None


def test_a_gate_of_a_matrix_stage_holds_for_each_variant(project) -> None:
    text = BODY + "release: {artifacts: {net: train.model}, gates: {small.size_mb: {max: 3}}}\n"
    gates = resolved(project, text).release.gates
    assert [stage for stage, _ in gates] == ["small[bits=4]", "small[bits=8]"]


def test_an_artifact_of_the_last_release_is_a_dataset(project) -> None:
    text = BODY + "  again: {uses: to/coreml, inputs: {model: release.net}}\n"
    found = resolved(project, text + "release: {artifacts: {net: train.model}}\n")
    again = next(s for s in found.stages if s.name == "again")
    assert again.inputs[0].sources == (DatasetRef("release.net"),)
    dataset = found.datasets["release.net"]
    assert (dataset.scheme, dataset.location) == ("release", "dogs")


def test_what_no_stage_reads_of_the_release_is_no_dataset(project) -> None:
    assert resolved(project, PARAMS + BODY + RELEASE).datasets == {}


GATED = """
stages:
  train: {uses: make/net, inputs: {images: ./data}}
  convert:
    uses: to/coreml
    inputs: {model: train.model}
  small:
    uses: shrink/weights
    matrix: {bits: [4, 8]}
    inputs: {model: convert.model}
    with: {bits: "${{ matrix.bits }}"}
    gates: {size_mb: {max_rise: {value: 0.1, against: release, relative: true}}}
release: {artifacts: {model: convert.model}}
"""


def test_a_gate_against_the_release_puts_in_a_twin_that_reads_the_released_artifact(
    project,
) -> None:
    stages = project.stages(GATED)
    twin = stages["small-release[bits=4]"]
    assert twin.inputs[0].sources == (DatasetRef("release.model"),)
    assert (twin.params, twin.gates) == (stages["small[bits=4]"].params, ())
    assert stages["small[bits=4]"].twin == "small-release[bits=4]"
    assert stages["small[bits=4]"].needs == ("small-release[bits=4]",)
    assert twin.twin is None


def test_a_stage_that_reads_no_released_artifact_has_no_twin(project) -> None:
    stages = project.stages(GATED.replace("{model: convert.model}}", "{net: train.model}}"))
    assert stages["small[bits=4]"].twin is None


def test_a_relative_rise_is_told_from_an_absolute_one(project) -> None:
    gate = project.stages(GATED)["small[bits=4]"].gates[0]
    assert (gate.max_rise, gate.relative) == (0.1, ("max_rise",))


MESSAGES = [
    ("release: {}", "'release' names no artifacts", "artifacts: {model: STAGE.OUTPUT}"),
    ("release: 3", "'release' is a map", None),
    (
        "release: {artifacts: {model: train.modle}}",
        "'release': artifact 'model': there is no output 'train.modle'",
        "did you mean 'train.model'?",
    ),
    (
        "release: {artifacts: {model: ./data}}",
        "'release': 'artifacts': 'model' is an output of a stage",
        "STAGE.OUTPUT",
    ),
    (
        "release: {artifacts: {model: small.model}}",
        "'release': artifact 'model': 'small.model' is several artifacts, and a release names each",
        None,
    ),
    (
        "release: {artifacts: {net: train.model}, name: Dogs}",
        "'release': 'name' is no name for a release",
        "lower-case letters, digits and '-'; it begins with a letter: git tags bear it",
    ),
    (
        "release: {artifacts: {net: train.model}, artefacts: {}}",
        "'release': unknown key 'artefacts'",
        "did you mean 'artifacts'?",
    ),
    (
        "release: {artifacts: {net: train.model}, gates: {accuracy: {min: 1}}}",
        "'release': gate 'accuracy' names a stage and its metric",
        "validate.psnr_db: {min: 40}",
    ),
    (
        "release: {artifacts: {net: train.model}, gates: {train.acuracy: {min: 1}}}",
        "'release': gate 'train.acuracy': unknown metric 'acuracy'",
        "did you mean 'accuracy'?",
    ),
    (
        'release: {artifacts: {net: train.model}, first: "1.0"}',
        "'release': 'first' is a version of three numbers",
        '"1.0.0"',
    ),
    (
        "release: {artifacts: {net: train.model}, channels: [Prod]}",
        "'release': no name for a channel",
        "lower-case letters, digits and '-'",
    ),
    (
        "release: {artifacts: {net: train.model}, publish: [../releases]}",
        "'release': 'publish' is a list of maps",
        "publish: [{folder: ../releases}]",
    ),
    (
        "release: {artifacts: {net: train.model}, publish: [{floder: ../releases}]}",
        "'release': 'publish': a publisher must name its place",
        "did you mean 'folder'?",
    ),
    (
        "release: {artifacts: {net: train.model}, sign: {public_key: k.pub}}",
        "'release': 'sign' has one of key_env, key and keyless",
        "{key_env: MLBUILD_SIGNING_KEY, public_key: keys/release.pub}, or {keyless: true}",
    ),
    (
        "release: {artifacts: {net: train.model}, card: {intended-use: x}}",
        "'release': 'card': unknown key 'intended-use'",
        "did you mean 'intended_use'?",
    ),
]


@pytest.mark.parametrize(("text", "message", "hint"), MESSAGES, ids=[m[1] for m in MESSAGES])
def test_what_is_wrong_is_told_with_a_remedy(
    project, text: str, message: str, hint: str | None
) -> None:
    told = refused(project, BODY + text + "\n")
    assert f": {message}\n" in told
    assert hint is None or f"  hint: {hint}\n" in told


def test_a_release_without_a_ledger_is_refused(project) -> None:
    told = refused(project, BODY + "ledger: none\nrelease: {artifacts: {net: train.model}}\n")
    assert ": 'release' needs the ledger\n" in told


def test_an_artifact_that_the_release_does_not_have_is_told(project) -> None:
    text = BODY + "  again: {uses: to/coreml, inputs: {model: release.nte}}\n"
    told = refused(project, text + "release: {artifacts: {net: train.model}}\n")
    assert "stage 'again': input 'model': the release has no artifact 'nte'" in told


def test_a_stage_that_bears_a_twins_name_is_told(project) -> None:
    told = refused(
        project,
        GATED.replace(
            "stages:", "stages:\n  small-release: {uses: to/coreml, inputs: {model: train.model}}"
        ),
    )
    assert "stage 'small' puts in a stage 'small-release' for its gates, which there is" in told
    assert "hint: rename stage 'small-release'" in told
