"""A ledger as it was committed: what can be read of it, and what is told where it cannot."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mlbuild.errors import DataError, LedgerError, UsageError
from mlbuild.records import Digest
from mlbuild.report.summary.before import Before, revision

PINS = {
    "version": 1,
    "stages": {"p-check": {"stage": "check", "paths": {"metrics": "m.json"}}, "": {}},
}
LOCK = """\
schema: '2.0'
stages:
  p-check:
    cmd: x
    outs:
    - {path: m.json, hash: md5, md5: aa, size: 9}
    - {path: out/model.bin, hash: md5, md5: bb, size: 1234}
"""


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)


def before(root: Path, **files: str | None) -> Before:
    """The ledger of one commit; a file that is None is left out."""
    whole = {"p-lock.json": json.dumps(PINS), "dvc.lock": LOCK, "m.json": '{"a": 1}'}
    named = {"pins": "p-lock.json", "lock": "dvc.lock", "metrics": "m.json"}
    git(root, "init", "-q", "-b", "main")
    for name, text in {**whole, **{named[k]: v for k, v in files.items()}}.items():
        if text is not None:
            (root / name).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "x")
    cache = root.parent / "cache"
    return Before(revision(root, "main"), root, root / "p.yaml", lambda digest: cache / digest.md5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root


def test_metrics_and_sizes_are_those_of_the_commit(root: Path) -> None:
    then = before(root)
    (root / "m.json").write_text('{"a": 2}')
    assert then.metrics("check") == {"a": 1}
    assert (then.size("out/model.bin"), then.size("out/other.bin")) == (1234, None)


def test_a_stage_that_was_not_there_has_no_metrics(root: Path) -> None:
    assert before(root).metrics("other") == {}


def test_a_commit_before_the_first_build_has_nothing(root: Path) -> None:
    then = before(root, pins=None, lock=None, metrics=None)
    assert (then.pins, then.metrics("check"), then.size("out/model.bin")) == ({}, {}, None)


def test_metrics_that_git_does_not_have_come_from_the_cache(root: Path) -> None:
    then = before(root, metrics=None)
    assert then.metrics("check") == {}
    (root.parent / "cache").mkdir()
    then.object_path(Digest("aa")).write_text('{"a": 3}')
    assert then.metrics("check") == {"a": 3}


@pytest.mark.parametrize("text", ["{", "[1]", '"x"'])
def test_metrics_that_were_spoiled_then_are_no_matter_now(root: Path, text: str) -> None:
    assert before(root, metrics=text).metrics("check") == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1}', '{"stages": 3}'])
def test_pins_that_cannot_be_read_are_told_with_their_revision(root: Path, text: str) -> None:
    with pytest.raises(LedgerError, match=r"^p-lock\.json at main cannot be read: "):
        _ = before(root, pins=text).pins


@pytest.mark.parametrize("text", ["{", "stages: [1]", "stages: {p: {outs: [{md5: a}]}}"])
def test_a_lock_that_cannot_be_read_is_told_with_its_revision(root: Path, text: str) -> None:
    with pytest.raises(LedgerError, match=r"^dvc\.lock at main cannot be read$"):
        before(root, lock=text).size("out/model.bin")


def test_a_revision_that_git_does_not_know_is_told(root: Path) -> None:
    before(root)
    with pytest.raises(UsageError) as caught:
        revision(root, "nowhere")
    assert caught.value.render() == (
        "--against nowhere: git knows no such revision here\n"
        "  hint: git fetch origin it first; in CI clone with fetch-depth: 0"
    )


def test_a_project_outside_of_git_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lies in no git repository"):
        revision(tmp_path, "main")
