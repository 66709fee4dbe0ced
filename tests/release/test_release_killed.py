"""A release that dies at any step, meets another one, or whose upload fails: completed or refused.

Each death is a real one: a process of its own is killed with SIGKILL at that very step.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.errors import DataError
from mlbuild.release.publish.protocol import Bundle, PublishError
from mlbuild.release.sending import send
from tests.conftest import ROOT
from tests.release.projects import FILE, RELEASE, STAGES, Team, git, state

# Kills itself where a function is entered, or left: MODULE NAME before|after NUMBER-OF-CALL.
DIE = """
import importlib, os, signal, sys
module, name, when, number, *arguments = sys.argv[1:]
owner = importlib.import_module(module)
for part in name.split(".")[:-1]:
    owner = getattr(owner, part)
name = name.split(".")[-1]
real, calls = getattr(owner, name), [0]
def dying(*args, **kwargs):
    calls[0] += 1
    last = calls[0] == int(number)
    if last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = real(*args, **kwargs)
    if last:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
setattr(owner, name, dying)
from mlbuild.cli.main import main
sys.exit(main(arguments))
"""
PUBLISHED = RELEASE + "  publish: [{folder: ../published}, {folder: ../mirror}]\n"
STEPS = [  # the first ones in every run
    ("mlbuild.release.folder", "_exchange", "before", 1),
    ("mlbuild.release.publish.folder", "Folder.stage", "after", 1),
    ("mlbuild.release.tags", "_push", "after", 1),
    ("mlbuild.release.publish.folder", "Folder.reveal", "after", 1),
    ("mlbuild.release.gather", "artifact", "after", 1),
    ("mlbuild.release.folder", "clone", "after", 1),
    ("mlbuild.release.folder", "write_documents", "before", 1),
    ("mlbuild.release.folder", "write_documents", "after", 1),
    ("mlbuild.release.folder", "_exchange", "after", 1),
    ("mlbuild.release.publish.folder", "Folder.stage", "before", 1),
    ("mlbuild.release.publish.folder", "Folder.stage", "after", 2),
    ("mlbuild.release.tags", "_object", "after", 1),
    ("mlbuild.release.tags", "_push", "before", 1),
    ("mlbuild.release.tags", "make", "after", 1),
    ("mlbuild.release.publish.folder", "Folder.reveal", "before", 1),
    ("mlbuild.release.publish.folder", "Folder.reveal", "after", 2),
]


@pytest.fixture
def published(team: Team) -> Team:
    """The project with two places to publish to, committed."""
    team.write(STAGES, PUBLISHED)
    team.built()
    return team


def killed(root: Path, *step: object) -> int:
    command = [sys.executable, "-c", DIE, *map(str, step), "release", FILE, "--channel", "beta"]
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
        capture_output=True,
        check=False,
    )
    return done.returncode


def visible(team: Team) -> set[str]:
    """What users of the published places see."""
    found = set()
    for place in ("published", "mirror"):
        latest = team.folder / place / "dogs" / "latest.json"
        versions = (team.folder / place).glob("dogs/v*")
        found |= {f"{place}/{v.name}" for v in versions}
        if latest.exists():
            found.add(f"{place}/latest {json.loads(latest.read_bytes())['version']}")
    return found


@pytest.mark.parametrize(
    "step",
    [*STEPS[:4], *(pytest.param(step, marks=pytest.mark.campaign) for step in STEPS[4:])],
    ids=lambda s: f"{s[1]}-{s[2]}-{s[3]}",
)
def test_a_release_that_is_killed_is_completed_by_the_next_call(
    published: Team, step: tuple[object, ...]
) -> None:
    assert killed(published.root, *step) == -signal.SIGKILL
    if visible(published):  # nobody sees anything before the tag is on the remote
        assert published.remote_tags() == ["dogs#beta#1", "dogs@v1.0.0"]
    assert published.release(channels=("beta",)).outcome == "released"
    assert published.tags() == published.remote_tags() == ["dogs#beta#1", "dogs@v1.0.0"]
    release = state(published.root / "releases/dogs/v1.0.0")
    for place in ("published", "mirror"):
        assert state(published.folder / place / "dogs/v1.0.0") == release
    assert not (published.root / "releases/.work").exists()
    assert git(published.root, "status", "--porcelain") == ""
    assert published.release(channels=("beta",)).tags == ()


def test_a_clone_completes_what_another_one_began(published: Team) -> None:
    mate = published.clone("mate")
    assert killed(published.root, "mlbuild.release.tags", "_push", "after", 1) == -signal.SIGKILL
    (mate.root / "data/photos.txt").write_text("photos\n")
    mate.build()
    done = mate.release(channels=("beta",))
    assert (done.outcome, done.tags) == ("released", ())
    assert mate.remote_tags() == ["dogs#beta#1", "dogs@v1.0.0"]
    assert visible(mate) >= {"published/v1.0.0", "mirror/v1.0.0"}


def test_two_clones_that_release_at_once_give_one_version_once(published: Team) -> None:
    mate = published.clone("mate")
    (mate.root / "data/photos.txt").write_text("more photos\n")
    mate.built()
    assert published.release(channels=("beta",)).outcome == "released"
    with pytest.raises(DataError) as error:
        mate.release(channels=("beta",))
    assert error.value.render() == (
        "origin has releases that this clone does not know: dogs@v1.0.0\n"
        "  hint: git fetch --tags origin"
    )


def test_a_tag_that_somebody_pushed_meanwhile_refuses_ours_and_nothing_is_seen(
    published: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one pushes between our look at the remote and our push."""
    from mlbuild.release import tags

    mate = published.clone("mate")
    theirs = mate.commit("of somebody else")
    real = tags._push

    def late(root: Path, names: object) -> None:
        git(mate.root, "tag", "-a", "-m", "theirs", "dogs@v1.0.0")
        git(mate.root, "push", "-q", "origin", "dogs@v1.0.0")
        real(root, names)  # type: ignore[arg-type]

    monkeypatch.setattr(tags, "_push", late)
    with pytest.raises(DataError) as error:
        published.release(channels=("beta",))
    told = error.value.render()
    assert told.startswith(
        "origin has one of the tags dogs@v1.0.0, dogs#beta#1 already: "
        "somebody else released meanwhile\n"
    )
    assert "; nobody sees any of it yet\n" in told
    assert published.tags() == []
    assert published.remote_tags() == ["dogs@v1.0.0"]
    assert git(published.remote, "rev-parse", "dogs@v1.0.0^{commit}") == theirs
    assert not visible(published)


def test_a_second_release_in_the_same_checkout_is_told_who_is_at_it(published: Team) -> None:
    lock = published.root / ".mlbuild/release/dogs.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("pid 7: mlbuild release pipelines/p.yaml\n")
        held.flush()
        with pytest.raises(DataError) as error:
            published.release()
    assert error.value.render() == (
        "another release is running in this checkout\n"
        "  got: pid 7: mlbuild release pipelines/p.yaml\n"
        "  hint: wait for it, and release again: it says what is left to do"
    )
    assert published.release().outcome == "released"


def test_two_processes_at_once_make_one_release(
    published: Team, start: Callable[..., subprocess.Popen[str]]
) -> None:
    os.chdir(published.root)
    both = [start("release", FILE) for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 4]), told
    if codes == [0, 4]:
        assert any("another release is running in this checkout" in err for _, err in told)
    assert published.remote_tags() == ["dogs@v1.0.0"]
    assert published.release().outcome == "released"


# --- uploads that fail -----------------------------------------------------------------------


class Place:
    """A place to publish to that fails as it is told, and notes what it is asked."""

    def __init__(self, name: str, log: list[str], fails: str = "") -> None:
        self.name, self._log, self._fails = name, log, fails

    def check(self, release: Bundle) -> str | None:
        return f"{self.name} is away" if self._fails == "check" else None

    def stage(self, release: Bundle) -> None:
        self._do("stage")

    def reveal(self, release: Bundle) -> str:
        self._do("reveal")
        return f"{self.name}/{release.version}"

    def _do(self, what: str) -> None:
        self._log.append(f"{what} {self.name}")
        if self._fails == what:
            raise PublishError(f"{self.name} broke off")


def sending(log: list[str], *fails: str) -> None:
    bundle = Bundle(Path("x"), "dogs", "1.0.0", "dogs@v1.0.0", "0" * 40, "")
    places = [Place(f"place{n}", log, fail) for n, fail in enumerate(fails)]

    def tag() -> list[str]:
        log.append("tag")
        return ["dogs@v1.0.0"]

    send(bundle, places, tag, lambda text: None)


def test_everything_is_everywhere_before_the_tag_and_the_tag_before_anything_is_seen() -> None:
    log: list[str] = []
    sending(log, "", "")
    assert log == ["stage place0", "stage place1", "tag", "reveal place0", "reveal place1"]


def test_what_stands_in_the_way_is_found_before_anything_is_sent() -> None:
    log: list[str] = []
    with pytest.raises(DataError) as error:
        sending(log, "", "check", "check")
    assert error.value.render() == "place1 is away\nplace2 is away"
    assert log == []


def test_an_upload_that_fails_tags_nothing_and_shows_nothing() -> None:
    log: list[str] = []
    with pytest.raises(DataError) as error:
        sending(log, "", "stage")
    assert log == ["stage place0", "stage place1"]
    assert error.value.render() == (
        "place1 broke off\n"
        "dogs 1.0.0 is not released completely\n"
        "  got: done: sent to place0; nobody sees any of it yet\n"
        "  hint: release again from the same commit: it goes on from here"
    )
    assert error.value.exit_code == 4


def test_a_place_that_fails_to_show_it_is_told_with_what_is_done() -> None:
    with pytest.raises(DataError) as error:
        sending([], "", "reveal")
    assert error.value.render() == (
        "place1 broke off\n"
        "dogs 1.0.0 is not released completely\n"
        "  got: done: sent to place0; sent to place1; tagged dogs@v1.0.0; published by place0\n"
        "  hint: release again from the same commit: it goes on from here"
    )


def test_a_release_of_other_bytes_than_its_tag_names_is_refused(
    published: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.release()
    from mlbuild.release import gather

    monkeypatch.setattr(gather, "__version__", "99.0.0")
    with pytest.raises(DataError) as error:
        published.release()
    told = error.value.render()
    assert told.startswith(
        "what is put together from this commit is not what dogs@v1.0.0 was made for\n"
    )
