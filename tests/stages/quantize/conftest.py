"""A small network with every sort of layer that overrides can name."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def networks(tmp_path_factory):
    """``networks("iOS17") -> Path`` of a package; made once for each target."""
    made = {}

    def network(target: str) -> Path:
        if target not in made:
            made[target] = _build(tmp_path_factory.mktemp(target) / "Net.mlpackage", target)
        return made[target]

    return network


def _build(path: Path, target: str) -> Path:
    import coremltools as ct
    import numpy as np
    from coremltools.converters.mil import Builder as mb  # noqa: N813

    random = np.random.default_rng(7)

    def weight(*shape):
        return (random.standard_normal(shape) * 0.1).astype(np.float32)

    @mb.program(
        input_specs=[mb.TensorSpec(shape=(1, 8, 6, 6))], opset_version=getattr(ct.target, target)
    )
    def program(x):
        x = mb.conv(x=x, weight=weight(32, 8, 3, 3), bias=weight(32), pad_type="same", name="stem")
        x = mb.conv(x=x, weight=weight(32, 1, 3, 3), groups=32, pad_type="same", name="depth")
        x = mb.relu(x=x)
        x = mb.conv(x=x, weight=weight(64, 32, 1, 1), name="point")
        x = mb.reduce_mean(x=x, axes=[2, 3])
        x = mb.linear(x=x, weight=weight(300, 64), name="wide")
        x = mb.linear(x=x, weight=weight(300, 300), name="large")
        return mb.linear(x=x, weight=weight(12, 300), name="head")

    model = ct.convert(
        program,
        minimum_deployment_target=getattr(ct.target, target),
        compute_precision=ct.precision.FLOAT16,
    )
    model.save(str(path))
    return path


@pytest.fixture
def truncated(networks, tmp_path):
    """A package whose weight file lost its last kilobyte."""
    package = shutil.copytree(networks("iOS17"), tmp_path / "Cut.mlpackage")
    weights = next(package.rglob("weight.bin"))
    weights.write_bytes(weights.read_bytes()[:-1024])
    return package


@pytest.fixture
def layers():
    """``layers(ran) -> {operator's name: row}`` of a report, weights only."""

    def by_name(ran):
        return {
            row["op_name"].split("_cast")[0]: row
            for row in ran.json("report")["layers"]
            if row["operand"] == "weight"
        }

    return by_name
