"""A small classifier as a torch model and as a Core ML package, and pictures for it."""

import json
import shutil

import pytest

LABELS = ("ash", "beech", "cedar", "elm")
SIZE = 16


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Where packages are kept between tests."""
    return tmp_path_factory.mktemp("trees")


@pytest.fixture
def torch_model(made):
    """An untrained network in the self-describing format; its scores are spread widely."""
    folder = made / "torch"
    if not folder.exists():
        _write(folder)
    return folder


@pytest.fixture
def package(made, torch_model, run_kind, tmp_path):
    """The same network in Core ML."""
    kept = made / "Trees.mlpackage"
    if not kept.exists():
        ran = run_kind("convert/coreml", inputs={"model": torch_model}, tmp_path=tmp_path)
        assert ran.ok, ran.error
        shutil.copytree(ran.outputs["model"], kept)
    return kept


@pytest.fixture
def crushed(made, package, run_kind, tmp_path):
    """The network with two bits a weight."""
    kept = made / "Crushed.mlpackage"
    if not kept.exists():
        ran = run_kind(
            "quantize/palettize",
            params={"bits": 2, "weight_threshold": 0},
            inputs={"model": package},
            tmp_path=tmp_path,
        )
        assert ran.ok, ran.error
        shutil.copytree(ran.outputs["model"], kept)
    return kept


@pytest.fixture
def photos(made):
    """Twelve pictures, three in a folder for each label; names hold spaces and quotes."""
    folder = made / "photos"
    if not folder.exists():
        write_pictures(folder)
    return folder


def write_pictures(folder):
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(3)
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(3):
            coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((24, 20), Image.Resampling.NEAREST)
            picture.save(folder / label / f"it's {number}.png")


def _write(folder):
    import torch
    from safetensors.torch import save_file
    from torch import nn

    torch.manual_seed(5)
    stage = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
    )
    head = nn.Linear(8, len(LABELS))
    head.weight.data *= 20
    weights = {f"stages.0.{k}": v for k, v in stage.state_dict().items()}
    weights |= {f"head.{k}": v for k, v in head.state_dict().items()}
    folder.mkdir(parents=True)
    save_file(weights, str(folder / "model.safetensors"))
    description = {
        "format": "mlbuild-torch-model",
        "version": 1,
        "architecture": {"name": "small-cnn", "arguments": {"channels": [8]}},
        "labels": list(LABELS),
        "preprocessing": {"height": SIZE, "width": SIZE},
        "output": "logits",
        "training": {},
    }
    (folder / "model.json").write_text(json.dumps(description))
