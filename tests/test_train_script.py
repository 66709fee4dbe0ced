"""train/script: a file of the user's own, in a toolchain, through the whole engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlbuild.toolchains.places import cache_dir

CACHE = cache_dir()  # the user's, before the project has one of its own
SCRIPT = """
import torch
from beside import factor

def run(job):
    data = [float(n) for n in job.inputs["data"].read_text().split()]
    weight = torch.nn.Parameter(torch.zeros(1))
    step = torch.optim.SGD([weight], lr=0.1)
    for epoch in range(job.params.epochs):
        loss = sum((weight * x - factor * x) ** 2 for x in data)
        step.zero_grad(); loss.backward(); step.step()
        job.progress(epoch + 1, job.params.epochs, f"epoch {epoch + 1}")
    job.metric("weight", weight.item())
    net = torch.nn.Linear(1, 1, bias=False)
    net.weight.data[:] = weight.item()
    torch.jit.trace(net, torch.zeros(1, 1)).save(str(job.outputs["net"]))
"""
PIPELINE = """
version: 1
name: own
stages:
  train:
    uses: train/script
    inputs: {script: ./train.py, data: ./data.txt, code: ./beside.py}
    outputs: {net: build/net.pt}
    with: {params: {epochs: 30}}
    gates: {weight: {min: 2.9, max: 3.1}}
  convert:
    uses: convert/coreml
    inputs: {model: train.net}
    with: {inputs: {x: {shape: [1, 1]}}, output_names: [y], precision: float32}
"""


@pytest.fixture
def own(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(CACHE))
    (project / "train.py").write_text(SCRIPT)
    (project / "beside.py").write_text("factor = 3.0\n")
    (project / "data.txt").write_text("0.5 1.0\n")
    (project / "pipelines" / "own.yaml").write_text(PIPELINE)
    return project


@pytest.mark.toolchain
@pytest.mark.slow
def test_a_script_trains_and_its_output_is_converted(own: Path, mlbuild) -> None:
    first = mlbuild("run", "pipelines/own.yaml", "--json")
    assert first.code == 0, first.out
    assert first.outcomes == {"train": "ran", "convert": "ran"}
    (own / "beside.py").write_text("factor = 3.0001\n")  # declared: it counts
    assert mlbuild("run", "pipelines/own.yaml", "--json").outcomes["train"] == "ran"


@pytest.mark.toolchain
@pytest.mark.slow
def test_a_file_without_run_is_told(own: Path, mlbuild) -> None:
    (own / "train.py").write_text("print('hello')\n")
    done = mlbuild("run", "pipelines/own.yaml")
    assert done.code == 1
    assert "train.py defines no function run(job)" in done.out + done.err
