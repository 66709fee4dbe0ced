"""The engine's own log."""

from pathlib import Path

from mlbuild.records import BuildResult, Failure, Outcome, Reason, Stage, StageResult
from mlbuild.report.enginelog import EngineLog
from mlbuild.report.listener import Silent


class Heard(Silent):
    def __init__(self) -> None:
        self.ends: list[str] = []

    def ended(self, result: StageResult) -> None:
        self.ends.append(result.stage)


def build(folder: Path) -> Heard:
    heard = Heard()
    log = EngineLog(heard, folder)
    log.began("p", [Stage("a", "a")], 1)
    log.ended(StageResult("a", Outcome.FAILED, (Reason.FIRST_RUN,), failure=Failure("boom")))
    log.finished(BuildResult("p", False, 1, (), 2.0))
    return heard


def test_outcomes_are_written_down(tmp_path: Path) -> None:
    build(tmp_path)
    text = (tmp_path / "mlbuild.log").read_text()
    assert "a: failed 0.000 s [first run] boom" in text
    assert "p: exit 1 after 2.000 s" in text


def test_everything_is_passed_on(tmp_path: Path) -> None:
    assert build(tmp_path).ends == ["a"]


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert build(tmp_path / "file").ends == ["a"]


def test_a_later_build_is_added(tmp_path: Path) -> None:
    build(tmp_path)
    build(tmp_path)
    assert (tmp_path / "mlbuild.log").read_text().count("boom") == 2


def test_a_log_that_grew_large_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log = tmp_path / "mlbuild.log"
    for letter in "vwxyz":
        log.write_text(letter * (1 << 20))
        build(tmp_path)
    assert "boom" in log.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "mlbuild.log",
        "mlbuild.log.1",
        "mlbuild.log.2",
        "mlbuild.log.3",
    ]
    assert [(tmp_path / f"mlbuild.log.{n}").read_text()[0] for n in (1, 2, 3)] == ["z", "y", "x"]
