"""A small torch model, pictures for it, and its answers by hand: for several toolchains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LABELS = ("ash", "beech", "cedar", "elm")
SIZE = 16


def write_model(folder: Path) -> Path:
    """An untrained network in the self-describing format; its scores are spread widely."""
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
    weights.update({f"head.{k}": v for k, v in head.state_dict().items()})
    folder.mkdir(parents=True)
    save_file(weights, str(folder / "model.safetensors"))
    description = {
        "format": "mlbuild-torch-model",
        "version": 1,
        "architecture": {"name": "small-cnn", "arguments": {"channels": [8]}},
        "labels": list(LABELS),
        "preprocessing": {
            "height": SIZE,
            "width": SIZE,
            "mean": [127.0, 120.0, 110.0],
            "std": [128.0, 64.0, 60.0],
        },
        "output": "logits",
        "training": {},
    }
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def write_pictures(folder: Path, each: int = 2) -> Path:
    """Some pictures for each label."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(3)
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(each):
            coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((24, 20), Image.Resampling.NEAREST)
            picture.save(folder / label / f"{number}.png")
    return folder


def batch(pictures: Path, means: tuple[float, ...], stds: tuple[float, ...]) -> Any:
    """The pictures as networks take them, [N, 3, H, W], by the definition of a central crop."""
    import numpy as np
    from PIL import Image

    found = []
    for file in sorted(pictures.rglob("*.png")):
        image = Image.open(file)
        side = min(image.size) * 0.875
        left, top = (image.size[0] - side) / 2, (image.size[1] - side) / 2
        box = (left, top, left + side, top + side)
        small = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box)
        found.append((np.asarray(small, np.float32) - means) / stds)
    return np.stack(found).transpose(0, 3, 1, 2).astype(np.float32)


def network(folder: Path) -> Any:
    """The same network, built here by hand from the stored weights."""
    import torch
    from safetensors.torch import load_file
    from torch import nn

    weights = load_file(str(folder / "model.safetensors"))
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
    )
    head = nn.Linear(8, len(LABELS))
    body.load_state_dict({k[9:]: v for k, v in weights.items() if k.startswith("stages.0.")})
    head.load_state_dict({k[5:]: v for k, v in weights.items() if k.startswith("head.")})
    body.eval()

    def ask(x: Any) -> Any:
        with torch.no_grad():
            return head(body(torch.from_numpy(x)).mean(dim=(2, 3))).numpy()

    return ask
