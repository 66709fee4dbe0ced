"""A release from start to end, over real git repositories and the real engine."""

import os
import shutil
from pathlib import Path

import pytest

from mlbuild.errors import DataError, UsageError
from mlbuild.release.terms import Released
from mlbuild.released import releases
from tests.release.projects import FILE, MODEL, RELEASE, STAGES, Team, git, state
from tests.team import folder_remote


@pytest.fixture
def modelled(empty: Team) -> Team:
    """A project whose artifact is a model that can be looked into."""
    empty.write(MODEL, release="")
    empty.tell()
    empty.built()
    return empty


def level(done: Released) -> tuple[str, str]:
    assert done.facts is not None
    return done.facts.version, done.facts.change.level


def test_a_first_release_has_its_folder_and_its_tag_here_and_on_the_remote(team: Team) -> None:
    done = team.release()
    assert (done.outcome, done.exit_code, done.tags) == ("released", 0, ("dogs@v1.0.0",))
    assert team.tags() == team.remote_tags() == ["dogs@v1.0.0"]
    assert done.folder == team.root / "releases/dogs/v1.0.0"
    assert dict(done.files).keys() >= {
        "README.md",
        "NOTES.md",
        "artifacts/model/model.txt",
        "artifacts/package/package.txt",
        "bom.cdx.json",
        "card.html",
        "manifest.json",
        "provenance.json",
    }
    assert (done.folder / "artifacts/package/package.txt").read_text() == "PHOTOS\nEPOCHS 1\n"
    assert git(team.root, "status", "--porcelain") == ""
    assert not (team.root / "releases/.work").exists()


def test_the_manifest_tells_what_the_release_was_made_of(team: Team) -> None:
    head = git(team.root, "rev-parse", "HEAD")
    team.release()
    manifest = team.manifest("1.0.0")
    assert manifest["commit"] == head
    assert manifest["params"] == {"epochs": 1}
    assert [a["name"] for a in manifest["artifacts"]] == ["package", "model"]
    assert [s["name"] for s in manifest["stages"]] == ["train", "pack"]
    assert manifest["metrics"]["train"] == {"accuracy": 0.91}
    assert manifest["datasets"][0]["location"] == "data/photos.txt"
    assert manifest["repository"] is None  # a folder of this machine is no address


def test_a_retrained_model_is_a_minor_release_that_names_what_changed(team: Team) -> None:
    first = git(team.root, "rev-parse", "HEAD")
    team.release()
    team.write(STAGES.replace("epochs: 1", "epochs: 2"))
    team.built()
    done = team.release()
    assert level(done) == ("1.1.0", "minor")
    assert done.facts and done.facts.previous == "1.0.0"
    assert done.facts.previous_commit == first
    assert done.facts.change.metrics == (
        {"stage": "train", "metric": "accuracy", "before": 0.91, "after": 0.92},
    )
    assert team.tags() == ["dogs@v1.0.0", "dogs@v1.1.0"]


def test_data_that_changed_are_a_minor_release(team: Team) -> None:
    team.release()
    (team.root / "data/photos.txt").write_text("more photos\n")
    team.built()
    done = team.release()
    assert level(done) == ("1.1.0", "minor")
    assert done.facts and done.facts.change.data[0]["name"] == "photos"


def test_texts_of_the_card_are_a_patch(team: Team) -> None:
    team.release()
    team.write(STAGES, RELEASE.replace("Names dogs.", "Names breeds of dogs."))
    team.built()
    assert level(team.release()) == ("1.0.1", "patch")


def test_an_interface_that_changed_is_a_major_release(modelled: Team) -> None:
    modelled.release()
    modelled.tell(class_labels=["boxer", "pug", "saluki"], content="c2")
    modelled.built()
    done = modelled.release()
    assert level(done) == ("2.0.0", "major")
    assert done.facts and done.facts.change.labels_added == ("saluki",)


def test_a_model_of_other_weights_is_minor_and_of_other_metadata_a_patch(modelled: Team) -> None:
    modelled.release()
    modelled.tell(content="c2")
    modelled.built()
    assert level(modelled.release()) == ("1.1.0", "minor")
    modelled.tell(content="c2", metadata={"author": "Bo"})
    modelled.built()
    assert level(modelled.release()) == ("1.1.1", "patch")


def test_a_model_is_looked_into_once(modelled: Team) -> None:
    modelled.release(dry=True)
    modelled.release()
    assert len(modelled.looked) == 1


def test_what_is_known_of_the_last_model_stands_in_its_tag(modelled: Team) -> None:
    modelled.release()
    clone = modelled.clone("mate")
    shutil.rmtree(modelled.root / ".dvc/cache")  # nobody has the old model any more
    clone.tell(outputs=[])
    clone.built()
    clone.looked.clear()
    done = clone.release()
    assert level(done) == ("2.0.0", "major")
    assert done.facts and done.facts.change.interface == ("output 'label' went",)
    assert len(clone.looked) == 1  # today's


def test_the_model_of_a_tag_made_by_hand_is_looked_into(modelled: Team) -> None:
    git(modelled.root, "tag", "dogs@v0.7.0")
    git(modelled.root, "push", "-q", "origin", "dogs@v0.7.0")
    modelled.tell(inputs=[], content="c2")
    modelled.built()
    done = modelled.release()
    assert level(done) == ("0.8.0", "major")
    assert done.facts and done.facts.change.interface == ("input 'image' went",)
    assert len(modelled.looked) == 2


def test_a_model_of_a_tag_made_by_hand_that_nobody_has_makes_a_major_version(
    modelled: Team,
) -> None:
    git(modelled.root, "tag", "dogs@v1.0.0")
    git(modelled.root, "push", "-q", "origin", "dogs@v1.0.0")
    modelled.tell(content="c2")
    modelled.built()
    for digest in (modelled.root / ".dvc/cache/files/md5").glob("??/*"):
        if b'"c1"' in digest.read_bytes():
            digest.unlink()
    done = modelled.release()
    assert level(done) == ("2.0.0", "major")
    assert done.facts and done.facts.change.why == (
        "the interface of 'model' in dogs@v1.0.0 is not known: it may have changed",
    )


def test_where_nothing_changed_nothing_is_released(team: Team) -> None:
    team.release()
    team.commit("a comment somewhere")
    done = team.release()
    assert (done.outcome, done.exit_code, done.remarks) == ("nothing", 0, ("nothing changed",))
    assert team.tags() == ["dogs@v1.0.0"]


def test_a_version_and_a_reason_release_even_what_did_not_change(team: Team) -> None:
    team.release()
    team.commit("a comment somewhere")
    done = team.release(version="2.0.0", reason="a new line")
    assert level(done) == ("2.0.0", "none")
    assert team.manifest("2.0.0")["reason"] == "a new line"


def test_a_release_candidate_is_followed_by_a_release_of_the_same_commit(team: Team) -> None:
    team.release(version="1.0.0-rc.1", reason="for the testers")
    done = team.release(version="1.0.0")
    assert level(done) == ("1.0.0", "first")
    assert team.tags() == ["dogs@v1.0.0", "dogs@v1.0.0-rc.1"]


def test_the_same_commit_is_released_once_and_its_folder_is_made_again(team: Team) -> None:
    done = team.release()
    assert done.folder is not None
    before = state(done.folder)
    shutil.rmtree(done.folder)
    again = team.release()
    assert (again.outcome, again.tags) == ("released", ())
    assert state(done.folder) == before
    assert team.tags() == ["dogs@v1.0.0"]


def test_a_tag_that_was_pushed_by_hand_is_the_version(team: Team) -> None:
    git(team.root, "tag", "-a", "-m", "The spring model", "dogs@v1.4.0")
    done = team.release()
    assert level(done) == ("1.4.0", "first")
    assert team.manifest("1.4.0")["reason"] == "tagged by hand: The spring model"


def test_channels_are_numbered_as_gto_does(team: Team) -> None:
    assert team.release(channels=("beta",)).tags == ("dogs@v1.0.0", "dogs#beta#1")
    assert team.release(channels=("beta", "prod")).tags == ("dogs#prod#2",)
    assert team.remote_tags() == ["dogs#beta#1", "dogs#prod#2", "dogs@v1.0.0"]


def test_a_channel_that_the_pipeline_does_not_name_is_refused(team: Team) -> None:
    with pytest.raises(UsageError) as error:
        team.release(channels=("bta",))
    assert error.value.render() == (
        "--channel bta: there is no such channel\n"
        "  allowed: beta, prod\n"
        "  hint: did you mean 'beta'?"
    )
    assert team.tags() == []


def test_tags_that_were_not_pushed_are_pushed_by_a_later_call(team: Team) -> None:
    team.release(push=False, channels=("beta",))
    assert team.remote_tags() == []
    done = team.release(channels=("prod",))
    assert done.tags == ("dogs#beta#1", "dogs@v1.0.0", "dogs#prod#2")
    assert team.remote_tags() == team.tags() == ["dogs#beta#1", "dogs#prod#2", "dogs@v1.0.0"]
    assert team.release().tags == ()


# --- gates -----------------------------------------------------------------------------------


STRICT = RELEASE + "  gates: {train.accuracy: {min: 0.95}}\n"


def test_a_gate_of_the_release_that_does_not_hold_stops_it(team: Team) -> None:
    team.write(STAGES, STRICT)
    team.built()
    done = team.release()
    assert (done.outcome, done.exit_code) == ("gate_failed", 5)
    assert [(g.ok, g.text) for g in done.gates] == [
        (True, "accuracy 0.91 holds"),
        (False, "accuracy 0.91 is below min 0.95"),
    ]
    assert team.tags() == []
    assert not (team.root / "releases").exists()


def test_a_waiver_lets_it_pass_and_is_recorded(team: Team) -> None:
    team.write(STAGES, STRICT)
    team.built()
    done = team.release(waived={"train.accuracy": "puppies"})
    assert done.outcome == "released"
    assert team.manifest("1.0.0")["waivers"] == [{"gate": "train.accuracy", "reason": "puppies"}]
    assert done.remarks == ()


def test_a_waiver_of_a_gate_of_a_stage_lets_what_is_behind_it_pass(team: Team) -> None:
    team.write(STAGES.replace("min: 0.5", "min: 0.95"))
    team.commit()  # the ledger is as it was: a gate is no part of any key
    done = team.release()
    assert (done.outcome, done.exit_code) == ("gate_failed", 5)
    assert [g.text for g in done.gates] == ["accuracy 0.91 is below min 0.95"]
    assert team.release(waived={"train.accuracy": "puppies"}).outcome == "released"


def test_a_waiver_that_was_not_needed_is_told(team: Team) -> None:
    done = team.release(waived={"train.accuracy": "just in case"})
    assert done.remarks == ("the waiver of train.accuracy was not needed",)
    assert team.manifest("1.0.0")["waivers"] == []


def test_of_two_waivers_with_one_reason_the_needless_one_is_told(team: Team) -> None:
    more = STAGES.replace('{"accuracy"', '{"other": 1, "accuracy"')
    team.write(more, f"{STRICT.rstrip()[:-1]}, train.other: {{min: 0}}}}\n")
    team.built()
    done = team.release(waived={"train.accuracy": "puppies", "train.other": "puppies"})
    assert done.remarks == ("the waiver of train.other was not needed",)


def test_waivers_of_gates_that_are_not_there_or_without_reason_are_refused(team: Team) -> None:
    with pytest.raises(UsageError) as error:
        team.release(waived={"train.acuracy": "x", "train.accuracy": " "})
    assert error.value.render() == (
        "--waive train.acuracy: there is no such gate\n"
        "  allowed: train.accuracy\n"
        "  hint: did you mean 'train.accuracy'?\n"
        "--waive train.accuracy has no reason\n"
        "  hint: --waive 'train.accuracy=why it may fail this once'"
    )


def test_a_drop_since_the_last_release_stops_the_next_one(team: Team) -> None:
    gated = RELEASE + "  gates: {train.accuracy: {max_drop: {value: 0.005, against: release}}}\n"
    team.write(STAGES.replace("epochs: 1", "epochs: 5"), gated)
    team.built()
    assert team.release().outcome == "released"
    team.write(STAGES.replace("epochs: 1", "epochs: 4"), gated)
    team.built()
    done = team.release()
    assert done.outcome == "gate_failed"
    assert done.gates[-1].released == 0.95
    assert done.gates[-1].text == (
        "accuracy 0.94 is 0.01 below the last release's 0.95, more than 0.005"
    )


# --- builds ----------------------------------------------------------------------------------


def test_what_would_have_to_run_is_listed_and_nothing_is_released(team: Team) -> None:
    team.write(STAGES.replace("epochs: 1", "epochs: 3"))
    team.commit("forgot to build")
    done = team.release()
    assert (done.outcome, done.exit_code) == ("stale", 4)
    assert done.build
    assert [(s.stage, list(map(str, s.reasons))) for s in done.build.stages if s.reasons] == [
        ("train", ["code_changed"])
    ]
    assert team.tags() == []


def test_results_come_from_the_teams_cache(team: Team, tmp_path: Path) -> None:
    from mlbuild.build import Pipeline
    from mlbuild.exchange import push

    (team.root / ".dvc/config").write_text(folder_remote(tmp_path / "remote"))
    push(Pipeline.load(team.root / FILE))
    team.commit("a remote")
    clone = team.clone("ci")
    assert clone.release().outcome == "released"
    assert clone.remote_tags() == ["dogs@v1.0.0"]


def test_what_the_team_could_not_have_is_not_released(team: Team, tmp_path: Path) -> None:
    (team.root / ".dvc/config").write_text(folder_remote(tmp_path / "remote"))
    (tmp_path / "remote").mkdir()
    team.commit("a remote, and nothing on it")
    for dry in (True, False):
        with pytest.raises(DataError) as error:
            team.release(dry=dry)
        assert error.value.render() == (
            "not on the team's remote 'r': package, model\n"
            "  hint: mlbuild push pipelines/p.yaml: the next build is compared with it"
        )
    assert team.tags() == []
    assert team.release(push=False).outcome == "released"


def test_a_combination_that_the_ledger_does_not_name_is_refused(team: Team) -> None:
    team.build("epochs=2")  # known to the cache, and not what is committed
    git(team.root, "checkout", "-q", "--", ".")
    team.write(STAGES.replace("epochs: 1", "epochs: 2"))
    team.commit("the file alone")
    with pytest.raises(DataError) as error:
        team.release()
    told = error.value.render().splitlines()
    assert told[0].endswith(": stage 'train' differs from the ledger")
    assert told[-1] == "  hint: mlbuild run p.yaml, and commit the ledger"
    assert team.tags() == []


def test_profiles_and_values_are_those_of_the_recorded_build(team: Team) -> None:
    team.built("epochs=7")
    team.release()
    manifest = team.manifest("1.0.0")
    assert (manifest["set"], manifest["params"]) == (["epochs=7"], {"epochs": 7})


def test_an_artifact_whose_bytes_were_changed_behind_our_back_is_not_released(team: Team) -> None:
    file = team.root / "build/package.txt"
    before = file.stat()
    team.build()
    file.chmod(0o644)
    file.write_text("photos\nepochs 1\n")  # as long as it was
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    done = team.release()
    assert done.outcome == "released"  # it was restored: nothing but the ledger's bytes goes out
    assert done.folder is not None
    assert (done.folder / "artifacts/package/package.txt").read_text() == "PHOTOS\nEPOCHS 1\n"


# --- a dry run -------------------------------------------------------------------------------


def test_a_dry_run_shows_everything_and_changes_nothing(team: Team) -> None:
    team.release()
    team.write(STAGES.replace("epochs: 1", "epochs: 2"))
    team.built()
    files, refs = state(team.root), git(team.root, "show-ref")
    there = git(team.remote, "show-ref")
    done = team.release(dry=True, channels=("beta",))
    assert (done.outcome, level(done)) == ("would_release", ("1.1.0", "minor"))
    assert done.tags == ("dogs@v1.1.0", "dogs#beta#1")
    assert ("artifacts/package/package.txt", 16) in done.files
    assert (state(team.root), git(team.root, "show-ref")) == (files, refs)
    assert git(team.remote, "show-ref") == there
    assert not list((team.root / ".mlbuild/release").glob("rehearsal/*"))


def test_what_a_dry_run_shows_is_what_is_released(team: Team) -> None:
    dry = team.release(dry=True)
    done = team.release()
    assert (dry.files, dry.tags, dry.folder) == (done.files, done.tags, done.folder)


def test_a_dry_run_restores_nothing(team: Team) -> None:
    (team.root / "build/package.txt").unlink()
    with pytest.raises(DataError) as error:
        team.release(dry=True)
    assert error.value.render() == (
        "a dry run fetches nothing, and these results are not in place: pack\n"
        "  hint: mlbuild run p.yaml --locked brings what the team has"
    )
    assert not (team.root / "build/package.txt").exists()


# --- the same bytes --------------------------------------------------------------------------


def test_two_releases_of_one_commit_are_byte_identical(team: Team, tmp_path: Path) -> None:
    """One restored from the cache, one built anew, in folders of other names."""
    (team.root / ".dvc/config").write_text(folder_remote(tmp_path / "remote"))
    team.commit("a remote")
    other = team.clone("another folder")
    shutil.copy(team.root / "data/photos.txt", other.root / "data/photos.txt")
    other.build()  # nothing was pushed: every stage runs
    assert git(other.root, "status", "--porcelain") == ""
    one, two = team.release(push=False), other.release(push=False)
    assert one.folder and two.folder
    assert state(one.folder) == state(two.folder)


def test_no_file_of_a_release_tells_time_or_place(team: Team) -> None:
    done = team.release()
    assert done.folder is not None
    for path, data in state(done.folder).items():
        assert os.fsencode(team.root) not in data, path
        assert os.fsencode(team.folder) not in data, path


def test_a_release_in_a_folder_of_a_larger_repository_has_it_in_its_tag(
    empty: Team, tmp_path: Path
) -> None:
    root = empty.root / "apps" / "camera"
    (root / "pipelines").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "pyproject.toml").touch()
    (root / "data/photos.txt").write_text("photos\n")
    (root / ".gitignore").write_text("/releases\n")
    inner = Team(root, empty.folder)
    inner.write(STAGES)
    inner.built()
    assert inner.release().tags == ("apps/camera=dogs@v1.0.0",)
    assert [t.version for t in releases(root, "dogs")] == ["1.0.0"]


def test_a_pipeline_without_the_section_is_told_what_to_add(team: Team) -> None:
    team.write(STAGES, release="")
    with pytest.raises(UsageError) as error:
        team.release()
    assert error.value.render() == (
        "pipeline 'dogs' does not say what is released\n"
        "  hint: add it to the file: release: {artifacts: {model: STAGE.OUTPUT}}"
    )
