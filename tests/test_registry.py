from __future__ import annotations

import importlib
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from mlbuild.api import TYPES
from mlbuild.errors import PipelineError
from mlbuild.registry import Registry, Root, code_files
from mlbuild.report.kinds import (
    describe_kind,
    kind_json,
    kinds_json,
    kinds_markdown,
    list_kinds,
    parameters,
)

SPEC = """
from typing import Literal
from mlbuild.api import Field, In, Kind, Metric, Out, Params

class Settings(Params):
    bits: int = Field(8, ge=4, le=8, description="Bits of each weight.")
    mode: Literal["fast", "good"] = "good"
    name: str
    sizes: list[int] = []

KIND = Kind(
    summary="Compresses.",
    toolchain="torch",
    params=Settings,
    inputs={"model": In("CoreMLModel", "What to compress."),
            "rest": In("File | Folder", "More.", optional=True, many=True)},
    outputs={"model": Out("CoreMLModel", "{Name}.mlpackage", "The result.")},
    metrics={"size_mb": Metric("Size.", unit="MB", better="min"),
             "agreement": Metric("Same answers.", share=True)},
    details="First.\\n\\nSecond.",
    example={"name": "Dogs"},
)
"""


def kind(root: Path, name: str, spec: str = SPEC, **files: str) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.py").write_text(dedent(spec))
    (folder / "run.py").write_text("def run(job):\n    pass\n")
    return folder


def told(call, *arguments) -> str:
    with pytest.raises(PipelineError) as caught:
        call(*arguments)
    return caught.value.render()


def test_folders_are_kinds_and_no_spec_is_imported_to_list_them(tmp_path: Path) -> None:
    kind(tmp_path, "quantize/by_hand", "raise SystemError")
    kind(tmp_path, "import_/model", "raise SystemError")
    kind(tmp_path, "_shared/topic", "raise SystemError")
    (tmp_path / "quantize" / "no_spec").mkdir()
    found = Registry([Root(tmp_path, "built-in")], trusted=True)
    assert found.names() == ["import/model", "quantize/by-hand"]


def test_built_in_kinds_can_all_be_read() -> None:
    found = Registry.load(None, trusted=False)
    for name in found.names():
        assert found.get(name).origin == "built-in"


def test_kinds_of_the_project_are_found_once_it_is_trusted(tmp_path: Path) -> None:
    folder = kind(tmp_path / "stages", "squeeze/weights")
    assert Registry.load(tmp_path, trusted=True).get("squeeze/weights").origin == "project"
    untrusted = Registry.load(tmp_path, trusted=False)
    assert "squeeze/weights" in untrusted.names()
    assert told(untrusted.get, "squeeze/weights") == (
        "the stage kind 'squeeze/weights' is code of this project, which is not trusted yet\n"
        f"  got: {folder}\n"
        "  hint: read it, then type: mlbuild trust"
    )


def test_an_entry_point_brings_kinds_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "their_kinds"
    kind(package, "polish/weights")
    (package / "__init__.py").write_text("raise SystemError")
    info = tmp_path / "their_kinds-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-kinds\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[mlbuild.stages]\ntheirs = their_kinds\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    found = Registry.load(None, trusted=False)
    assert found.get("polish/weights").origin == "entry point theirs"
    assert "their_kinds" not in sys.modules


def test_one_name_twice_is_an_error_that_names_both(tmp_path: Path) -> None:
    one, two = kind(tmp_path / "one", "a/b"), kind(tmp_path / "two", "a/b")
    roots = [Root(tmp_path / "one", "built-in"), Root(tmp_path / "two", "project")]
    assert told(Registry, roots, True) == (
        "there are two stage kinds 'a/b'\n"
        f"  got: {one} (built-in) and {two} (project)\n"
        "  hint: rename one of them"
    )


def test_an_unknown_kind_names_the_nearest(tmp_path: Path) -> None:
    kind(tmp_path, "squeeze/weights")
    found = Registry([Root(tmp_path, "built-in")], trusted=True)
    assert told(found.get, "squeeze/weight") == (
        "there is no stage kind 'squeeze/weight'\n"
        "  allowed: squeeze/weights\n"
        "  hint: did you mean 'squeeze/weights'?"
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "KIND = Kind(\n",
            "spec.py:1:1: the spec cannot be read: SyntaxError: '(' was never closed\n"
            "   1 | KIND = Kind(\n"
            "     | ^",
        ),
        (
            "x = 1\nif x:\n    1 / 0\n",
            "spec.py:3:5: the spec cannot be read: ZeroDivisionError: division by zero\n"
            "   3 |     1 / 0\n"
            "     |     ^",
        ),
        ("x = 1\n", "spec.py:1:1: a spec defines KIND = Kind(...)"),
        (
            SPEC.replace('Out("CoreMLModel"', 'Out("CoreMlModel"'),
            "spec.py:1:1: output 'model' has the unknown type 'CoreMlModel'\n"
            f"  allowed: {', '.join(TYPES)}, Any\n"
            "  hint: did you mean 'CoreMLModel'?",
        ),
        (
            SPEC.replace('{"model": Out(', '{"plots": Out('),
            "spec.py:1:1: output 'plots': every kind has one of that name already",
        ),
        (
            SPEC.replace("{Name}.mlpackage", "a/b"),
            "spec.py:1:1: output 'model': 'a/b' is no file name",
        ),
    ],
)
def test_a_wrong_spec_is_told_with_its_place(tmp_path: Path, spec: str, message: str) -> None:
    folder = kind(tmp_path, "a/b", spec)
    found = Registry([Root(tmp_path, "built-in")], trusted=True)
    assert told(found.get, "a/b").replace(f"{folder}/", "") == message
    assert told(found.get, "a/b").replace(f"{folder}/", "") == message  # and again the same


def test_a_spec_may_import_what_stands_beside_it(tmp_path: Path) -> None:
    (tmp_path / "_shared" / "names").mkdir(parents=True)
    (tmp_path / "_shared" / "names" / "words.py").write_text('SUMMARY = "Shared."\n')
    spec = "from ..._shared.names.words import SUMMARY\n" + SPEC.replace('"Compresses."', "SUMMARY")
    kind(tmp_path, "a/b", spec)
    assert Registry([Root(tmp_path, "x")], True).get("a/b").kind.summary == "Shared."


def test_the_code_of_a_kind_is_its_folder_and_what_it_imports(tmp_path: Path) -> None:
    folder = kind(tmp_path, "a/b")
    other = kind(tmp_path, "a/c")
    for topic in ("used", "deeper", "unused"):
        (tmp_path / "_shared" / topic).mkdir(parents=True)
    (tmp_path / "_shared" / "used" / "one.py").write_text("from ..deeper.two import y\n")
    (tmp_path / "_shared" / "used" / "table.tsv").write_text("a\n")
    (tmp_path / "_shared" / "deeper" / "two.py").write_text("y = 1\n")
    (tmp_path / "_shared" / "unused" / "three.py").write_text("z = 1\n")
    (tmp_path / "_shared" / "single.py").write_text("s = 1\n")
    (folder / "run.py").write_text(
        "from . import inner\nfrom ..c import run\n"
        "def run(job):\n    from ..._shared.used.one import y\n    from ..._shared import single\n"
    )
    (folder / "inner").mkdir()
    (folder / "inner" / "deep.py").write_text("")
    (folder / "__pycache__").mkdir()
    for leftover in ("__pycache__/run.pyc", "run.py~", ".run.py.swp", "#run.py#"):
        (folder / leftover).write_text("")
    loaded = Registry([Root(tmp_path, "x")], True).get("a/b")
    assert [str(f.relative_to(tmp_path)) for f in code_files(loaded)] == [
        "_shared/deeper/two.py",
        "_shared/single.py",
        "_shared/used/one.py",
        "_shared/used/table.tsv",
        "a/b/inner/deep.py",
        "a/b/run.py",
        "a/b/spec.py",
        "a/c/run.py",
        "a/c/spec.py",
    ]
    assert other.is_dir()


def test_the_reference_runtime_belongs_to_kinds_that_ask_for_it(tmp_path: Path) -> None:
    kind(tmp_path, "a/b", SPEC.replace("details=", "uses_coreml=True, details="))
    loaded = Registry([Root(tmp_path, "x")], True).get("a/b")
    outside = [f for f in code_files(loaded) if not f.is_relative_to(tmp_path)]
    assert outside
    assert all("coreml" in f.parts and f.suffix == ".py" for f in outside)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    kind(tmp_path, "squeeze/weights")
    return Registry([Root(tmp_path, "built-in")], trusted=True)


def test_a_kind_is_described_in_full(registry: Registry) -> None:
    assert describe_kind(registry.get("squeeze/weights")) == dedent(
        """\
        squeeze/weights

        Compresses.

        First.

        Second.

        toolchain: torch

        inputs
          model  CoreMLModel                     What to compress.
          rest   File | Folder (many, optional)  More.

        outputs
          model  CoreMLModel, {Name}.mlpackage  The result.

        metrics
          size_mb    MB, less is better     Size.
          agreement  share, more is better  Same answers.

        parameters
          bits   integer, at least 4, at most 8, default 8  Bits of each weight.
          mode   one of fast, good, default "good"
          name   text, required
          sizes  list of integer, default []

        to be pasted below 'stages:'
          squeeze:
            uses: squeeze/weights
            inputs:
              model: ./path/to/model
            with:
              name: Dogs"""
    )


def test_kinds_are_listed_and_a_broken_one_hides_no_other(tmp_path: Path) -> None:
    kind(tmp_path, "a/good")
    kind(tmp_path, "b/broken", "1 / 0")
    found = Registry([Root(tmp_path, "entry point x")], trusted=True)
    assert list_kinds(found) == dedent(
        """\
        a/good    Compresses.  [entry point x]

        b/broken  (the spec cannot be read: ZeroDivisionError: division by zero)  [entry point x]

        mlbuild stages KIND tells all about one of them."""
    )


def test_a_kind_as_json_holds_what_is_described(registry: Registry) -> None:
    facts = kind_json(registry.get("squeeze/weights"))
    assert facts["parameters"]["bits"] == {
        "type": "integer",
        "required": False,
        "limits": ["at least 4", "at most 8"],
        "help": "Bits of each weight.",
        "default": 8,
    }
    assert facts["inputs"]["rest"]["many"] is True
    assert kinds_json(registry) == [facts]


def test_the_reference_page_has_every_kind(registry: Registry) -> None:
    page = kinds_markdown(registry)
    assert page.startswith("# Stage kinds\n")
    assert "\n## squeeze/weights\n" in page
    assert "| `bits` | integer, at least 4, at most 8, default 8 | Bits of each weight. |" in page
    assert "```yaml\nsqueeze:\n  uses: squeeze/weights\n" in page


@pytest.mark.parametrize("name", Registry.load(None, trusted=False).names())
def test_the_snippet_of_every_built_in_kind_resolves(name: str, tmp_path: Path) -> None:
    from mlbuild.pipeline.load import load
    from mlbuild.pipeline.resolve import resolve

    kinds = Registry.load(None, trusted=False)
    loaded = kinds.get(name)
    snippet = "\n".join("  " + line for line in kind_json(loaded)["snippet"].splitlines())
    file = tmp_path / "p.yaml"
    file.write_text(f"version: 1\nstages:\n{snippet}\n")
    (stage,) = resolve(load(file), kinds, root=tmp_path, check_files=False).stages
    assert stage.kind == name
    assert all(fact["help"] for fact in parameters(loaded).values())
