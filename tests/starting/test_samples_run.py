"""Every task's own beginning is built from a package's data, gates and all: twenty minutes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.starting.tasks import TASKS
from tests.conftest import Done

CASES = [(n, f) for n, t in TASKS.items() for f in t.frameworks if n != "convert-only"]


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.parametrize(("task", "framework"), CASES)
def test_a_task_without_data_is_built_at_once(
    task: str, framework: str, with_torch: Path, mlbuild: Callable[..., Done]
) -> None:
    assert mlbuild("init", "--name", "it", "--task", task, "--framework", framework).code == 0
    done = mlbuild("run", "pipelines/it.yaml", "--json", timeout=2400)
    assert done.code == 0, done.out[-4000:] + done.err[-4000:]
    assert set(done.outcomes.values()) <= {"ran", "excluded"}
