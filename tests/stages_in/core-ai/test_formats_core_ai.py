"""convert/core-ai in its toolchain: what can be said of an asset without OS 27."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.stages_in.torch_nets import LABELS, write_model

pytestmark = pytest.mark.toolchain


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "net")


def test_an_asset_is_whole_and_says_what_it_takes(
    model: Path, run_kind: Any, tmp_path: Path
) -> None:
    params = {"author": "A", "licence": "Apache-2.0", "output": "probabilities"}
    ran = run_kind("convert/core-ai", inputs={"model": model}, params=params, tmp_path=tmp_path)
    assert ran.ok, ran.error
    folder = ran.outputs["model"]
    program = (folder / "main.mlirb").read_bytes()
    assert (folder / "main.hash").read_bytes() == hashlib.sha256(program).digest()
    metadata = json.loads((folder / "metadata.json").read_text())
    assert "creationDate" not in metadata
    assert metadata["author"] == "A"
    said = json.loads(metadata["creatorDefinedMetadata"]["mlbuild.description"])
    assert said["labels"] == list(LABELS)
    report = ran.json("report")
    assert report["needs"] == "OS 27"
    assert report["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 3, 16, 16]}]
    assert report["outputs"] == [{"name": "probabilities", "dtype": "float32", "shape": [1, 4]}]
    assert report["operators"]["conv2d"] == 2
    assert "its numbers were not compared" in ran.log


def test_equal_networks_are_equal_bytes_without_paths(
    model: Path, run_kind: Any, tree: Any, tmp_path: Path
) -> None:
    first, second = (
        run_kind("convert/core-ai", inputs={"model": model}, tmp_path=tmp_path) for _ in range(2)
    )
    assert first.ok, first.error
    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    program = (first.outputs["model"] / "main.mlirb").read_bytes()
    assert b"site-packages" not in program
    assert b"resource_" not in program  # its name is another one in each process


def test_an_operator_that_core_ai_lacks_is_named(run_kind: Any, tmp_path: Path) -> None:
    import torch

    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvals(x).real

    exported = torch.export.export(Odd(), (torch.eye(3),))
    torch.export.save(exported, str(tmp_path / "odd.pt2"))
    ran = run_kind(
        "convert/core-ai", inputs={"model": tmp_path / "odd.pt2"}, trust=("model",),
        params={"inputs": [{"name": "x", "shape": [3, 3], "dtype": "float32"}]}, tmp_path=tmp_path,
    )  # fmt: skip
    assert not ran.ok
    assert ran.error == (
        "Core AI has no counterpart for the operator aten.linalg_eig.default"
    ), ran.error  # fmt: skip
