import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlbuild.fingerprint import digest
from mlbuild.records import (
    Input,
    Output,
    PathRef,
    ResolvedPipeline,
    Stage,
    StageOutput,
    StageRecord,
)
from mlbuild.store.project import Store


@dataclass
class Project:
    """A project of two stages, and a builder that does what the engine does with the store."""

    root: Path
    git: bool = True
    stages: list[Stage] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.root / "pipelines" / "p.yaml"

    def store(self, ledger: bool = True) -> Store:
        return Store.open(self.root, "p", self.file, ledger)

    @property
    def pipeline(self) -> ResolvedPipeline:
        return ResolvedPipeline("p", self.file, self.root, {}, tuple(self.stages), {}, {})

    def run(
        self,
        store: Store,
        stage: Stage,
        results: Mapping[str, str],
        known: Mapping[str, StageRecord],
    ) -> StageRecord:
        """One stage: scratch, results (name -> text; a text ending in / makes a folder), record."""
        scratch = store.prepare(stage)
        for name, path in scratch.outputs.items():
            fill(path, results[name])
        published = store.publish(stage, scratch)
        record = self.result(store, stage, published.outputs, known)
        store.record(stage, record)
        return record

    def result(self, store, stage, outputs, known) -> StageRecord:
        inputs = {}
        for item in stage.inputs:
            source = item.sources[0]
            if isinstance(source, StageOutput):
                inputs[item.role] = known[source.stage].outputs[source.output].md5
            else:
                inputs[item.role] = store.digests.of(self.root / source.path).md5
        parts = {"kind": None, "params": dict(stage.params), "inputs": inputs}
        return StageRecord(digest("stage", parts), parts, outputs)

    def build(self, store: Store | None = None, text: str = "") -> dict[str, StageRecord]:
        """Runs every stage and commits."""
        store = store or self.store()
        records: dict[str, StageRecord] = {}
        with store.lock():
            store.initialize()
            store.recover()
            for stage in self.stages:
                results = {o.name: _content(stage, o, text) for o in stage.outputs}
                records[stage.name] = self.run(store, stage, results, records)
            store.commit(self.pipeline, records, {})
        store.close()
        return records

    def dvc(self, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *args], cwd=self.root, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def text(self, path: str) -> str:
        return (self.root / path).read_text()


def _content(stage: Stage, out: Output, text: str) -> str:
    if out.role == "metrics":
        return '{"accuracy": 0.5}\n'
    return f"{stage.name} {text}/" if out.role == "plots" else f"{stage.name} {text}"


def fill(path: Path, text: str) -> None:
    """A file with that text; a text that ends in a slash makes a folder of two files."""
    if text.endswith("/"):
        (path / "sub").mkdir(parents=True)
        (path / "one.json").write_text('[{"x": 1}]')
        (path / "sub" / "two.json").write_text(text)
    else:
        path.write_text(text)


def example_stages() -> list[Stage]:
    source = Input("i", (PathRef("src/a.txt"),))
    first = Stage(
        "a",
        "a",
        command="true",
        inputs=(source,),
        outputs=(
            Output("o", "out/a"),
            Output("metrics", "build/p/a/metrics.json", cache=False, role="metrics"),
            Output("plots", "build/p/a/plots", role="plots"),
        ),
    )
    second = Stage(
        "b[bits=4]",
        "b",
        axes=(("bits", 4),),
        command="true",
        params={"bits": 4, "rate": 1e-5, "mode": "yes", "none": None, "text": "it's: a #\ntest"},
        inputs=(Input("i", (StageOutput("a", "o"),)), Input("d", (PathRef("src"),))),
        outputs=(Output("o", "out/b b"),),
    )
    return [first, second]


@pytest.fixture(autouse=True)
def quiet_dvc(monkeypatch, tmp_path_factory):
    """DVC reports nothing home and keeps its global state inside the test's folder."""
    place = tmp_path_factory.getbasetemp() / "dvc-site"
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(place))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(place / "config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Project]:
    def make(name: str = "project", git: bool = True) -> Project:
        root = tmp_path / name
        (root / "pipelines").mkdir(parents=True)
        (root / "src").mkdir()
        (root / "src" / "a.txt").write_text("a\n")
        (root / "pipelines" / "p.yaml").write_text("version: 1\n")
        if git:
            subprocess.run(["git", "init", "-q", str(root)], check=True)
        return Project(root, git, example_stages())

    return make


@pytest.fixture
def project(make_project) -> Project:
    return make_project()


class Killed(BaseException):
    """Stands for kill -9: nothing may handle it."""


class Faults:
    """Makes the n-th checkpoint the last thing that a process does."""

    Killed = Killed

    @staticmethod
    def kill_at(monkeypatch: pytest.MonkeyPatch, modules, count: int) -> list[str]:
        passed: list[str] = []

        def checkpoint(name: str) -> None:
            passed.append(name)
            if len(passed) == count:
                raise Killed(name)

        for module in modules:
            monkeypatch.setattr(module, "checkpoint", checkpoint)
        return passed


@pytest.fixture
def faults() -> Faults:
    return Faults()
