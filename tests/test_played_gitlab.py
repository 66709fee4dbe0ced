"""The jobs of `.gitlab-ci.yml`, run as the file has them, do what those of GitHub do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.played import Played, begin


@pytest.fixture
def world(tmp_path: Path) -> Played:
    """A built project with jobs for GitLab, on main of its repository."""
    made = begin(tmp_path, "")
    (made.folder / "weather.git/hooks/post-receive").unlink()
    made.quietly("mlbuild", "init", "--ci", "gitlab", "--remote", "../store")
    made.quietly("mlbuild", "run", "pipelines/weather.yaml")
    made.quietly("mlbuild", "push", "pipelines/weather.yaml")
    made.quietly("git", "add", "-A")
    made.quietly("git", "commit", "-q", "-m", "The first model")
    made.quietly("git", "push", "-q", "origin", "main")
    return made


def _run(world: Played, name: str, **given: str) -> tuple[int, Path]:
    """One job in a clean clone, as the service runs it; its code and its folder."""
    jobs: dict[str, dict[str, Any]] = yaml.safe_load((world.project / ".gitlab-ci.yml").read_text())
    job = {**jobs[jobs[name].get("extends", name)], **jobs[name]}
    place = world.folder / "ci" / name
    shutil.rmtree(place, ignore_errors=True)
    world.quietly("git", "clone", "-q", world.folder / "weather.git", place, cwd=world.folder)
    facts = {
        "CI_PROJECT_DIR": str(place),
        "CI_PROJECT_URL": str(world.folder / "weather"),
        "CI_SERVER_HOST": "gitlab.example.org",
        **given,
    }
    env = {**world.env(), **facts}
    for level in (jobs[".weather"], jobs[name]):
        for key, value in level.get("variables", {}).items():
            env[key] = _expanded(value, facts)
    # `before_script` installs mlbuild, which is there already.
    code = _shell(job["script"], place, env)
    _shell(job.get("after_script", []), place, env)
    return code, place


def _expanded(text: str, facts: Mapping[str, str]) -> str:
    return re.sub(r"\$(\$|\w+)", lambda m: "$" if m[1] == "$" else facts[m[1]], text)


def _shell(lines: list[str], place: Path, env: Mapping[str, str]) -> int:
    script = "set -e\n" + "\n".join(lines)
    return subprocess.run(["bash", "-c", script], cwd=place, env=env).returncode


def test_a_merge_request_is_checked_and_told(world: Played) -> None:
    code, place = _run(world, "weather-check", CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert code == 0
    assert (place / "report.md").read_text().startswith("<!-- mlbuild-report: weather -->\n")


def test_a_request_that_nobody_built_fails_and_is_told(world: Played) -> None:
    world.set_rows(20)
    world.quietly("git", "commit", "-q", "-a", "-m", "Unbuilt")
    world.quietly("git", "push", "-q", "origin", "main")
    code, place = _run(world, "weather-check", CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert code == 4
    assert "0 of 2 stages up to date" in (place / "report.md").read_text()


def test_what_is_merged_is_released_with_the_project_s_token(world: Played) -> None:
    key = (world.folder / "release.key").read_text()
    secret = "the token of the project"
    code, place = _run(world, "weather-release", MLBUILD_SIGNING_KEY=key, MLBUILD_TOKEN=secret)
    assert code == 0
    assert world.tags() == ["weather@v1.0.0"]
    assert (world.shelf / "weather/v1.0.0/model.sig").is_file()
    config = (place / ".git/config").read_text()
    assert "credential" in config
    assert secret not in config
