"""`mlbuild release` from a real repository to services whose tags are those of its remote."""

import contextlib
import io
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlbuild.cli.main import main
from tests.conftest import Done
from tests.release.projects import FILE, RELEASE, STAGES, Team, git
from tests.release.publish import github_double, gitlab_double
from tests.release.publish.bundles import tree
from tests.release.publish.double import Said, serving
from tests.release.publish.github_double import GitHubDouble
from tests.release.publish.gitlab_double import GitLabDouble


class Pushed(dict[str, str]):
    """The tags of a bare repository, as they are now."""

    def __init__(self, remote: Path) -> None:
        super().__init__()
        self._remote = remote

    def _read(self) -> dict[str, str]:
        form = "--format=%(refname:strip=2) %(*objectname)"
        listed = git(self._remote, "for-each-ref", form, "refs/tags")
        return dict(line.split() for line in listed.splitlines())

    def __contains__(self, tag: object) -> bool:
        return tag in self._read()

    def __getitem__(self, tag: str) -> str:
        return self._read()[tag]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def items(self):  # type: ignore[no-untyped-def]
        return self._read().items()


@pytest.fixture
def services(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[GitHubDouble, GitLabDouble]]:
    github, gitlab = GitHubDouble(), GitLabDouble()
    github.tags, gitlab.tags = Pushed(team.remote), Pushed(team.remote)
    monkeypatch.setenv("GITHUB_TOKEN", github_double.TOKEN)
    monkeypatch.setenv("GITLAB_TOKEN", gitlab_double.TOKEN)
    for name in ("GITHUB_API_URL", "CI_API_V4_URL"):
        monkeypatch.delenv(name, raising=False)
    with serving(github), serving(gitlab):
        publish = (
            "  publish:\n"
            "    - {folder: ../published}\n"
            f"    - {{github: owner/dogs, api_url: '{github.address}'}}\n"
            f"    - {{gitlab: {gitlab_double.PROJECT}, api_url: '{gitlab.address}/api/v4'}}\n"
            "    - {hub: ../hub, git: true}\n"
        )
        hub = team.folder / "hub"
        hub.mkdir()
        git(hub, "init", "-q", ".")
        team.write(STAGES, RELEASE + publish)
        team.built()
        yield github, gitlab
    assert github.wrong == gitlab.wrong == []


def _release(*arguments: str) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["release", FILE, *arguments])
    return Done(code, out.getvalue(), err.getvalue())


def test_a_dry_run_asks_every_place_and_changes_none(
    team: Team, services: tuple[GitHubDouble, GitLabDouble]
) -> None:
    done = _release("--dry-run")
    assert (done.code, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if "would publish" in line] == [
        f"would publish to {place}: nothing is in the way"
        for place in (
            "folder ../published",
            "github owner/dogs",
            f"gitlab {gitlab_double.PROJECT}",
            "hub ../hub",
        )
    ]
    assert {r.method for service in services for r in service.requests} == {"GET"}


def test_a_release_arrives_whole_at_every_place(
    team: Team, services: tuple[GitHubDouble, GitLabDouble], tmp_path: Path
) -> None:
    github, gitlab = services
    done = _release()
    assert (done.code, done.err) == (0, "")
    released = tree(team.root / "releases/dogs/v1.0.0")
    assert tree(team.folder / "published/dogs/v1.0.0") == released
    back = tmp_path / "back"
    back.mkdir()
    for number, asset in github.assets.items():
        (back / asset["name"]).write_bytes(github.bytes[number])
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=back, check=True)
    (back / "SHA256SUMS").unlink()
    for archive in back.glob("*.zip"):
        zipfile.ZipFile(archive).extractall(back)
        archive.unlink()
    assert tree(back) == released
    assert gitlab.names() == github.names(draft=False)
    assert list(gitlab.releases) == ["dogs@v1.0.0"]
    assert git(team.folder / "hub", "tag") == "v1.0.0"
    assert main(["verify", str(back)]) == 0


def test_a_place_that_was_away_is_caught_up_with_by_the_same_command(
    team: Team, services: tuple[GitHubDouble, GitLabDouble]
) -> None:
    github, gitlab = services
    gitlab.fail("POST", "releases$", Said(403, {"message": "403 Forbidden"}))
    done = _release()
    assert done.code == 4
    assert "the token may not do that" in done.out + done.err
    assert (github.names(draft=False) != [], gitlab.releases) == (True, {})
    uploads = (github.count("POST"), gitlab.count("PUT"))
    assert _release().code == 0
    assert list(gitlab.releases) == ["dogs@v1.0.0"]
    assert (github.count("POST"), gitlab.count("PUT")) == uploads
