"""docs/starting.md says what `mlbuild init` does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlbuild.cli.main import main
from mlbuild.starting.tasks import TASKS
from tests.conftest import ROOT
from tests.starting.data import FORMS, picture

PAGE = (ROOT / "docs/starting.md").read_text(encoding="utf-8")


def test_the_console_shows_what_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(175):
        picture(Path(f"photos/breed {number % 25}/{number}.png"))
    block = PAGE.split("```console\n")[1].split("```")[0]
    line, told = block.split("\n", 1)
    assert main(line.removeprefix("$ mlbuild ").split()) == 0
    assert capsys.readouterr().out == told


def test_every_task_is_there_with_its_frameworks() -> None:
    table = PAGE.split("## Tasks, frameworks, targets")[1].split("## Around")[0]
    rows = {}
    for line in re.findall(r"^\| (`.*)\|$", table, re.M):
        names, frameworks = line.split("|")
        for name in re.findall(r"`([\w-]+)`", names):
            rows[name] = tuple(frameworks.strip().split(", "))
    assert rows.pop("convert-only") == ("the model's own",)
    assert rows == {n: t.frameworks for n, t in TASKS.items() if n != "convert-only"}


def test_every_task_that_data_can_mean_is_in_the_table_of_data() -> None:
    table = PAGE.split("## From data")[1].split("Of a table,")[0]
    meant = {line.split("|")[2].strip(" `") for line in table.splitlines() if line[:3] == "| a"}
    tasks = {task for _, _, task in FORMS.values()}
    assert {f"| `{task}` |" in table for task in tasks} == {True}
    assert meant <= set(TASKS)
