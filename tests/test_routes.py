"""benchmarks/routes.py: what it reads out of recorded metrics, and which goal holds for what."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mlbuild.build import Pipeline
from tests.conftest import ROOT

TABLES = """
version: 1
name: tables
stages:
  train:
    uses: train/sklearn
    inputs: {table: ./rows.csv}
    with: {target: y, estimator: Ridge}
  convert: {uses: convert/coreml, inputs: {model: train.model}}
  validate:
    uses: validate/parity
    inputs: {reference: train.model, candidate: convert.model, samples: ./rows.csv}
"""
NETWORKS = """
version: 1
name: nets
stages:
  model:
    uses: adapt/imagenet-classifier
  convert:
    uses: convert/coreml
    inputs: {model: model.model}
    with: {precision: PRECISION}
  small: {uses: quantize/palettize, inputs: {model: convert.model}}
  same:
    uses: validate/parity
    inputs: {reference: model.model, candidate: convert.model, samples: ./photos}
  smaller:
    uses: validate/parity
    inputs: {reference: model.model, candidate: small.model, samples: ./photos}
"""


@pytest.fixture(scope="module")
def routes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("routes", ROOT / "benchmarks/routes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["routes"] = module
    spec.loader.exec_module(module)
    return module


def rows(routes: ModuleType, project: Path, text: str, figures: dict[str, dict]) -> list:
    (project / "rows.csv").write_text("x,y\n1,2\n")
    (project / "photos").mkdir(exist_ok=True)
    file = project / "pipelines" / "one.yaml"
    file.write_text(text)
    resolved = Pipeline.load(file).resolved
    for stage, values in figures.items():
        place = project / f"build/{resolved.name}/{stage}/metrics.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(values))
    return list(routes.rows_of(resolved))


@pytest.mark.parametrize(("error", "met"), [(9e-6, True), (2e-5, False)])
def test_models_of_tables_are_held_to_a_hundred_thousandth(
    routes: ModuleType, project: Path, error: float, met: bool
) -> None:
    (row,) = rows(routes, project, TABLES, {"validate": {"max_abs": error, "psnr_db": 150.0}})
    assert (row.framework, row.format, row.met) == ("scikit-learn, Ridge", "Core ML, iOS17", met)


@pytest.mark.parametrize(
    ("precision", "psnr", "met"),
    [("float16", 41.0, True), ("float16", 39.0, False), ("float32", 59.0, False)],
)
def test_networks_are_held_to_decibels_and_compressed_ones_to_nothing(
    routes: ModuleType, project: Path, precision: str, psnr: float, met: bool
) -> None:
    share = {"value": 0.95, "n": 20}
    found = rows(
        routes, project, NETWORKS.replace("PRECISION", precision),
        {"same": {"psnr_db": psnr, "agreement_top1": share}, "smaller": {"psnr_db": 20.0}},
    )  # fmt: skip
    assert [(row.met, row.agreement) for row in found] == [(met, "0.950 of 20"), (None, "")]
    assert found[1].format == "Core ML, iOS17, compressed"
    word = "met" if met else "**missed**"
    assert routes.table(found).splitlines()[2].endswith(f"| 0.950 of 20 | {word} |")


def test_what_was_never_built_has_no_row(routes: ModuleType, project: Path) -> None:
    assert rows(routes, project, TABLES, {}) == []
