"""The folder of a release: whole or not there, and made again to the same bytes."""

from pathlib import Path

import pytest

from mlbuild.errors import DataError
from mlbuild.release import folder
from mlbuild.release.checking.release import check
from tests.release.keys import pair
from tests.release.projects import RELEASE, STAGES, Team, state

PLACE = "releases/dogs/v1.0.0"


def inodes(place: Path) -> dict[str, int]:
    return {p: (place / p).stat().st_ino for p in state(place)}


@pytest.fixture
def signed(team: Team, monkeypatch: pytest.MonkeyPatch) -> Team:
    """The project with a key pair; the private key is in the environment."""
    private, public = pair()
    monkeypatch.setenv("RELEASE_KEY", private)
    (team.root / "release.pub").write_bytes(public)
    sign = "  sign: {key_env: RELEASE_KEY, public_key: release.pub}\n"
    team.write(STAGES, RELEASE + sign)
    team.built()
    return team


def test_a_finished_folder_is_left_as_it_is(team: Team) -> None:
    team.release()
    before = inodes(team.root / PLACE)
    team.release()
    assert inodes(team.root / PLACE) == before


def test_a_folder_that_was_tampered_with_is_made_anew(team: Team) -> None:
    team.release()
    before = state(team.root / PLACE)
    file = team.root / PLACE / "artifacts/package/package.txt"
    file.chmod(0o644)
    file.write_text("SOMETHING ELSE\n")
    (team.root / PLACE / "extra").touch()
    team.release()
    assert state(team.root / PLACE) == before


def test_a_folder_of_a_commit_that_was_never_tagged_makes_room(team: Team) -> None:
    (team.root / PLACE).mkdir(parents=True)
    (team.root / PLACE / "manifest.json").write_text('{"commit": "another"}')
    assert team.release().outcome == "released"
    assert team.manifest("1.0.0")["commit"] != "another"


def test_what_a_killed_release_left_is_removed(team: Team) -> None:
    left = team.root / "releases/.work/dogs/v1.0.0/artifacts"
    left.mkdir(parents=True)
    (left / "half").touch()
    team.release()
    assert not (team.root / "releases/.work").exists()
    assert "artifacts/half" not in state(team.root / PLACE)


def test_a_signature_is_kept_as_long_as_it_holds(signed: Team) -> None:
    done = signed.release()
    signature = (signed.root / PLACE / "model.sig").read_bytes()
    signed.release()
    assert (signed.root / PLACE / "model.sig").read_bytes() == signature
    assert done.folder is not None
    assert check(done.folder, key=signed.root / "release.pub", signed=True) == []


def test_a_release_that_is_to_be_signed_is_not_made_without_its_key(
    signed: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RELEASE_KEY")
    with pytest.raises(Exception, match="there is no key to sign with: RELEASE_KEY is not set"):
        signed.release()
    assert signed.tags() == signed.remote_tags() == []
    assert not (signed.root / PLACE).exists()


def test_a_dry_run_needs_no_key(signed: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RELEASE_KEY")
    done = signed.release(dry=True)
    assert done.outcome == "would_release"
    assert "model.sig" not in dict(done.files)


def test_a_folder_that_does_not_pass_the_checks_is_never_given_its_name(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = folder.write_documents

    def spoiling(facts: object, work: Path) -> None:
        real(facts, work)  # type: ignore[arg-type]
        (work / "NOTES.md").write_text("something else")

    monkeypatch.setattr(folder, "write_documents", spoiling)
    with pytest.raises(DataError) as error:
        team.release()
    told = error.value.render()
    assert told.startswith(
        f"{team.root}/releases/.work/dogs/v1.0.0 is not the release that it should be\n"
        "  file: NOTES.md: "
    )
    assert not (team.root / PLACE).exists()
    assert team.tags() == []


def test_what_cannot_be_written_is_told(team: Team) -> None:
    (team.root / "releases").write_text("a file where the folder belongs")
    with pytest.raises(DataError) as error:
        team.release()
    place = team.root / "releases"
    assert error.value.render() == (
        f"clearing up after a release failed: {place} is in the way of {place}/.work\n"
        "  hint: move it away, or choose another path"
    )
    assert team.tags() == []


def test_files_of_a_release_can_be_read_and_not_run(team: Team) -> None:
    done = team.release()
    assert done.folder is not None
    for path in state(done.folder):
        assert (done.folder / path).stat().st_mode & 0o111 == 0, path
