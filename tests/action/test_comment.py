"""The comment on the pull request: made once, then updated; nobody else's is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.action.service import Service
from tests.conftest import ROOT

BODY = "<!-- mlbuild-report: Net.mlpackage -->\n### a table\n"


def comment(
    service: Service, tmp_path: Path, body: str = BODY, **env: str
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "report.md").write_text(body)
    (tmp_path / "event.json").write_text('{"pull_request": {"number": 17}}')
    variables = {
        "PATH": os.environ["PATH"],
        "GITHUB_API_URL": service.address,
        "GITHUB_REPOSITORY": "ann/dogs",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_TOKEN": "secret-token",
        **env,
    }
    script = str(ROOT / "action/comment.py")
    command = [sys.executable, "-I", script, str(tmp_path / "report.md"), "github-actions[bot]"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_the_first_report_makes_a_comment(service: Service, tmp_path: Path) -> None:
    service.add("eve", "nice work")
    done = comment(service, tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert [asked[0] for asked in service.asked] == ["GET", "POST"]
    assert service.comments[-1]["body"] == BODY


def test_the_next_report_updates_it(service: Service, tmp_path: Path) -> None:
    for text in (BODY, BODY + "again\n"):
        assert comment(service, tmp_path, text).returncode == 0
    assert [c["body"] for c in service.comments] == [BODY + "again\n"]
    assert service.asked[-1][:2] == ("PATCH", "/repos/ann/dogs/issues/comments/1000")


def test_it_is_found_behind_many_others(service: Service, tmp_path: Path) -> None:
    for number in range(130):
        service.add("eve", f"comment {number}")
    service.add("github-actions[bot]", BODY)
    for number in range(80):
        service.add("eve", f"comment {number}")
    assert comment(service, tmp_path, BODY + "again\n").returncode == 0
    assert [asked[0] for asked in service.asked] == ["GET", "GET", "PATCH"]
    assert service.comments[130]["body"] == BODY + "again\n"


def test_reports_on_two_models_are_two_comments(service: Service, tmp_path: Path) -> None:
    other = BODY.replace("Net", "Other")
    comment(service, tmp_path)
    comment(service, tmp_path, other)
    assert [c["body"] for c in service.comments] == [BODY, other]


def test_nobody_elses_comment_is_changed(service: Service, tmp_path: Path) -> None:
    service.add("eve", BODY)
    service.add("github-actions[bot]", f"quoting: {BODY}")
    assert comment(service, tmp_path).returncode == 0
    assert [c["body"] for c in service.comments] == [BODY, f"quoting: {BODY}", BODY]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_that_may_not_write_is_a_warning(
    service: Service, tmp_path: Path, status: int
) -> None:
    service.refuse = status
    done = comment(service, tmp_path)
    assert done.returncode == 0
    assert done.stdout == (
        "::warning::no comment was written: the token may not (a fork's never may; else: "
        "permissions: pull-requests: write)\n"
    )


def test_a_service_that_fails_is_an_error(service: Service, tmp_path: Path) -> None:
    service.refuse = 500
    done = comment(service, tmp_path)
    assert (done.returncode, done.stdout) == (
        1,
        "::error::the comment could not be written: HTTP 500\n",
    )


def test_a_repository_that_is_none_is_asked_nothing(service: Service, tmp_path: Path) -> None:
    done = comment(service, tmp_path, GITHUB_REPOSITORY="ann/dogs/../../user")
    assert (done.returncode, done.stdout) == (1, "::error::GITHUB_REPOSITORY is no OWNER/NAME\n")
    assert service.asked == []


def test_text_without_a_marker_is_never_posted(service: Service, tmp_path: Path) -> None:
    assert comment(service, tmp_path, "hello\n").returncode == 1
    assert service.asked == []
