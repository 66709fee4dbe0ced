"""`mlbuild golden`: refused where there is no Core ML; checked in the real toolchain."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Done

Run = Callable[..., Done]


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Core ML")
def test_recording_is_refused_where_there_is_no_core_ml(mlbuild: Run, project: Path) -> None:
    done = mlbuild("golden", "record", "golden", "--model", "a.mlpackage", "--samples", "photos")

    assert done.code == 2
    assert done.err == (
        "golden answers are Core ML's own, which only macOS has\n"
        "  got: Linux\n"
        "  hint: record on a Mac, keep the folder in version control, and check it here\n"
    )
    assert not (project / "golden").exists()


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("real_cache")
class TestCheck:
    def test_answers_within_their_tolerance_end_with_0(self, made: Path, mlbuild: Run) -> None:
        done = mlbuild("golden", "check", made / "right")

        assert done.code == 0, done.err
        lines = done.out.splitlines()
        assert lines[0] == f"{made}/right/Net: 1 samples, macOS 26.1, Mac16,1, 9.0"
        assert lines[1].startswith("  ok   CPU_ONLY    y: 200.0 dB (at least 40), ")

    def test_answers_outside_end_with_1(self, made: Path, mlbuild: Run) -> None:
        done = mlbuild("golden", "check", made / "wrong", "--json")
        answer = json.loads(done.out)

        assert done.code == 1
        assert not answer["within"]
        findings = answer["recordings"][0]["findings"]
        assert {f["unit"]: f["within"] for f in findings} == {"CPU_ONLY": True, "ALL": False}

    def test_a_damaged_recording_ends_with_4(self, made: Path, mlbuild: Run) -> None:
        answers = made / "right" / "Net" / "cpu_only.json"
        before = answers.read_bytes()
        answers.write_bytes(before + b" ")
        try:
            done = mlbuild("golden", "check", made / "right")
        finally:
            answers.write_bytes(before)

        assert done.code == 4
        assert "a file of the recording is not what was recorded" in done.err
        assert "Traceback" not in done.err
