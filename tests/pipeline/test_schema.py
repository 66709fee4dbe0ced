from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlbuild.pipeline import keys
from mlbuild.pipeline.compose import compose
from mlbuild.pipeline.nodes import Source, plain
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.schema import SHIPPED, json_schema, schema_text, write_schema
from mlbuild.registry import Registry

PIPELINES = sorted((Path(__file__).parents[2] / "pipelines").glob("*.yaml"))


def value(text: str) -> object:
    node = compose(text, Source("p.yaml", tuple(text.splitlines())), Problems())
    assert node is not None
    return plain(node)


def test_the_shipped_schema_is_that_of_the_built_in_kinds() -> None:
    fresh = schema_text(Registry.load(None, trusted=True))
    assert SHIPPED.read_text(encoding="utf-8") == fresh, (
        "renew it: python -c 'from mlbuild.registry import Registry; "
        "from mlbuild.pipeline.schema import write_schema; "
        "write_schema(Registry.load(None, trusted=True))'"
    )


def test_the_schema_is_written_where_it_ships(project, tmp_path: Path) -> None:
    write_schema(project.registry, tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text()) == json_schema(project.registry)


def test_the_schema_has_every_kind_with_its_parameters(project) -> None:
    schema = json_schema(project.registry)
    definitions = schema["$defs"]
    assert definitions["kind"]["anyOf"][0]["enum"] == project.registry.names()
    bits = definitions["with-shrink-weights"]["properties"]["bits"]
    assert bits["description"] == "Bits of each weight."
    assert bits["anyOf"][0] == {"type": "integer", "minimum": 4, "maximum": 8}
    assert definitions["with-shrink-weights-Rule"]["required"] == ["layers"]


def test_every_reference_inside_the_schema_leads_somewhere(project) -> None:
    schema = json_schema(project.registry)
    text = json.dumps(schema)
    for part in text.split('"$ref": "#/$defs/')[1:]:
        assert part.split('"')[0] in schema["$defs"]


def test_every_key_has_a_description() -> None:
    for table in (keys.TOP, keys.STAGE, keys.DATASET, keys.TOOLCHAIN, keys.OUTPUT, keys.GATE):
        assert all(row.get("description") for row in table.values())


RIGHT = """
version: 1
name: dogs
params: {bits: [4, 6], photos: data}
datasets:
  photos: {path: "${{ params.photos }}"}
  code: {git: "https://x", rev: v1, path: data}
toolchains: {ours: {python: "3.11", requirements: ./r.txt}}
stages:
  train: {uses: make/net, inputs: {images: datasets.photos}, with: {epochs: "${{ params.e }}"}}
  convert: {uses: to/coreml, inputs: {model: {from: train.model, trust: true}}}
  small:
    uses: shrink/weights
    matrix: {bits: "${{ params.bits }}", include: [{bits: 8}]}
    inputs: {model: convert.model}
    with: {bits: "${{ matrix.bits }}", rules: [{layers: a, bits: 4}]}
    gates: {size_mb: {max: 3, max_drop: {value: 0.1, against: release}}, on_fail: exclude}
    resources: {cpu: 2, memory_gb: 0.5}
  best: {uses: pick/best, inputs: {models: {all: small.model}}, with: {by: x}}
  own: {uses: our/kind, inputs: {x: ./a}, with: {anything: 1}}
  say: {run: echo, needs: best, outputs: {o: {path: out/o, type: Page}}, env: {A: 1}, if: params.on}
profiles: {tiny: {params: {bits: [8]}, stages: {train: {with: {epochs: 1}}, say: null}}}
"""


@pytest.fixture
def validator(project):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json_schema(project.registry))
    return jsonschema.Draft202012Validator(json_schema(project.registry))


def test_a_right_file_is_right_by_the_schema(validator) -> None:
    assert [error.message for error in validator.iter_errors(value(RIGHT))] == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("version: 1", "version: 2"),
        ("datasets:", "dataset:"),
        ("rev: v1", "ref: v1"),
        ("run: echo", "rum: echo"),
        ("layers: a", "layer: a"),
        ("{epochs: ", "{epoch: "),
        ("{bits: 8}", "8"),
        ("max: 3", "max: three"),
        ("cpu: 2", "cpus: 2"),
        ("against: release", "against: last"),
        ("inputs: {images: ", "inputs: {image: "),
        ("type: Page", "type: Pages"),
        ("stages: {train:", "stage: {train:"),
    ],
)
def test_a_wrong_file_is_wrong_by_the_schema(validator, right: str, wrong: str) -> None:
    assert right in RIGHT
    assert list(validator.iter_errors(value(RIGHT.replace(right, wrong, 1))))


@pytest.mark.parametrize("file", PIPELINES, ids=lambda f: f.name)
def test_our_own_pipelines_are_right_by_the_shipped_schema(file: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SHIPPED.read_text(encoding="utf-8"))
    found = jsonschema.Draft202012Validator(schema).iter_errors(value(file.read_text()))
    assert [error.message for error in found] == []
