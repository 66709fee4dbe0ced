"""CI, played: from a push to a tag, a published release and `mlbuild verify` in another clone.

What the jobs run is read from the workflow that `mlbuild init --ci github` wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.played import CHAPTERS, Played, begin, for_page, shape, story
from tests.starting.comments import Comments, serving


@dataclass(frozen=True)
class Told:
    """What was seen, chapter by chapter, and what is left."""

    world: Played
    seen: dict[str, str]
    comments: Comments

    def jobs(self) -> list[tuple[str, str, int]]:
        return [(r["event"], r["job"], r["code"]) for r in self.world.service.results()]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with serving() as comments:
        world = begin(tmp_path_factory.mktemp("played"), comments.address)
        yield Told(world, story(world), comments)


def test_every_job_ends_as_it_should(told: Told) -> None:
    request, fine = "pull_request", ("pull_request", "comment", 0)
    assert told.jobs() == [
        (request, "check", 0), fine, ("push", "release", 0),  # first
        (request, "check", 4), fine,                          # unbuilt
        (request, "check", 5), fine, ("push", "release", 5),  # worse, and merged
        (request, "check", 0), fine, ("push", "release", 0),  # better
    ]  # fmt: skip


def test_a_request_is_built_from_the_ledger_alone(told: Told) -> None:
    told_of = told.seen["request"]
    assert "train  restored" in told_of
    assert not re.search(r"^remote:   \w+ +ran ", told_of, re.M)


def test_the_figures_are_told_in_one_comment(told: Told) -> None:
    assert [method for method, _ in told.comments.calls if method != "GET"] == [
        "POST", "PATCH", "PATCH", "PATCH",
    ]  # fmt: skip
    (comment,) = told.comments.held
    assert comment["body"].startswith("<!-- mlbuild-report: weather -->\n### ")
    assert "| judge | accuracy | 1 |" in comment["body"]
    assert told.comments.tokens == {"Bearer the token of the job"}


def test_what_is_merged_is_released_signed_published_and_tagged(told: Told) -> None:
    assert told.world.tags() == ["weather@v1.0.0", "weather@v1.1.0"]
    for version in ("v1.0.0", "v1.1.0"):
        held = {p.name for p in (told.world.shelf / "weather" / version).iterdir()}
        assert {"manifest.json", "model.sig", "README.md", "provenance.json"} <= held
    assert "remote: tagged weather@v1.0.0\n" in told.seen["release"]


def test_another_clone_verifies_what_was_published(told: Told) -> None:
    assert "v1.0.0: intact\n" in told.seen["verify"]
    assert "signed by  keys/release.key.pub" in told.seen["verify"]
    assert "v1.1.0: intact\n" in told.seen["better"]


def test_a_change_that_nobody_built_fails_the_check(told: Told) -> None:
    assert "train  skipped                 code changed" in told.seen["unbuilt"]
    assert "== check: exit 4" in told.seen["unbuilt"]


def test_a_worse_model_is_stopped_by_the_release_before_it(told: Told) -> None:
    gate = "accuracy 0.85 is 0.15 below the last release's 1, more than 0.02"
    for chapter in ("worse", "forced"):
        assert gate in told.seen[chapter]
    assert "not released: a gate does not hold" in told.seen["forced"]
    assert "1 ran, 1 gate failed\n[exit 5]" in told.seen["worse"]


def test_a_changed_byte_and_an_older_release_are_refused(told: Told) -> None:
    changed, older = told.seen["tampered"].split("$ mlbuild verify ")[1:]
    assert "refused" in changed
    assert "artifacts/model/model.json" in changed
    assert changed.endswith("[exit 4]\n\n")
    assert "this is an older release\n    expected  at least 1.1.0" in older
    assert older.endswith("[exit 4]\n")


def test_the_key_to_sign_with_is_in_no_file_and_on_no_screen(told: Told) -> None:
    secret = told.world.service.secrets["MLBUILD_SIGNING_KEY"].splitlines()[1]
    assert secret not in "".join(told.seen.values())
    world = told.world
    folders = [world.project, world.shelf, world.folder / "store", world.folder / "weather.git"]
    clones = [p for p in (world.folder / "ci").iterdir() if p.is_dir()]
    holding = [
        path
        for folder in [*folders, *clones]
        for path in folder.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert not holding


def test_the_page_shows_what_is_to_be_seen(told: Told) -> None:
    page = (ROOT / "docs/releasing.md").read_text(encoding="utf-8")
    for name, heading in CHAPTERS.items():
        block = page.split(f"**{heading}**\n\n```console\n")[1].split("```")[0]
        want = shape(for_page(told.seen[name], told.world))
        assert shape(block) == want, "run: python tools/played_ci.py"


def test_what_a_player_does_not_know_is_an_error(tmp_path: Path) -> None:
    from tests.playing import evaluate

    facts: dict[str, Any] = {"github": {"event_name": "push"}}
    assert evaluate("github.event_name == 'push' && !(github.actor == 'x')", facts) is True
    with pytest.raises(KeyError, match="steps"):
        evaluate("steps.one.outputs.two", facts)
    with pytest.raises(AssertionError, match="nobody knows how to read"):
        evaluate("a[0]", {"a": {}})
