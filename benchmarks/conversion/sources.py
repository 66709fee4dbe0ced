"""A network as the reference of a comparison, and samples as users give them: files in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlbuild.stages._shared.torch_model.preprocessing import Preprocessing
from PIL import Image
from torch import nn

from benchmarks.conversion.nets import LABELS, MEAN, PICTURE, STD, Net

SAMPLES = 8


class TorchSource:
    """A torch module behind the face that ``validate/parity`` has for its references."""

    def __init__(self, net: Net, module: nn.Module) -> None:
        self.module = module
        self.labels = LABELS if net.picture else ()
        self.preprocessing = (
            Preprocessing(PICTURE, PICTURE, mean=MEAN, std=(STD,) * 3, crop=1.0)
            if net.picture
            else None
        )

    def logits(self, picture: Image.Image) -> np.ndarray:
        """Log-probabilities of a classifier."""
        return np.log(self._run(self.preprocessing.preprocess(picture)[None]).reshape(-1))

    def pictured(self, picture: Image.Image) -> dict[str, np.ndarray]:
        """As ``logits``, by name."""
        return {"logits": self.logits(picture)}

    def outputs(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The only output of the nets that are no classifiers."""
        return {"y": self._run(torch.from_numpy(arrays["x"]))}

    def _run(self, x: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return self.module(x).double().numpy()


def write_samples(net: Net, seed: int, folder: Path, count: int = SAMPLES) -> Path:
    """Pictures, or .npz files with an array for each input."""
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    for number in range(count):
        example = net.example(np.random.default_rng([seed, number]))
        if net.picture:
            Image.fromarray(example).save(folder / f"{number}.png")
        else:
            np.savez(folder / f"{number}.npz", x=example)
    return folder


def inputs(net: Net, seed: int, count: int) -> list[dict[str, Any]]:
    """Inputs of a Core ML model, for looking at it directly."""
    examples = [net.example(np.random.default_rng([seed, n])) for n in range(count)]
    return [{"image": Image.fromarray(e)} if net.picture else {"x": e} for e in examples]
