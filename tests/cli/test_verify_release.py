"""`mlbuild verify RELEASE`: what is printed, with which exit code, and where the key comes from."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.cli.main import main
from tests.conftest import ROOT, Done
from tests.release import attacks_on_files
from tests.release.keys import pair
from tests.release.made import PIPELINE, Team, git, team
from tests.release.scene import MODEL, WEIGHTS, Scene, flip

Run = Callable[..., Done]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return team(tmp_path_factory.mktemp("team") / "project")


@pytest.fixture
def elsewhere(project: Path, made: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is no project, with a downloaded release and the key."""
    shutil.copytree(made.release(), tmp_path / "v2.0.0")
    shutil.copy(made.key, tmp_path / "release.pub")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scene(project: Path, made: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A copy of the project, as the current folder."""
    root = tmp_path / "team"
    shutil.copytree(made.root, root, symlinks=True)
    monkeypatch.chdir(root)
    mine = Team(root, root / "keys/release.pub")
    return Scene(mine.release(), mine)


@pytest.fixture
def run(mlbuild: Run, elsewhere: Path) -> Run:
    return mlbuild


@pytest.fixture
def called(project: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`mlbuild` in this process: what only refuses needs no other."""

    def go(*arguments: str) -> Done:
        code = main(list(arguments))
        return Done(code, *capsys.readouterr())

    return go


def in_docs(name: str) -> str:
    """A block of the page, without what differs from team to team."""
    text = (ROOT / "docs/verifying.md").read_text("utf-8")
    block = text.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0]
    return _same(block.strip().removeprefix("```").removesuffix("```").lstrip())


def _same(text: str) -> str:
    text = re.sub(r"\b[0-9a-f]{64}\b", "SHA-256", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "MD5", text)
    return re.sub(r"\d+ bytes", "SIZE bytes", re.sub(r"\b[0-9a-f]{40}\b", "COMMIT", text))


KEY = ("--key", "release.pub")


def test_an_intact_release_with_the_key_as_the_docs_show_it(called: Run, elsewhere: Path) -> None:
    done = called("verify", "v2.0.0", *KEY, "--name", "dogs", "--at-least", "1.1.0")
    assert (done.code, done.err) == (0, "")
    assert _same(done.out) == in_docs("intact")


def test_a_tampered_release_as_the_docs_show_it(called: Run, elsewhere: Path) -> None:
    flip(elsewhere / "v2.0.0" / WEIGHTS, 4242)
    done = called("verify", "v2.0.0", *KEY)
    assert (done.code, done.err) == (4, "")
    assert _same(done.out) == in_docs("refused")


def test_json_tells_each_finding_then_the_release_then_the_end(
    called: Run, elsewhere: Path
) -> None:
    flip(elsewhere / "v2.0.0" / WEIGHTS, 4242)
    done = called("verify", "v2.0.0", *KEY, "--json")
    *findings, release, end = done.events
    assert [(f["event"], f["about"], f["release"]) for f in findings] == [
        ("finding", about, "v2.0.0") for about in ("signature", "file", "artifact")
    ]
    assert findings[1]["where"] == WEIGHTS
    assert findings[1]["what"] == "has other bytes"
    assert release | {"commit": None, "size": None} == {
        "event": "release",
        "path": "v2.0.0",
        "ok": False,
        "name": "dogs",
        "version": "2.0.0",
        "tag": "dogs@v2.0.0",
        "commit": None,
        "signed_by": None,
        "files": 12,
        "size": None,
        "findings": 3,
        "notes": ["tag and ledger were not checked: this is not the project that releases it"],
    }
    assert end == {
        "event": "verify",
        "ok": False,
        "intact": 0,
        "modified": 0,
        "missing": 0,
        "unknown": 0,
        "releases": {"intact": 0, "refused": 1},
    }


def test_in_the_project_the_pipeline_names_the_key_and_the_tag_is_checked(
    scene: Scene, called: Run
) -> None:
    done = called("verify", "releases/dogs/v2.0.0", "releases/dogs/v1.1.0", "--json")
    assert (done.code, done.err) == (0, "")
    for event in done.events[:2]:
        assert event["ok"]
        assert event["signed_by"] == "keys/release.pub"
        assert event["notes"] == []
    git(scene.team.root, "tag", "-d", "dogs@v2.0.0")
    attacks_on_files.stripped(scene)
    done = called("verify", "releases/dogs/v2.0.0", "--json")
    assert done.code == 4
    assert [event["about"] for event in done.events[:-2]] == ["signature", "tag"]


def test_a_release_that_no_pipeline_makes_but_a_tag_names_is_held_against_the_ledger(
    scene: Scene, called: Run
) -> None:
    done = called("verify", "releases/cats/v2.0.0", "--key", "keys/release.pub")
    assert done.code == 0
    assert "note" not in done.out
    git(scene.team.root, "tag", "-f", "cats@v2.0.0", "dogs@v2.0.0")
    done = called("verify", "releases/cats/v2.0.0", "--key", "keys/release.pub", "--json")
    assert [(event["about"], event["what"]) for event in done.events[:-2]] == [
        ("tag", "the tag points to another commit than the manifest names"),
        ("tag", "the tag was made for another manifest, and so for another release folder"),
    ]


def test_a_pipeline_that_cannot_be_read_might_ask_for_a_signature(
    scene: Scene, called: Run
) -> None:
    (scene.team.root / "pipelines/dogs.yaml").write_text("release: [\n")
    attacks_on_files.stripped(scene)
    done = called("verify", "releases/dogs/v2.0.0")
    assert done.code == 2
    assert done.err.startswith(f"{scene.team.root}/pipelines/dogs.yaml:")


def test_a_pipe_in_the_place_of_the_manifest_does_not_hang(run: Run, elsewhere: Path) -> None:
    (elsewhere / "v2.0.0/manifest.json").unlink()
    os.mkfifo(elsewhere / "v2.0.0/manifest.json")
    done = run("verify", "v2.0.0", timeout=60)
    assert done.code == 4
    assert "  manifest: manifest.json: is a pipe\n" in done.out


def test_what_is_left_of_a_release_is_still_one(called: Run, elsewhere: Path) -> None:
    (elsewhere / "v2.0.0/manifest.json").unlink()
    done = called("verify", "v2.0.0")
    assert done.code == 4
    assert "  manifest: manifest.json: is not there\n" in done.out


def test_asking_for_a_release_makes_any_folder_one(called: Run, elsewhere: Path) -> None:
    (elsewhere / "empty").mkdir()
    done = called("verify", "empty", *KEY)
    assert done.code == 4
    assert "manifest: manifest.json: is not there" in done.out
    assert "signature: model.sig: the release is not signed" in done.out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--at-least", "newest"],
            "--at-least is no version\n  got: newest\n  hint: such as 1.2.0\n",
        ),
        (
            ["--identity", "me"],
            "--identity and --issuer belong together\n"
            "  hint: such as --issuer https://token.actions.githubusercontent.com\n",
        ),
        (
            [*KEY, "--identity", "me", "--issuer", "them"],
            "--key and --identity exclude each other: a release has one signature\n",
        ),
        (
            ["--signed"],
            "--signed: whose signature is not said, and anybody can sign\n"
            "  hint: --key, --identity and --issuer, or `release: sign: public_key:` in the "
            "pipeline here\n",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(
    called: Run, elsewhere: Path, options: list[str], told: str
) -> None:
    done = called("verify", "v2.0.0", *options)
    assert (done.code, done.out, done.err) == (2, "", told)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "the public key some.pub cannot be read: No such file or directory\n"),
        (
            pair()[0],
            "some.pub is a private key; whoever verifies needs the public one only\n"
            "  hint: name the file that ends in .pub, and hide this one\n",
        ),
        ("ssh-ed25519 AAAA", "some.pub is no public key in PEM\n"),
    ],
    ids=["missing", "private", "ssh"],
)
def test_a_key_that_is_none_is_refused(
    called: Run, elsewhere: Path, content: str | None, told: str
) -> None:
    if content:
        (elsewhere / "some.pub").write_text(content)
    done = called("verify", "v2.0.0", "--key", "some.pub")
    assert (done.code, done.out, done.err) == (4, "", told)


def test_a_release_by_nobody_in_particular_is_told_to_prove_nothing(
    called: Run, elsewhere: Path
) -> None:
    done = called("verify", "v2.0.0", "--json")
    assert done.code == 0
    (release, _) = done.events
    assert "nobody said whose signature to expect, so it proves nothing" in release["notes"][0]


def test_without_the_library_a_signature_is_not_checked_and_the_remedy_is_told(
    run: Run, elsewhere: Path
) -> None:
    (elsewhere / "shadow/model_signing").mkdir(parents=True)
    (elsewhere / "shadow/model_signing/__init__.py").write_text("raise ImportError('not here')")
    shadowed = {"PYTHONPATH": f"{elsewhere}/shadow:{ROOT}"}
    done = run("verify", "v2.0.0", *KEY, env=shadowed)
    assert (done.code, done.out, done.err) == (
        2,
        "",
        "signatures need the package model-signing, which is not installed\n"
        "  got: not here\n"
        "  hint: pip install 'mlbuild-pipelines[release]'\n",
    )
    assert run("verify", "v2.0.0", env=shadowed).code == 0, "everything else needs no library"


def test_keyless_signatures_are_held_against_an_identity(called: Run, elsewhere: Path) -> None:
    options = ["--identity", "https://ci/dogs", "--issuer", "https://issuer", "--json"]
    first = called("verify", "v2.0.0", *options).events[0]
    assert first["what"] == "the release was signed by somebody else"
    assert first["expected"] == "an identity of CI, no key"
    assert first["found"].startswith("the key ")


def test_the_whole_check_needs_no_network_and_writes_nothing(elsewhere: Path, mlbuild: Run) -> None:
    before = {p: p.stat().st_mtime_ns for p in (elsewhere / "v2.0.0").rglob("*")}
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    assert mlbuild("verify", "v2.0.0", *KEY, env=proxies).code == 0
    assert {p: p.stat().st_mtime_ns for p in (elsewhere / "v2.0.0").rglob("*")} == before


def test_a_release_cannot_vouch_for_itself_with_pipelines_and_keys_of_its_own(
    elsewhere: Path, called: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = elsewhere / "v2.0.0"
    (folder / "model.sig").unlink()
    (folder / "pipelines").mkdir()
    (folder / "pipelines/dogs.yaml").write_text(PIPELINE)
    (folder / "keys").mkdir()
    (folder / "keys/release.pub").write_bytes(pair("attacker")[1])
    git(folder, "init", "-q", ".")
    git(folder, "commit", "-q", "--allow-empty", "-m", "mine")
    git(folder, "tag", "dogs@v2.0.0")
    monkeypatch.chdir(folder)
    done = called("verify", ".", "--json")
    assert done.code == 4
    release = done.events[-2]
    assert release["signed_by"] is None
    assert "this is not the project that releases it" in release["notes"][-1]
    where = [event["where"] for event in done.events if event.get("about") == "file"]
    assert {"pipelines/dogs.yaml", "keys/release.pub", ".git/HEAD"} <= set(where)


def test_what_nobody_signed_is_intact_by_its_own_word_only(called: Run, elsewhere: Path) -> None:
    (elsewhere / "v2.0.0/model.sig").unlink()
    done = called("verify", "v2.0.0")
    assert done.code == 0
    assert done.out.startswith("v2.0.0: intact; who made it is not proven\n")
    assert "  note       not signed: whoever can change the folder can change all" in done.out


def test_a_release_and_an_artifact_in_one_call(scene: Scene, called: Run) -> None:
    source = scene.team.root / "build/dogs/best"
    source.mkdir(parents=True)
    shutil.copytree(scene.file(MODEL), source / "Dogs.mlpackage")
    done = called("verify", "releases/cats/v2.0.0", "build/dogs/best/Dogs.mlpackage", "--json")
    kinds = [event["event"] for event in done.events]
    assert kinds == ["release", "artifact", "verify"]
    assert json.loads(done.out.splitlines()[-1])["releases"] == {"intact": 1, "refused": 0}
