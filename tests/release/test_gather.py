"""The facts of a release, as they are gathered."""

import os
from pathlib import Path

import pytest

from mlbuild.build import Pipeline, RunOptions
from mlbuild.errors import DataError
from mlbuild.release import gating
from mlbuild.release.artifacts import Built, is_model
from mlbuild.release.facts import ReleaseFacts
from mlbuild.release.gather import gather
from mlbuild.release.models import Models
from mlbuild.release.origin import browsable
from tests.release.projects import FILE, HEAD, Team

WIDE = """\
datasets:
  photos: {path: data/photos.txt}
stages:
  train:
    run: cat ${{ inputs.photos }} > ${{ outputs.model }}
    inputs: {photos: datasets.photos}
    outputs: {model: build/model.txt}
  shrink:
    matrix: {bits: [4, 8]}
    run: |
      echo ${{ matrix.bits }} > ${{ outputs.model }}
      echo '{"size": ${{ matrix.bits }}}' > build/${{ matrix.bits }}.json
    inputs: {model: train.model}
    outputs: {model: "build/model-${{ matrix.bits }}.txt"}
    metrics: build/${{ matrix.bits }}.json
    gates: {size: {max: 5}, on_fail: exclude}
  best:
    run: cat ${{ inputs.models }} > ${{ outputs.model }}
    inputs: {models: {all: shrink.model}, rules: ./rules.txt}
    outputs: {model: build/best.txt}
  aside:
    run: echo aside > ${{ outputs.page }}
    outputs: {page: build/aside.txt}
release:
  artifacts: {model: best.model}
"""


@pytest.fixture
def wide(empty: Team) -> Team:
    (empty.root / FILE).write_text(HEAD + WIDE)
    (empty.root / "rules.txt").touch()
    empty.built()
    return empty


def gathered(team: Team) -> ReleaseFacts:
    pipeline = Pipeline.load(team.root / FILE)
    result = pipeline.run(RunOptions(locked=True))
    results = {stage.stage: stage for stage in result.stages}
    built = Built(pipeline.resolved, pipeline.store, results, lambda kind: {})
    return gather(built, gating.judged(built, None, {}), lambda md5, place: {})


def test_stages_that_the_artifacts_do_not_come_from_are_left_out(wide: Team) -> None:
    facts = gathered(wide)
    assert [s.name for s in facts.stages] == ["train", "shrink[bits=4]", "shrink[bits=8]", "best"]


def test_a_variant_that_a_gate_took_out_is_no_gate_of_the_release_and_no_input(wide: Team) -> None:
    facts = gathered(wide)
    assert [(g.stage, g.ok) for g in facts.gates] == [("shrink[bits=4]", True)]
    best = facts.stages[-1]
    assert [item["from"] for item in best.inputs["models"]] == ["shrink[bits=4].model"]
    assert best.inputs["rules"]["from"] == "./rules.txt"


def test_inputs_hold_what_the_stage_was_built_from(wide: Team) -> None:
    facts = gathered(wide)
    train, best = facts.stages[0], facts.stages[-1]
    assert train.inputs["photos"]["from"] == "datasets.photos"
    assert train.inputs["photos"]["md5"] == facts.datasets[0].md5
    (chosen,) = best.inputs["models"]
    assert chosen["md5"] == facts.stages[1].outputs["model"]["md5"]


def test_a_dataset_has_the_size_that_dvc_recorded(wide: Team) -> None:
    (photos,) = gathered(wide).datasets
    assert (photos.name, photos.scheme, photos.location, photos.size) == (
        "photos",
        "path",
        "data/photos.txt",
        len("photos\n"),
    )


def test_bytes_that_are_not_those_of_the_ledger_are_refused(wide: Team) -> None:
    """Changed so that not even the stat data tell: every byte is read."""
    pipeline = Pipeline.load(wide.root / FILE)
    result = pipeline.run(RunOptions(locked=True))
    results = {stage.stage: stage for stage in result.stages}
    built = Built(pipeline.resolved, pipeline.store, results, lambda kind: {})
    file = wide.root / "build/best.txt"
    before = file.stat()
    file.chmod(0o644)
    file.write_text("9\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError) as error:
        gather(built, (), lambda md5, place: {})
    assert error.value.render() == (
        f"{file} does not hold what the ledger records (48a24b70a0b376535542b996af517398)\n"
        "  hint: delete it, and restore it with mlbuild run --locked"
    )


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("git@example.org:pets/dogs.git", "https://example.org/pets/dogs"),
        ("ssh://git@example.org:2222/pets/dogs.git", "https://example.org/pets/dogs"),
        ("https://ann:secret@example.org/pets/dogs.git", "https://example.org/pets/dogs"),
        ("https://example.org:8443/pets/dogs", "https://example.org:8443/pets/dogs"),
        ("http://example.org/dogs", "http://example.org/dogs"),
        ("git://example.org/dogs.git", "https://example.org/dogs"),
        ("/srv/git/dogs.git", None),
        ("../dogs", None),
        ("file:///srv/git/dogs.git", None),
    ],
)
def test_an_address_of_a_repository_is_the_same_however_it_was_cloned(
    address: str, shown: str | None
) -> None:
    assert browsable(address) == shown


def test_models_are_known_by_type_or_by_the_name_of_their_file() -> None:
    assert is_model("CoreMLModel", "build/model")
    assert is_model("Any", "build/Dogs.mlpackage")
    assert is_model("Any", "build/Dogs.mlmodel")
    assert not is_model("Archive", "build/Dogs.mlpackage.zip")


def test_what_is_inside_a_model_is_kept_by_its_digest(tmp_path: Path) -> None:
    asked: list[str] = []

    def inspect(md5: str, place: Path) -> dict[str, str]:
        asked.append(md5)
        return {"type": md5}

    for _ in range(2):
        models = Models(tmp_path, inspect)
        assert models("aa", tmp_path) == {"type": "aa"}
        assert models("bb", tmp_path) == {"type": "bb"}
    assert asked == ["aa", "bb"]
    (tmp_path / "release/models/aa.json").write_text("torn")
    assert Models(tmp_path, inspect)("aa", tmp_path) == {"type": "aa"}
    assert asked == ["aa", "bb", "aa"]
