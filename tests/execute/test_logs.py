"""Logs of stages: rotation, masking, last lines."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.attempts import Task
from mlbuild.execute import logs


def task(log: Path, **more: object) -> Task:
    return Task("train", log.parent, log, {}, argv=["bash", "-c", "true"], **more)  # type: ignore[arg-type]


def test_the_last_three_attempts_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "train.log"
    for n in range(1, 6):
        log = logs.start(task(path, attempt=n))
        log.write(f"text {n}\n")
        log.finish()
    kept = logs.attempts(path)
    assert [p.name for p in kept] == ["train.log", "train.log.1", "train.log.2"]
    assert [p.read_text().splitlines()[-1] for p in kept] == ["text 5", "text 4", "text 3"]
    assert sorted(os.listdir(path.parent)) == sorted(p.name for p in kept)


def test_a_full_disk_is_no_error() -> None:
    log = logs.Log(Path("/dev/full"), os.open("/dev/full", os.O_WRONLY), ["secret"])
    assert log.write("text") == 0
    log.copy(b"more")
    log.finish()


def test_a_log_that_is_gone_has_no_last_lines(tmp_path: Path) -> None:
    assert logs.tail(tmp_path / "absent.log") == []


def test_of_a_long_log_only_whole_lines_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{n:0100d}\n" for n in range(2000)))
    lines = logs.tail(path, 10_000)
    assert len(lines[0]) == 100
    assert lines[-1] == f"{1999:0100d}"
    assert 600 < len(lines) < 700


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("x" * 1000 + "\n")
    assert logs.tail(path) == ["x" * 500]


@pytest.mark.parametrize(
    ("secrets", "text", "shown"),
    [
        (["abc"], "xabcx", "x***x"),
        (["abc", "abcdef"], "abcdef abc", "*** ***"),
        (["ab"], "aab", "a***"),
        ([""], "text", "text"),
        (["first line\nsecond line"], "> first line\n> second line", "> ***\n> ***"),
        (["ü"], "grün", "gr***n"),
    ],
)
def test_secrets_are_masked(secrets: list[str], text: str, shown: str) -> None:
    assert logs.Mask(secrets).text(text) == shown


@given(st.text("ab", max_size=60), st.text("ab", min_size=1, max_size=4), st.data())
def test_a_stream_is_masked_however_it_is_cut(text: str, secret: str, data: st.DataObject) -> None:
    mask, shown, rest = logs.Mask([secret]), b"", text.encode()
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        shown += mask.feed(rest[:size])
        rest = rest[size:]
    shown += mask.rest()
    assert secret.encode() not in shown.replace(b"***", b"|")
