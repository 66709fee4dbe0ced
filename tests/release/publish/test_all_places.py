"""One release to every kind of place at once: cut off anywhere, sent again, the same everywhere."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlbuild.errors import DataError
from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import Bundle, Publisher
from mlbuild.release.sending import Sent, send, survey
from tests.release.publish import github_double, gitlab_double, hub_double
from tests.release.publish.bundles import Clock, tree
from tests.release.publish.double import Double, Said, serving
from tests.release.publish.github_double import GitHubDouble
from tests.release.publish.gitlab_double import GitLabDouble
from tests.release.publish.hub_double import HubDouble

TOKENS = {
    "GITHUB_TOKEN": github_double.TOKEN,
    "CI_JOB_TOKEN": gitlab_double.JOB,
    "HF_TOKEN": hub_double.TOKEN,
}


@dataclass
class World:
    """The services, and what they show to everybody."""

    github: GitHubDouble
    gitlab: GitLabDouble
    hub: HubDouble
    root: Path
    clock: Clock

    def places(self) -> list[Publisher]:
        specs: list[dict[str, object]] = [
            {"folder": "shelf"},
            {"hub": "hub"},
            {"github": "owner/dogs", "api_url": self.github.address},
            {"gitlab": gitlab_double.PROJECT, "api_url": f"{self.gitlab.address}/api/v4"},
            {"hub": hub_double.REPO, "endpoint": self.hub.address},
        ]
        return open_publishers(specs, self.root, TOKENS, patience=self.clock.patience())

    def push(self) -> list[str]:
        self.github.push()
        self.gitlab.push()
        return ["dogs@v1.2.0"]

    def shown(self) -> list[bool]:
        """Where the version is visible."""
        return [
            (self.root / "shelf/dogs/v1.2.0").exists(),
            (self.root / "hub/manifest.json").exists(),
            self.github.names(draft=False) != [],
            self.gitlab.releases != {},
            self.hub.tags != {},
        ]

    def send(self, release: Bundle) -> list[Sent]:
        return send(release, self.places(), self.push, lambda step: None)


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> Iterator[World]:
    services = (GitHubDouble(), GitLabDouble(), HubDouble())
    with ExitStack() as running:
        for service in services:
            running.enter_context(serving(service))
        yield World(*services, tmp_path, clock)
    assert [service.wrong for service in services] == [[], [], []]


def test_a_release_goes_everywhere(world: World, release: Bundle) -> None:
    assert [sent.obstacle for sent in survey(release, world.places())] == [None] * 5
    assert world.shown() == [False] * 5
    sent = world.send(release)
    assert world.shown() == [True] * 5
    assert [one.where for one in sent] == [
        str(world.root / "shelf/dogs/v1.2.0"),
        str(world.root / "hub"),
        "https://github.test/owner/dogs/releases/tag/dogs@v1.2.0",
        f"https://gitlab.test/{gitlab_double.PROJECT}/-/releases/dogs@v1.2.0",
        f"{world.hub.address}/{hub_double.REPO}/tree/v1.2.0",
    ]
    assert (
        tree(world.root / "shelf/dogs/v1.2.0") == tree(world.root / "hub") == tree(release.folder)
    )


@pytest.mark.parametrize(
    ("service", "method", "path"),
    [
        ("github", "POST", r"assets$"),
        ("gitlab", "PUT", "generic"),
        ("hub", "POST", "batch"),
    ],
)
def test_while_one_place_does_not_have_it_none_shows_it(
    world: World, release: Bundle, service: str, method: str, path: str
) -> None:
    failing: Double = getattr(world, service)
    failing.fail(method, path, Said(500), times=5)
    with pytest.raises(DataError, match="is not released completely") as caught:
        world.send(release)
    assert "nobody sees any of it yet" in caught.value.render()
    assert world.shown() == [False] * 5
    assert world.github.tags == {}
    world.send(release)
    assert world.shown() == [True] * 5


@pytest.mark.parametrize(
    ("service", "method", "path", "shown"),
    [
        ("github", "PATCH", r"releases/\d+$", [True, True, False, False, False]),
        ("gitlab", "POST", "releases$", [True, True, True, False, False]),
        ("hub", "POST", "commit", [True, True, True, True, False]),
    ],
)
def test_what_was_cut_off_while_it_was_shown_is_completed_by_the_next_run(
    world: World, release: Bundle, service: str, method: str, path: str, shown: list[bool]
) -> None:
    failing: Double = getattr(world, service)
    failing.fail(method, path, Said(500), times=5)
    with pytest.raises(DataError, match="is not released completely"):
        world.send(release)
    assert world.shown() == shown
    before = world.github.count("POST") + world.gitlab.count("PUT") + world.hub.count("PUT")
    world.send(release)
    assert world.shown() == [True] * 5
    after = world.github.count("POST") + world.gitlab.count("PUT") + world.hub.count("PUT")
    assert after == before  # nothing is uploaded twice


def test_no_place_is_touched_where_one_has_the_version_with_other_bytes(
    world: World, release: Bundle
) -> None:
    world.send(release)
    (world.root / "shelf/dogs/v1.2.0/README.md").write_text("another")
    (world.root / "hub/README.md").unlink()
    world.hub.tags.clear()
    with pytest.raises(DataError) as caught:
        world.send(release)
    assert [p.message for p in caught.value.problems if "shelf" in p.message] != []
    assert world.hub.tags == {}
    assert not (world.root / "hub/README.md").exists()
    assert json.loads((world.root / "shelf/dogs/latest.json").read_text())["release"] == "1.2.0"
