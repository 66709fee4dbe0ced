"""Whatever `mlbuild init` can be told, the pipeline that it writes is one that resolves."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbuild.build import Pipeline
from mlbuild.cli.main import main
from mlbuild.starting.tasks import TARGETS, TASKS, task_of
from tests.starting.data import FORMS

MODELS = {
    "net.onnx": ("OnnxModel", ()),
    "net.pt": ("TorchScript", ("--input", "image=1,3,32,32")),
    "net.pt2": ("ExportedProgram", ("--input", "image=1,3,32,32")),
    "net.h5": ("KerasModel", ()),
    "net.keras": ("KerasModel", ()),
    "net.joblib": ("SklearnModel", ()),
    "net.ubj": ("XGBoostModel", ()),
    "net.mlmodel": ("CoreMLFile", ()),
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _made(*arguments: str) -> Pipeline:
    """What a call makes, resolved, with every parameter held against its kind."""
    assert main(["init", "app", "--name", "it", "--yes", "--no-git", *arguments]) == 0
    made = Pipeline.load(Path("app/pipelines/it.yaml"))
    assert made.resolved.release is not None
    assert "package" in [stage.base for stage in made.resolved.stages]
    return made


def _with_selftest(file: Path) -> None:
    """The stage that stands in a comment is one that resolves too."""
    text = file.read_text()
    if "  # selftest: " in text:
        beside = file.with_name("beside.yaml")
        beside.write_text(text.replace("  # selftest: ", "  selftest: "))
        assert "selftest" in [s.base for s in Pipeline.load(beside).resolved.stages]


@pytest.mark.parametrize(
    ("task", "framework"),
    [(n, f) for n, t in TASKS.items() for f in t.frameworks if n != "convert-only"],
)
def test_a_task_without_data_begins_with_data_of_a_package(task: str, framework: str) -> None:
    made = _made("--task", task, "--framework", framework)
    assert all(dataset.scheme != "path" for dataset in made.resolved.datasets.values())
    _with_selftest(Path("app/pipelines/it.yaml"))


@pytest.mark.parametrize("target", [TARGETS[0], TARGETS[-1]])
@pytest.mark.parametrize("task", [n for n in TASKS if n != "convert-only"])
def test_every_target_can_be_asked_for(task: str, target: str) -> None:
    made = _made("--task", task, "--target", target)
    compressed = any(s.base == "compress" for s in made.resolved.stages)
    assert not (compressed and target in ("iOS15", "macOS12"))


@pytest.mark.parametrize("form", FORMS)
def test_data_tell_the_task(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, name, task = FORMS[form]
    data = make(Path("app/data") / name)
    made = _made("--data", str(data))
    _with_selftest(Path("app/pipelines/it.yaml"))
    kinds = {s.kind for s in made.resolved.stages}
    assert kinds & {k for k in kinds if k and k.startswith("train/")}
    assert TASKS[task].about.split()[0] in Path("app/README.md").read_text()
    assert f"{data}: " in capsys.readouterr().out
    assert main(["run", "app/pipelines/it.yaml", "--dry-run"]) == 0


@pytest.mark.parametrize(
    ("form", "task", "framework"),
    [
        (form, task, framework)
        for form, (_, _, meant) in FORMS.items()
        for task, row in TASKS.items()
        for framework in row.frameworks
        if task not in ("convert-only", meant)
        and any(task_of(f) == meant and f in row.forms for f in TASKS[meant].forms)
        and (form, task) in {
            ("classes", "drawing"), ("classes", "image-similarity"), ("classes", "style-transfer"),
            ("pixel-rows", "drawing"), ("pixel-arrays", "image-similarity"),
            ("text-table", "tabular"), ("session-table", "tabular"),
        }
    ],
)  # fmt: skip
def test_data_serve_another_task_that_is_named(form: str, task: str, framework: str) -> None:
    make, name, _ = FORMS[form]
    _made("--data", str(make(Path("app/data") / name)), "--task", task, "--framework", framework)


@pytest.mark.parametrize("framework", TASKS["tabular"].frameworks)
@pytest.mark.parametrize("form", ["table", "quantities", "headless"])
def test_every_library_of_tables_takes_every_table(form: str, framework: str) -> None:
    make, name, _ = FORMS[form]
    _made("--data", str(make(Path("app/data") / name)), "--framework", framework)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("target", "size"), [("iOS15", 300_000), ("iOS17", 300_000), ("iOS17", 9)])
def test_a_model_becomes_a_pipeline_that_converts_it(name: str, target: str, size: int) -> None:
    path = Path("app/models") / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * size)
    kind, more = MODELS[name]
    made = _made("--model", str(path), "--target", target, *more)
    compressed = "compress" in [stage.base for stage in made.resolved.stages]
    tables = name.endswith((".joblib", ".ubj"))
    assert compressed == (target == "iOS17" and size > 200_000 and not tables)
    assert made.resolved.datasets["model"].location == f"models/{name}"
    _with_selftest(Path("app/pipelines/it.yaml"))
    assert kind in Path("app/pipelines/it.yaml").read_text() or "import/coreml" in str(
        made.resolved.stages
    )


def test_a_package_and_a_saved_model_are_folders() -> None:
    for name in ("Net.mlpackage", "saved"):
        (Path("app/models") / name).mkdir(parents=True)
    Path("app/models/saved/saved_model.pb").write_bytes(b"")
    _made("--model", "app/models/Net.mlpackage")
    assert main(["init", "app", "--name", "other", "--yes", "--model", "app/models/saved"]) == 0
    assert "type: SavedModel" in Path("app/pipelines/other.yaml").read_text()


@pytest.mark.parametrize("form", ["table", "sessions"])
def test_a_model_with_data_is_compared_on_them(form: str) -> None:
    Path("net.onnx").write_bytes(b"x")
    make, name, _ = FORMS[form]
    data = make(Path("app/data") / name)
    made = _made("--model", "net.onnx", "--data", str(data))
    assert made.resolved.datasets["samples"].location == f"data/{name}"
    assert not Path("app/pipelines/scripts").exists()
