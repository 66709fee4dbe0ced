"""The jobs of `.gitlab-ci.yml`, run as the file has them, do what those of GitHub do."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.played import Played, begin

TOKEN = "the token of the project"


@dataclass(frozen=True)
class Told:
    """Job -> its code and its folder, in the order in which they ran."""

    world: Played
    checked: tuple[int, Path]
    released: tuple[int, Path]
    unbuilt: tuple[int, Path]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A built project on main is checked and released; then comes a change that nobody built."""
    made = begin(tmp_path_factory.mktemp("gitlab"), "")
    (made.folder / "weather.git/hooks/post-receive").unlink()
    made.quietly("mlbuild", "init", "--ci", "gitlab", "--remote", "../store")
    made.quietly("mlbuild", "run", "pipelines/weather.yaml")
    made.quietly("mlbuild", "push", "pipelines/weather.yaml")
    made.quietly("git", "add", "-A")
    made.quietly("git", "commit", "-q", "-m", "The first model")
    made.quietly("git", "push", "-q", "origin", "main")
    asked = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    checked = _run(made, "weather-check", "checked", **asked)
    key = (made.folder / "release.key").read_text()
    given = {"MLBUILD_SIGNING_KEY": key, "MLBUILD_TOKEN": TOKEN}
    released = _run(made, "weather-release", "released", **given)
    made.set_rows(20)
    made.quietly("git", "commit", "-q", "-a", "-m", "Unbuilt")
    made.quietly("git", "push", "-q", "origin", "main")
    return Told(made, checked, released, _run(made, "weather-check", "unbuilt", **asked))


def _run(world: Played, name: str, folder: str, **given: str) -> tuple[int, Path]:
    """One job in a clean clone, as the service runs it; its code and its folder."""
    jobs: dict[str, dict[str, Any]] = yaml.safe_load((world.project / ".gitlab-ci.yml").read_text())
    job = {**jobs[jobs[name].get("extends", name)], **jobs[name]}
    place = world.folder / "ci" / folder
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


def test_a_merge_request_is_checked_and_told(told: Told) -> None:
    code, place = told.checked
    assert code == 0
    assert (place / "report.md").read_text().startswith("<!-- mlbuild-report: weather -->\n")


def test_a_request_that_nobody_built_fails_and_is_told(told: Told) -> None:
    code, place = told.unbuilt
    assert code == 4
    assert "0 of 2 stages up to date" in (place / "report.md").read_text()


def test_what_is_merged_is_released_with_the_project_s_token(told: Told) -> None:
    code, place = told.released
    assert code == 0
    assert told.world.tags() == ["weather@v1.0.0"]
    assert (told.world.shelf / "weather/v1.0.0/model.sig").is_file()
    config = (place / ".git/config").read_text()
    assert "credential" in config
    assert TOKEN not in config
