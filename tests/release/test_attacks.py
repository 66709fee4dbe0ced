"""Attacks on releases: each is refused, for the reason that the table of the docs tells.

A team has released dogs 1.1.0 and 2.0.0 and cats 2.0.0, all signed with its key. What is attacked
is a copy of dogs 2.0.0.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbuild.release.checking.finding import Finding
from mlbuild.release.checking.identity import Asked
from mlbuild.release.checking.keys import public_key, with_key
from mlbuild.release.checking.release import Checked, checked
from tests.release import attacks, attacks_on_files, attacks_on_meaning
from tests.release.made import Team, team
from tests.release.scene import ATTACKS, WEIGHTS, Attack, Scene, digest, flip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return team(tmp_path_factory.mktemp("team") / "project")


@pytest.fixture
def scene(made: Team, tmp_path: Path) -> Scene:
    """The team's project and, in the place of dogs 2.0.0, what the attacker may change."""
    root = tmp_path / "project"
    shutil.copytree(made.root, root, symlinks=True)
    mine = Team(root, root / "keys/release.pub")
    return Scene(mine.release("dogs", "2.0.0"), mine)


def findings(
    scene: Scene, *, key: bool = False, project: bool = False, asked: Asked | None = None
) -> tuple[Finding, ...]:
    return check(scene, key=key, project=project, asked=asked).findings


def check(
    scene: Scene, *, key: bool = False, project: bool = False, asked: Asked | None = None
) -> Checked:
    signer = with_key(public_key(scene.team.key), "keys/release.pub") if key else None
    folder = scene.folder.resolve() if scene.folder.is_symlink() else scene.folder
    return checked(folder, signer=signer, asked=asked, root=scene.team.root if project else None)


def about(told: tuple[Finding, ...]) -> str | None:
    return str(told[0].about) if told else None


@pytest.mark.parametrize(
    ("name", "version"), [("dogs", "1.1.0"), ("dogs", "2.0.0"), ("cats", "2.0.0")]
)
def test_what_the_team_released_is_intact(made: Team, name: str, version: str) -> None:
    scene = Scene(made.release(name, version), made)
    found = check(scene, key=True, project=True, asked=Asked(name, version, "1.0.0"))
    assert [line for finding in found.findings for line in finding.lines()] == []
    assert found.signed_by == "keys/release.pub"
    assert found.notes == ()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_attack_is_refused(scene: Scene, attack: Attack) -> None:
    attack.play(scene)
    told = findings(scene, key=True, project=attack.in_project, asked=attack.asked)
    assert told, "not noticed with the key"
    assert "\n".join(told[0].lines()).startswith(attack.said)
    assert about(findings(scene, project=True, asked=attack.asked)) == attack.project
    assert about(findings(scene, asked=attack.asked)) == attack.alone


def test_an_older_release_is_no_attack_where_nobody_says_what_he_wants(scene: Scene) -> None:
    attacks_on_meaning.replayed(scene)
    assert findings(scene, key=True, project=True) == (), "say --version or --at-least"


def test_the_table_of_the_docs_is_what_was_played() -> None:
    again = "run: python -m tests.release.attacks"
    assert attacks.PAGE.read_text("utf-8") == attacks.page(), again


# --- every byte ---------------------------------------------------------------------------------


def every_file(folder: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        yield path.relative_to(folder).as_posix(), path.stat().st_size


def test_a_bit_flipped_in_any_file_is_refused_by_its_name(made: Team, tmp_path: Path) -> None:
    folder = tmp_path / "v2.0.0"
    shutil.copytree(made.release(), folder)
    scene = Scene(folder, made)
    tried = 0
    for name, size in every_file(folder):
        offsets = sorted({0, size // 7, size // 3, size // 2, size - 2, size - 1} & {*range(size)})
        for number, offset in enumerate(offsets):
            flip(folder / name, offset, bit=number % 8)
            told = findings(scene, key=True)
            assert any(name in (f.where + f.what) for f in told), (name, offset)
            flip(folder / name, offset, bit=number % 8)
            tried += 1
    assert tried > 50
    assert not findings(scene, key=True)


def test_every_file_that_is_missing_is_named(made: Team, tmp_path: Path) -> None:
    folder = tmp_path / "v2.0.0"
    shutil.copytree(made.release(), folder)
    for name, _ in every_file(folder):
        (folder / name).rename(tmp_path / "aside")
        told = findings(Scene(folder, made), key=True)
        assert any(name in (f.where + f.what) for f in told), name
        (tmp_path / "aside").rename(folder / name)


def test_every_value_of_the_manifest_counts_without_a_signature_too_or_is_told_not_to(
    made: Team, tmp_path: Path
) -> None:
    """What an unsigned manifest can lie about unnoticed is exactly this; a signature ends it."""
    folder = tmp_path / "v2.0.0"
    shutil.copytree(made.release(), folder)
    (folder / "model.sig").unlink()
    scene = Scene(folder, made)
    text = (folder / "manifest.json").read_text("utf-8")
    unnoticed = set()
    for key in json.loads(text):
        value = json.loads(text)
        value[key] = _another(value[key])
        scene.manifest(lambda manifest, value=value: (manifest.clear(), manifest.update(value)))  # type: ignore[misc]
        if not findings(scene):
            unnoticed.add(key)
    assert unnoticed == {
        "change",
        "metrics",
        "mlbuild",
        "previous",
        "previous_commit",
        "reason",
        "repository",
        "toolchains",
    }


def _another(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return "1.0.0"
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return "0.9.0" if value[:1].isdigit() and "." in value else f"{value[:-1]}e"
    return {} if isinstance(value, dict) else []


# --- what is told -------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_told_at_once(scene: Scene) -> None:
    attacks_on_files.weights(scene)
    attacks_on_files.added(scene)
    attacks_on_meaning.manifest_of_another(scene)
    about = [str(finding.about) for finding in findings(scene, key=True, project=True)]
    assert about == sorted(about, key=lambda a: list(dict.fromkeys(about)).index(a))
    assert {"signature", "file", "artifact", "provenance", "bom", "card"} <= set(about)


def test_a_finding_tells_what_was_expected_what_is_there_and_what_to_do(scene: Scene) -> None:
    before = digest(scene.file(WEIGHTS))
    attacks_on_files.weights(scene)
    (told,) = [f for f in findings(scene) if str(f.about) == "file"]
    assert told.lines() == [
        f"file: {WEIGHTS}: has other bytes",
        f"  expected  sha256 {before}",
        f"  found     sha256 {digest(scene.file(WEIGHTS))}",
        "  remedy    get the release again from where it was published",
    ]


Play = Callable[[Scene], None]


def test_unsigned_is_told_and_no_error_where_nobody_asks_for_a_signature(scene: Scene) -> None:
    attacks_on_files.stripped(scene)
    found = check(scene)
    assert found.ok
    assert found.notes == (
        "not signed: whoever can change the folder can change all of it, its digests included",
    )
    signed = checked(scene.folder, signed=True)
    assert [finding.what for finding in signed.findings] == [
        "the release is not signed, or its signature was taken away"
    ]


def test_a_signature_that_nobody_is_expected_to_have_made_proves_nothing(scene: Scene) -> None:
    found = check(scene)
    fingerprint = with_key(public_key(scene.team.key), "").fingerprint
    assert found.ok
    assert found.signed_by is None
    assert found.notes == (
        f"signed with the key {fingerprint}; nobody said whose signature to expect, so it proves "
        "nothing: name the public key (--key), or --identity and --issuer",
    )
