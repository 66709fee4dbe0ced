"""Runs a kind through the real worker, in this process; also loaded by tests/stages_in.

The toolchain's Python has no pydantic, so a spec is read with a stand-in for the author's door that
keeps nothing but defaults; the specs themselves are tested in the engine's environment.
"""

from __future__ import annotations

import json
import sys
import types
from dataclasses import dataclass, field
from keyword import iskeyword
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAGES = ROOT / "stages"


@dataclass
class Ran:
    """What a stage left behind."""

    ok: bool
    outputs: dict[str, Path]
    metrics: dict[str, Any]
    plots: dict[str, Any]
    error: str | None
    hint: str | None
    kind: str | None  # "failure" (told) or "exception"
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def log(self) -> str:
        return "\n".join(e["text"] for e in self.events if e["event"] == "log")

    def text(self, output: str) -> str:
        return self.outputs[output].read_text(encoding="utf-8")

    def json(self, output: str) -> Any:
        return json.loads(self.text(output))


def _plain_field(default: Any = ..., *, default_factory: Any = None, **_: Any) -> Any:
    return default_factory() if default_factory else default


class _PlainParams:
    @classmethod
    def defaults(cls) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            for name in getattr(base, "__annotations__", {}):
                if name in vars(base) and vars(base)[name] is not ...:
                    found[name] = _plain_value(vars(base)[name])
        return found


def _plain_value(value: Any) -> Any:
    if isinstance(value, _PlainParams):
        return type(value).defaults()
    if isinstance(value, dict):
        return {key: _plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_value(item) for item in value]
    return value


def _decorator(*_: Any, **__: Any) -> Any:
    return lambda function: function


def _facts(**values: Any) -> types.SimpleNamespace:
    return types.SimpleNamespace(**{"uses_coreml": False, "plots": False, **values})


def _door() -> dict[str, types.ModuleType]:
    api, pydantic = types.ModuleType("mlbuild.api"), types.ModuleType("pydantic")
    api.__dict__.update(
        Params=_PlainParams,
        LayerMatch=_PlainParams,
        Field=_plain_field,
        ByInput=lambda role, toolchains: types.SimpleNamespace(role=role, toolchains=toolchains),
        Through=lambda *_, **__: None,
        Kind=lambda *_, **values: _facts(**values),
        In=lambda type, *_, **__: type,
        Out=lambda type, file, *_, **__: file,
        Metric=lambda *_, **__: None,
        field_validator=_decorator,
        model_validator=_decorator,
    )
    pydantic.__dict__.update(
        field_validator=_decorator,
        model_validator=_decorator,
        Field=_plain_field,
        BaseModel=_PlainParams,
        ConfigDict=dict,
        **dict.fromkeys(("ValidationInfo", "StrictBool", "StrictInt", "StrictStr"), Any),
        **{
            name: (lambda *_: None)
            for name in ("BeforeValidator", "AfterValidator", "Discriminator")
        },
    )
    return {"mlbuild.api": api, "pydantic": pydantic}


def _spec(kind: str, monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    file = STAGES / folder_of(kind) / "spec.py"
    # A package of its own, so that a spec may import what specs share.
    package = types.ModuleType("_mlbuild_specs")
    package.__path__ = [str(STAGES)]
    inside = ".".join(["_mlbuild_specs", *folder_of(kind).split("/")])
    names: dict[str, Any] = {"__name__": inside + ".spec", "__package__": inside}
    names["__file__"] = str(file)
    with monkeypatch.context() as patch:
        for name, module in {**_door(), "_mlbuild_specs": package}.items():
            patch.setitem(sys.modules, name, module)
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
    return names["KIND"]


def _run_file(toolchain: str) -> str:
    return f"run_{toolchain.replace('-', '_')}.py"


def folder_of(kind: str) -> str:
    verb, name = kind.replace("-", "_").split("/")
    return f"{verb}_/{name}" if iskeyword(verb) else f"{verb}/{name}"


@pytest.fixture
def run_kind(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``run_kind("data/split", params={...}, inputs={...}, tmp_path=tmp_path) -> Ran``."""
    pytest.importorskip("torch")
    return runner(monkeypatch, "torch")


@pytest.fixture(scope="module")
def run_once() -> Any:
    """The same for fixtures of a whole module, whose results its tests only read."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        yield runner(patch, "torch")


def runner(monkeypatch: pytest.MonkeyPatch, toolchain: str) -> Any:
    """Runs kinds with the run file that ``toolchain`` has, where they have several."""
    from mlbuild.execute.worker import run_job

    counter = iter(range(1000))

    def run(
        kind: str,
        *,
        tmp_path: Path,
        params: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        axes: dict[str, Any] | None = None,
        trust: tuple[str, ...] = (),
    ) -> Ran:
        spec = _spec(kind, monkeypatch)
        run_file = "run.py" if isinstance(spec.toolchain, str) else _run_file(toolchain)
        scratch = tmp_path / f"stage-{next(counter)}"
        files = {name: file.replace("{Name}", "Model") for name, file in spec.outputs.items()}
        given = {
            role: [str(p) for p in value] if isinstance(value, list) else str(value)
            for role, value in (inputs or {}).items()
        }
        job = {
            "version": 1,
            "stage": kind,
            "root": str(tmp_path),
            "stages_root": str(STAGES),
            "folder": folder_of(kind),
            "run": run_file,
            "coreml": str(ROOT / "mlbuild" / "coreml") if spec.uses_coreml else None,
            "params": {**spec.params.defaults(), **(params or {})},
            "inputs": given,
            "axes": axes or {},
            "outputs": {name: str(scratch / "out" / file) for name, file in files.items()},
            "metrics": str(scratch / "metrics.json"),
            "plots": str(scratch / "plots") if spec.plots else None,
            "scratch": str(scratch / "tmp"),
            "threads": 1,
            "trust": list(trust),
        }
        events: list[dict[str, Any]] = []
        ok = run_job(job, events.append)
        return _ran(ok, job, events)

    return run


def _ran(ok: bool, job: dict[str, Any], events: list[dict[str, Any]]) -> Ran:
    error = next((e for e in events if e["event"] == "error"), {})
    if error.get("traceback"):
        print(error["traceback"])  # pytest shows it with the failed test
    metrics, plots = Path(job["metrics"]), Path(job["plots"] or job["scratch"])
    return Ran(
        ok=ok,
        outputs={name: Path(path) for name, path in job["outputs"].items()},
        metrics=json.loads(metrics.read_text()) if metrics.exists() else {},
        plots={p.stem: json.loads(p.read_text()) for p in sorted(plots.glob("*.json"))},
        error=error.get("message"),
        hint=error.get("hint"),
        kind=error.get("kind"),
        events=events,
    )


@pytest.fixture
def tree() -> Any:
    """``tree(folder) -> {relative path: bytes}``: what two equal results agree in."""

    def read(folder: Path) -> dict[str, bytes]:
        if folder.is_file():
            return {folder.name: folder.read_bytes()}
        return {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        }

    return read
