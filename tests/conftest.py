"""What all tests share: no test reads or writes the user's own places by accident."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

# These need a toolchain's packages, which the engine's environment does not have: they are run by
# test_in_toolchain.py in the toolchain's own.
collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["coreml", "stages/*_run.py"]
if importlib.util.find_spec("pydantic"):
    collect_ignore_glob.append("stages_in")


@pytest.fixture(autouse=True)
def _quiet_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")


@dataclass(frozen=True)
class Done:
    """A finished `mlbuild` process."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def build(self) -> dict[str, Any]:
        return self.events[-1]

    @property
    def outcomes(self) -> dict[str, str]:
        return {e["stage"]: e["outcome"] for e in self.events if e["event"] == "stage"}

    @property
    def reasons(self) -> dict[str, list[str]]:
        return {e["stage"]: e["reasons"] for e in self.events if e["event"] == "stage"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty git project in a folder whose name needs quoting, as the current folder."""
    root = tmp_path / 'a project\'s "folder"'
    (root / "pipelines").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "."], cwd=root, check=True)
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(tmp_path / "cache"))
    monkeypatch.setenv("CI", "true")
    return root


@pytest.fixture(scope="session")
def torch_toolchains() -> Path:
    """The user's own folder of toolchains, with torch's in it: made now where it is missing."""
    # Here, because the toolchain's own interpreter reads this file too and has no pydantic.
    from mlbuild.toolchains import Toolchains
    from mlbuild.toolchains.places import cache_dir

    def tell(done: float, total: float | None, text: str) -> None:
        print(f"torch: {text}", file=sys.stderr)

    Toolchains(ROOT, {}).ensure("torch", tell)
    return cache_dir() / "toolchains"


@pytest.fixture
def with_torch(torch_toolchains: Path, project: Path) -> Path:
    """The project, with the user's toolchains and everything else of the cache its own."""
    cache = Path(os.environ["MLBUILD_CACHE_DIR"])
    cache.mkdir()
    (cache / "toolchains").symlink_to(torch_toolchains)
    return project


@pytest.fixture
def start(project: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `mlbuild ARGUMENTS` in the project."""

    def go(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "mlbuild", *arguments],
            cwd=Path.cwd(),
            env={**os.environ, "PYTHONPATH": os.fspath(ROOT), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    return go


@pytest.fixture
def mlbuild(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., Done]:
    """Runs `mlbuild ARGUMENTS` in the project to its end."""

    def go(*arguments: str, env: Mapping[str, str] | None = None, timeout: float = 300) -> Done:
        process = start(*arguments, env=env)
        out, err = process.communicate(timeout=timeout)
        return Done(process.returncode, out, err)

    return go


@pytest.fixture
def pipeline(project: Path) -> Callable[[str], Path]:
    """Writes `pipelines/p.yaml`; `version` and `name` stand already."""

    def write(text: str) -> Path:
        file = project / "pipelines/p.yaml"
        file.write_text(f"version: 1\nname: p\n{text}")
        return file

    return write
