"""A project with stage kinds of its own, and a door to resolve pipeline texts in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from mlbuild.errors import PipelineError
from mlbuild.pipeline.load import load
from mlbuild.pipeline.resolve import resolve
from mlbuild.records import ResolvedPipeline, Stage
from mlbuild.registry import Registry, Root

SPECS = {
    "make/net": """
        from mlbuild.api import Field, In, Kind, Metric, Out, Params

        class Settings(Params):
            epochs: int = Field(3, ge=1, le=100, description="Passes over the data.")
            rate: float = 0.1
            layers: tuple[int, ...] = (8, 8)

        KIND = Kind(
            summary="Trains a small net.",
            toolchain="torch",
            params=Settings,
            inputs={"images": In("ImageFolder", "What to learn from.")},
            outputs={"model": Out("TorchModel", "model", "The net.")},
            metrics={"accuracy": Metric("Share of right answers.", share=True),
                     "recall.*": Metric("By class.", share=True)},
            plots=True,
        )
        """,
    "to/coreml": """
        from mlbuild.api import In, Kind, Out, Params

        class Settings(Params):
            name: str | None = None

        KIND = Kind(
            summary="Converts.",
            toolchain="torch",
            params=Settings,
            inputs={"model": In("TorchModel | TorchScript", "What to convert.")},
            outputs={"model": Out("CoreMLModel", "{Name}.mlpackage", "The result.")},
        )
        """,
    "shrink/weights": """
        from typing import Literal
        from mlbuild.api import Field, In, Kind, Metric, Out, Params

        class Rule(Params):
            layers: str
            bits: int = Field(8, ge=1, le=8)

        class Settings(Params):
            bits: int = Field(8, ge=4, le=8, description="Bits of each weight.")
            granularity: Literal["tensor", "channel"] = "tensor"
            symmetric: bool = True
            rules: list[Rule] = []

        KIND = Kind(
            summary="Compresses.",
            toolchain="torch",
            params=Settings,
            inputs={"model": In("CoreMLModel", "What to compress.")},
            outputs={"model": Out("CoreMLModel", "{Name}.mlpackage", "The result.")},
            metrics={"size_mb": Metric("Size.", unit="MB", better="min")},
        )
        """,
    "pick/best": """
        from mlbuild.api import In, Kind, Out, Params

        class Settings(Params):
            by: str

        KIND = Kind(
            summary="Picks one.",
            toolchain="torch",
            params=Settings,
            inputs={"models": In("CoreMLModel", "All.", many=True),
                    "notes": In("Any", "Told.", optional=True)},
            outputs={"model": Out("CoreMLModel", "{Name}.mlpackage", "The best.")},
            example={"by": "size_mb"},
        )
        """,
}


class Project:
    """A folder with kinds; ``p.yaml`` in it is the pipeline file."""

    def __init__(self, root: Path) -> None:
        self.root, self.file = root, root / "p.yaml"
        for name, text in SPECS.items():
            folder = root / "kinds" / name
            folder.mkdir(parents=True)
            (folder / "spec.py").write_text(dedent(text))
            (folder / "run.py").write_text("def run(job):\n    pass\n")
        self.registry = Registry([Root(root / "kinds", "built-in")], trusted=True)

    def put(self, path: str, text: str = "") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def resolve(
        self,
        text: str | bytes,
        sets: Sequence[str] = (),
        profiles: Sequence[str] = (),
        check_files: bool = True,
    ) -> ResolvedPipeline:
        data = dedent(text).encode() if isinstance(text, str) else text
        self.file.write_bytes(data)
        document = load(Path("p.yaml"))
        return resolve(
            document,
            self.registry,
            sets=sets,
            profiles=profiles,
            root=self.root,
            toolchains=("torch",),
            check_files=check_files,
        )

    def stages(self, text: str, **options: object) -> dict[str, Stage]:
        """Stages by name; ``text`` lacks the first two lines of a file."""
        whole = "version: 1\nname: dogs\n" + dedent(text)
        found = self.resolve(whole, **options)  # type: ignore[arg-type]
        return {stage.name: stage for stage in found.stages}

    def told(self, text: str | bytes, **options: object) -> str:
        """The whole message about a wrong file."""
        with pytest.raises(PipelineError) as caught:
            self.resolve(text, **options)  # type: ignore[arg-type]
        assert caught.value.exit_code == 2
        return caught.value.render()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def says(project: Project) -> Callable[..., None]:
    """Asserts the whole message that a pipeline text is answered with."""

    def check(text: str | bytes, message: str, **options: object) -> None:
        assert project.told(text, **options) == dedent(message).strip("\n")

    return check


@pytest.fixture
def count_calls(project: Project) -> Callable[[str], float]:
    """How many Python functions are called while a text is resolved."""

    def count(text: str) -> float:
        calls = 0

        def note(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            project.resolve(text)
        finally:
            sys.setprofile(before)
        return calls

    return count
