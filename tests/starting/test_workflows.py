"""What CI files ask of their service: valid, with few rights, and deaf to what others write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlbuild.starting.workflow import workflow_files
from tests.starting.comments import Comments, serving

REMOTES = ["", "ssh://host/path"]  # with variables for the remote, and without


def _text(service: str, root: Path, remote: str = "", pipeline: str = "pipelines/dogs.yaml") -> str:
    (text,) = workflow_files(service, "dogs", root / pipeline, root, remote).values()
    return text


@pytest.fixture
def github(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(_text("github", tmp_path))
    return found


@pytest.fixture
def gitlab(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(_text("gitlab", tmp_path))
    return found


def _runs(workflow: dict[str, Any]) -> list[str]:
    return [s["run"] for job in workflow["jobs"].values() for s in job["steps"] if "run" in s]


def _scripts(workflow: dict[str, Any]) -> list[str]:
    parts = ("before_script", "script", "after_script")
    jobs = [job for job in workflow.values() if isinstance(job, dict)]
    return [line for job in jobs for part in parts for line in job.get(part, [])]


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_the_service_s_own_schema_accepts_it(service: str, tmp_path: Path) -> None:
    files = []
    for number, remote in enumerate(REMOTES):
        files.append(tmp_path / f"{number}.yml")
        files[-1].write_text(_text(service, tmp_path, remote))
    schema = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}[service]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    if service == "gitlab":
        command += ["--data-transform", "gitlab-ci"]
    done = subprocess.run([*command, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_command_holds_what_others_write(github: dict[str, Any]) -> None:
    assert _runs(github)
    assert not [run for run in _runs(github) if "${{" in run]


def test_every_command_is_sound_shell(github: dict[str, Any], gitlab: dict[str, Any]) -> None:
    for script in [*_runs(github), *_scripts(gitlab)]:
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), script


def test_only_the_release_may_write_and_only_the_comment_may_comment(
    github: dict[str, Any],
) -> None:
    assert github["permissions"] == {}
    assert {name: job["permissions"] for name, job in github["jobs"].items()} == {
        "check": {"contents": "read"},
        "comment": {"pull-requests": "write"},
        "release": {"contents": "write", "id-token": "write"},
        "macos": {},
    }


def test_the_job_that_may_comment_runs_no_code_of_the_request(
    github: dict[str, Any], gitlab: dict[str, Any]
) -> None:
    uses = [s["uses"] for s in github["jobs"]["comment"]["steps"] if "uses" in s]
    assert uses == ["actions/download-artifact@v4"]
    assert gitlab["dogs-comment"]["variables"] == {"GIT_STRATEGY": "none"}
    assert "before_script" not in gitlab["dogs-comment"]
    assert "extends" not in gitlab["dogs-comment"]


def test_the_check_leaves_no_token_behind(github: dict[str, Any]) -> None:
    checkout = github["jobs"]["check"]["steps"][0]
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_the_key_to_sign_with_is_known_to_the_release_alone(tmp_path: Path) -> None:
    jobs = yaml.safe_load(_text("github", tmp_path))["jobs"]
    assert [name for name, job in jobs.items() if "SIGNING" in str(job)] == ["release"]


def test_whole_history_and_tags_are_there(github: dict[str, Any], gitlab: dict[str, Any]) -> None:
    for name in ("check", "release"):
        assert github["jobs"][name]["steps"][0]["with"]["fetch-depth"] == 0
    assert gitlab[".dogs"]["variables"]["GIT_DEPTH"] == "0"


def test_two_releases_never_race(github: dict[str, Any], gitlab: dict[str, Any]) -> None:
    concurrency = github["jobs"]["release"]["concurrency"]
    assert concurrency == {"group": "release-dogs", "cancel-in-progress": False}
    assert gitlab["dogs-release"]["resource_group"] == "release-dogs"
    assert gitlab["dogs-release"]["interruptible"] is False


def test_caches_follow_the_locks(github: dict[str, Any], gitlab: dict[str, Any]) -> None:
    for name in ("check", "release"):
        steps = github["jobs"][name]["steps"]
        keys = {s["with"]["path"]: s["with"]["key"] for s in steps if "cache@" in s.get("uses", "")}
        assert set(keys) == {"~/.cache/mlbuild", ".dvc/cache"}
        assert all("'pipelines/dogs-lock.json'" in key for key in keys.values())
        assert "dvc.lock" in keys[".dvc/cache"]
    assert [c["key"]["files"] for c in gitlab[".dogs"]["cache"]] == [
        ["pipelines/dogs-lock.json"],
        ["dvc.lock", "pipelines/dogs-lock.json"],
    ]


def test_mlbuild_is_installed_in_the_version_that_wrote_the_file(github: dict[str, Any]) -> None:
    from mlbuild import __version__

    assert github["env"]["MLBUILD"] == f"mlbuild-pipelines[release]=={__version__}"


@pytest.mark.parametrize(
    ("remote", "plugin", "secret"),
    [
        ("s3://bucket/path", "dvc-s3", "AWS_ACCESS_KEY_ID"),
        ("gs://bucket", "dvc-gs", "GOOGLE_APPLICATION_CREDENTIALS_DATA"),
        ("azure://container", "dvc-azure", "AZURE_STORAGE_CONNECTION_STRING"),
    ],
)
def test_the_remote_s_own_plugin_and_secrets_are_there(
    remote: str, plugin: str, secret: str, tmp_path: Path
) -> None:
    jobs = yaml.safe_load(_text("github", tmp_path, remote))["jobs"]
    for name, step in (("check", "Build"), ("release", "Release")):
        steps = {s["name"]: s for s in jobs[name]["steps"] if "name" in s}
        assert steps["Install"]["run"].endswith(f'"$MLBUILD" {plugin}')
        assert steps[step]["env"][secret] == f"${{{{ secrets.{secret} }}}}"


def test_a_path_of_any_signs_stays_one_word(tmp_path: Path) -> None:
    path = 'an app\'s "folder"/pipelines/$dogs.yaml'
    workflow = yaml.safe_load(_text("github", tmp_path, pipeline=path))
    assert workflow["env"]["PIPELINE"] == path
    gitlab = yaml.safe_load(_text("gitlab", tmp_path, pipeline=path))
    # There a dollar is doubled, or it begins a variable.
    assert gitlab[".dogs"]["variables"]["PIPELINE"] == path.replace("$", "$$")


def test_a_project_in_a_folder_of_its_repository_has_its_ci_at_the_top(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    root = tmp_path / "a part"
    (root / ".dvc").mkdir(parents=True)
    ((path, text),) = workflow_files("github", "dogs", root / "p/dogs.yaml", root).items()
    assert path == tmp_path / ".github/workflows/dogs.yml"
    workflow = yaml.safe_load(text)
    assert workflow["env"]["PIPELINE"] == "a part/p/dogs.yaml"
    steps = workflow["jobs"]["check"]["steps"]
    paths = [step["with"]["path"] for step in steps if "path" in step.get("with", {})]
    assert paths == [
        "~/.cache/mlbuild", "a part/.dvc/cache", "report.md", "a part/build/dogs/selftest",
    ]  # fmt: skip
    ((path, text),) = workflow_files("gitlab", "dogs", root / "p/dogs.yaml", root).items()
    assert path == tmp_path / ".gitlab-ci.yml"
    caches = yaml.safe_load(text)[".dogs"]["cache"]
    assert caches[1]["key"]["files"] == ["a part/dvc.lock", "a part/p/dogs-lock.json"]


def test_jobs_of_a_second_pipeline_lie_beside_the_first_s(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("a: {script: [b]}\n")
    (path,) = workflow_files("gitlab", "dogs", tmp_path / "pipelines/dogs.yaml", tmp_path)
    assert path == tmp_path / ".gitlab/dogs.yml"


def _comment(script: str, folder: Path, comments: Comments, body: str) -> None:
    (folder / "report.md").write_text(body)
    env = {
        "PATH": os.environ["PATH"],
        "GITHUB_API_URL": comments.address,
        "GITHUB_REPOSITORY": "team/project",
        "NUMBER": "7",
        "TOKEN": "secret",
        "CI_API_V4_URL": comments.address,
        "CI_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_IID": "7",
        "MLBUILD_TOKEN": "secret",
    }
    subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=env, check=True)


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_a_comment_is_made_once_and_then_brought_up_to_date(
    service: str, github: dict[str, Any], gitlab: dict[str, Any], tmp_path: Path
) -> None:
    script = github["jobs"]["comment"]["steps"][1]["run"]
    if service == "gitlab":
        (script,) = gitlab["dogs-comment"]["script"]
    with serving() as comments:
        for number in range(120):  # more than one page of others
            comments.add(f"a word {number}", login="ann")
        comments.add("<!-- mlbuild report: p/cats.yaml -->\ncats")
        for figure in ("40 dB", "41 dB"):
            _comment(script, tmp_path, comments, f"<!-- mlbuild report: p/dogs.yaml -->\n{figure}")
        assert len(comments.held) == 122
        assert comments.held[-1]["body"] == "<!-- mlbuild report: p/dogs.yaml -->\n41 dB"
        change = {"github": "PATCH", "gitlab": "PUT"}[service]
        assert [method for method, _ in comments.calls if method != "GET"] == ["POST", change]
        assert comments.tokens == {{"github": "Bearer secret", "gitlab": "secret"}[service]}


def test_a_comment_that_somebody_else_began_alike_is_left_alone(
    github: dict[str, Any], tmp_path: Path
) -> None:
    with serving() as comments:
        comments.add("<!-- m -->\nmine", login="ann")
        script = github["jobs"]["comment"]["steps"][1]["run"]
        _comment(script, tmp_path, comments, "<!-- m -->\nnew")
        assert [c["body"] for c in comments.held] == ["<!-- m -->\nmine", "<!-- m -->\nnew"]
