"""Each route of pipelines/: the framework's own answers against the packaged model's, on Linux.

    python benchmarks/routes.py [--run] [--jobs N] [NAME ...]

Prints a Markdown table of what the validating stages of pipelines/*.yaml recorded; `--run` builds
the pipelines first, one after the other. Goals: models of tables within 1e-5, networks at 60 dB in
float32 and 40 in float16. Models that were compressed on purpose have no goal. Exits with 1 where a
goal is missed, or where something that was asked for has not been built.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mlbuild.build import Pipeline
from mlbuild.errors import MlbuildError
from mlbuild.records import ResolvedPipeline, StageOutput

FRAMEWORKS = {
    "TorchModel": "PyTorch",
    "TorchScript": "PyTorch (TorchScript)",
    "ExportedProgram": "PyTorch (export)",
    "KerasModel": "Keras",
    "SavedModel": "TensorFlow (SavedModel)",
    "FrozenGraph": "TensorFlow (frozen graph)",
    "OnnxModel": "ONNX",
    "JaxModel": "JAX",
    "SklearnModel": "scikit-learn",
    "XGBoostModel": "XGBoost",
    "LightGBMModel": "LightGBM",
    "LibsvmModel": "LIBSVM",
    "TuriModel": "Turi Create",
    "CaffeModel": "Caffe",
    "CoreMLModel": "Core ML",
}
TABLES = ("SklearnModel", "XGBoostModel", "LightGBMModel", "LibsvmModel")
# Toolkits of Turi Create whose models are networks, not of tables.
NETS = (
    "activity-classifier",
    "drawing-classifier",
    "image-classifier",
    "image-similarity",
    "object-detector",
    "one-shot-object-detector",
    "sound-classifier",
    "style-transfer",
)
TABLE_GOAL, FLOAT32_GOAL, FLOAT16_GOAL = 1e-5, 60.0, 40.0
COMPRESSING = ("quantize/palettize", "quantize/linear", "quantize/prune")


@dataclass(frozen=True)
class Row:
    """One comparison; ``met`` is None where there is no goal."""

    route: str
    framework: str
    format: str
    size: float | None
    psnr: float | None
    error: float | None
    agreement: str
    met: bool | None


def main() -> int:
    """Build if asked, then print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="pipelines by name; all, if none is given")
    parser.add_argument("--run", action="store_true", help="build them first")
    parser.add_argument("--jobs", type=int, default=1, help="stages at once while building")
    asked = parser.parse_args()
    files = [f for f in sorted((ROOT / "pipelines").glob("*.yaml")) if ".lock." not in f.name]
    unknown = sorted(set(asked.names) - {f.stem for f in files})
    if unknown:
        parser.error(f"no such pipeline: {unknown[0]}")
    files = [f for f in files if not asked.names or f.stem in asked.names]
    missing, rows = [], []
    for file in files:
        if asked.run:
            _build(file, asked.jobs)
        try:
            found = list(rows_of(Pipeline.load(file).resolved))
        except MlbuildError as error:  # a data set that the checkout does not bring
            print(f"{file.stem}: {error}", file=sys.stderr)
            found = []
        rows += found
        if not found:
            missing.append(file.stem)
    print(table(rows))
    if missing:
        print(f"\nNot built, or nothing compared: {', '.join(missing)}.", file=sys.stderr)
    missed = any(row.met is False for row in rows)
    return int(missed or bool(missing and (asked.names or asked.run)))


def _build(file: Path, jobs: int) -> None:
    print(f"building {file.stem}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "mlbuild", "run", str(file), "-q", "-j", str(jobs)]
    subprocess.run(command, cwd=ROOT, check=False)  # what failed has no figures, or older ones


def rows_of(pipeline: ResolvedPipeline) -> Iterator[Row]:
    """What the pipeline's validating stages recorded."""
    stages = {stage.name: stage for stage in pipeline.stages}
    for stage in pipeline.stages:
        if stage.kind not in ("validate/parity", "validate/formats"):
            continue
        file = pipeline.root / next(o.path for o in stage.outputs if o.name == "metrics")
        if not file.is_file():
            continue
        figures = json.loads(file.read_text(encoding="utf-8"))
        if stage.kind == "validate/parity":
            reference = _source(stages, stage, "reference")
            candidate = _source(stages, stage, "candidate")
            yield _row(pipeline, stages, stage.name, reference, candidate, figures)
            continue
        models = [_through(stages, s) for s in _sources(stage, "models")]
        names = stage.params.get("names") or []
        for name, model in list(zip(names, models, strict=False))[1:]:
            own = {key.removesuffix(f".{name}"): v for key, v in figures.items()
                   if key.endswith(f".{name}")}  # fmt: skip
            yield _row(pipeline, stages, f"{stage.name}.{name}", models[0], model, own)


def _sources(stage: Any, role: str) -> tuple[Any, ...]:
    return next((i.sources for i in stage.inputs if i.role == role), ())


def _source(stages: Mapping[str, Any], stage: Any, role: str) -> Any:
    sources = _sources(stage, role)
    return _through(stages, sources[0]) if sources else None


def _through(stages: Mapping[str, Any], source: Any) -> Any:
    """What a stage that only asks a model was asked about."""
    while isinstance(source, StageOutput) and stages[source.stage].kind == "predict/outputs":
        source = _sources(stages[source.stage], "model")[0]
    return source


def _type(stages: Mapping[str, Any], source: Any) -> str:
    if not isinstance(source, StageOutput):
        return "file"
    outputs = stages[source.stage].outputs
    return str(next(o.type for o in outputs if o.name == source.output))


def _row(
    pipeline: ResolvedPipeline,
    stages: Mapping[str, Any],
    name: str,
    reference: Any,
    candidate: Any,
    figures: Mapping[str, Any],
) -> Row:
    given = _type(stages, reference)
    chain = list(_chain(stages, candidate))
    compressed = any(_compresses(s) for s in chain)
    convert = next((s for s in chain if s.kind.startswith(("convert/", "import/"))), None)
    tables = given in TABLES or (given == "TuriModel" and _toolkit(stages, reference) not in NETS)
    precision = _precision(convert) if convert and not tables else None
    psnr, error = figures.get("psnr_db"), figures.get("max_abs")
    return Row(
        route=f"{pipeline.name}: {name}",
        framework=_framework(stages, reference, given),
        format=_format(_type(stages, candidate), convert, precision, compressed),
        size=figures.get("size_mb"),
        psnr=psnr,
        error=error,
        agreement=_agreement(figures),
        met=None if compressed else _met(tables, precision, psnr, error),
    )


def _makers(stages: Mapping[str, Any], source: Any) -> list[Any]:
    return [stages[source.stage]] if isinstance(source, StageOutput) else []


def _chain(stages: Mapping[str, Any], source: Any) -> Iterator[Any]:
    """The stages that a model went through, the last first."""
    while isinstance(source, StageOutput):
        stage = stages[source.stage]
        yield stage
        found = _sources(stage, "model")
        source = found[0] if found else None


def _compresses(stage: Any) -> bool:
    """Whether weights lose bits there on purpose; some converters do that themselves."""
    given = stage.params.get("quantize") or stage.params.get("quantization")
    return stage.kind in COMPRESSING or (given is not None and given not in ("none", "float16"))


def _precision(convert: Any) -> Any:
    if convert.params.get("quantization") == "float16":
        return "float16"
    return convert.params.get("precision")


def _toolkit(stages: Mapping[str, Any], reference: Any) -> str | None:
    """Which of Turi Create's toolkits, or which estimator of scikit-learn."""
    for stage in _makers(stages, reference):
        toolkit = stage.params.get("toolkit")
        found = toolkit.get("name") if isinstance(toolkit, dict) else stage.params.get("estimator")
        return found if isinstance(found, str) else None
    return None


def _framework(stages: Mapping[str, Any], reference: Any, given: str) -> str:
    name, what = FRAMEWORKS.get(given, given), _toolkit(stages, reference)
    return f"{name}, {what}" if what else name


def _format(kind: str, convert: Any, precision: Any, compressed: bool) -> str:
    parts = [FRAMEWORKS.get(kind, kind.removesuffix("Model"))]
    target = convert.params.get("target") if convert else None
    if target:
        parts.append(str(target))
    if compressed:
        parts.append("compressed")
    elif precision:
        parts.append(str(precision))
    return ", ".join(parts)


def _agreement(figures: Mapping[str, Any]) -> str:
    for name in ("agreement_top1", "agreement", "agreement.label"):
        found = figures.get(name)
        if isinstance(found, dict):
            return f"{found['value']:.3f} of {found['n']}"
    return ""


def _met(tables: bool, precision: Any, psnr: float | None, error: float | None) -> bool | None:
    if tables or psnr is None:
        return None if error is None else error <= TABLE_GOAL
    return psnr >= (FLOAT16_GOAL if precision == "float16" else FLOAT32_GOAL)


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = [
        "| route | framework | format | MB | PSNR, dB | largest error | same answer | goal |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    words = {True: "met", False: "**missed**", None: ""}
    for row in rows:
        cells = (
            row.route,
            row.framework,
            row.format,
            "" if row.size is None else f"{row.size:.2f}",
            "" if row.psnr is None else "equal" if row.psnr >= 200 else f"{row.psnr:.0f}",
            "" if row.error is None else f"{row.error:.1g}",
            row.agreement,
            words[row.met],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
