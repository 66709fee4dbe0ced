"""Speed and memory of the reference runtime, in one run.

python benchmarks/runtime.py [--part speed]

Needs torch and coremltools (the toolchain of the runtime), nothing of the engine. Prints the
ratios that README claims; ``--part`` picks one of them.

MobileNetV2 is written out here after its paper (Sandler et al., arXiv 1801.04381, table 2,
width 1.0), with random weights: speed depends on shapes alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from random_transformer import Shape, write_transformer
from torch import nn

ROOT = Path(__file__).parents[1]
# expansion, channels, repetitions, stride
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
           (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip


def _unit(taken: int, made: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(taken, made, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(made), nn.ReLU6()]


class Bottleneck(nn.Module):
    """Expand, filter each channel, project; a shortcut where shapes agree."""

    def __init__(self, taken: int, made: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = taken * expansion
        self.shortcut = stride == 1 and taken == made
        self.body = nn.Sequential(
            *(_unit(taken, wide, 1) if expansion > 1 else []),
            *_unit(wide, wide, 3, stride, wide),
            *_unit(wide, made, 1)[:2],
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, taken, h, w] to [n, made, h / stride, w / stride]."""
        return x + self.body(x) if self.shortcut else self.body(x)


def mobilenet() -> nn.Module:
    """MobileNetV2 of width 1.0 with 1,000 classes: 3.5 M parameters."""
    torch.manual_seed(0)
    layers, taken = _unit(3, 32, 3, 2), 32
    for expansion, made, repetitions, stride in _STAGES:
        for number in range(repetitions):
            layers.append(Bottleneck(taken, made, expansion, 1 if number else stride))
            taken = made
    layers += [*_unit(320, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers).eval()


def convert(module: nn.Module, shape: tuple[int, ...], path: Path, precision: str) -> Path:
    """Convert a torch module to an ML Program and save it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import coremltools as ct  # heavy: seconds

        logging.getLogger("coremltools").setLevel(logging.ERROR)
        model = ct.convert(
            torch.jit.trace(module, torch.rand(shape)),
            inputs=[ct.TensorType(name="x", shape=shape)],
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=getattr(ct.precision, precision.upper()),
            skip_model_load=True,
        )
        model.save(str(path))
    return path


def best_of(actions: dict[str, Any], rounds: int) -> dict[str, float]:
    """The best time of each action in milliseconds, the actions taking turns."""
    best = dict.fromkeys(actions, float("inf"))
    for number in range(rounds + 3):
        for name, action in actions.items():
            begun = time.perf_counter()
            action()
            if number >= 3:  # the first rounds warm up
                best[name] = min(best[name], (time.perf_counter() - begun) * 1000)
    return best


def speed(folder: Path, rounds: int) -> dict[str, Any]:
    """MobileNetV2 at 224, one thread: torch eager against both precisions."""
    from mlbuild.coreml import load

    torch.set_num_threads(1)
    net, x = mobilenet(), torch.rand(1, 3, 224, 224)
    given = {"x": x.numpy()}
    plain = load(convert(net, tuple(x.shape), folder / "float32.mlpackage", "float32"))
    half_path = convert(net, tuple(x.shape), folder / "float16.mlpackage", "float16")
    half = load(half_path)

    def eager() -> torch.Tensor:
        with torch.inference_mode():
            return net(x)

    times = best_of(
        {"torch": eager, "float32": lambda: plain.predict(given),
         "declared": lambda: half.predict(given)}, rounds)  # fmt: skip
    parameters = sum(p.numel() for p in net.parameters())
    return {
        "parameters": parameters,
        "torch_ms": round(times["torch"], 2),
        "float32_ms": round(times["float32"], 2),
        "declared_ms": round(times["declared"], 2),
        "float32_ratio": round(times["float32"] / times["torch"], 3),
        "declared_ratio": round(times["declared"] / times["torch"], 3),
    }


# A child of its own for each package: how long it takes and how much memory at most. VmHWM is
# what ru_maxrss says, less what a child inherits of its parent's peak.
_MEASURE = """
import json, sys, time
import numpy as np, torch
torch.set_num_threads(1)
from mlbuild.coreml import load
from mlbuild.coreml.mil import ops  # noqa
from mlbuild.coreml.mil.operator import supported
from mlbuild.coreml.protos import mil_proto, model_proto
model_proto(), mil_proto(), supported()

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(l.split()[1]) * 1024 for l in lines if l.startswith("VmHWM"))

torch.nn.functional.linear(torch.ones(8, 8), torch.ones(8, 8))  # the library's own buffers
before, begun = peak(), time.perf_counter()
model = load(sys.argv[1])
loaded = time.perf_counter()
(shape,) = (f.array.shape for f in model.description.inputs)
given = {"tokens": np.arange(shape[1])[None] % 100}
first = model.predict(given)
ran = time.perf_counter()
again = model.predict(given)
done = time.perf_counter()
(result,) = again.values()
print(json.dumps({"load_s": loaded - begun, "first_s": ran - loaded, "again_s": done - ran,
                  "peak": peak() - before, "finite": bool(np.isfinite(result).all()),
                  "shape": result.shape}))
"""


def package_figures(package: Path) -> dict[str, Any]:
    """Loading, running and peak memory of a package in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(package)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    figures = json.loads(done.stdout)
    weights = (package / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    return {
        "weights_mb": round(weights / 1e6, 1),
        "load_s": round(figures["load_s"], 3),
        "first_prediction_s": round(figures["first_s"], 3),
        "next_prediction_s": round(figures["again_s"], 3),
        "peak_mb": round(figures["peak"] / 1e6, 1),
        "peak_ratio": round(figures["peak"] / weights, 3),
        "finite": figures["finite"],
        "output": figures["shape"],
    }


SIZES = {
    "100 MB": Shape(layers=8, width=768, hidden=2048, words=1000, heads=12, tokens=32),
    "transformer": Shape(layers=21, width=1280, hidden=3456, words=32000, heads=20, tokens=32),
}


def packages(folder: Path, name: str) -> dict[str, Any]:
    """Write one of ``SIZES`` and measure it."""
    shape = SIZES[name]
    package = write_transformer(folder / f"{name.split()[0]}.mlpackage", shape)
    return {"parameters": shape.parameters, **package_figures(package)}


def main() -> None:
    """Print what was asked for as JSON, one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["speed", *SIZES], help="only this one")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of the speed part")
    arguments = parser.parse_args()
    for part in ("speed", *SIZES):
        if arguments.part in (None, part):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                figures = (
                    speed(folder, arguments.rounds) if part == "speed" else packages(folder, part)
                )
            print(json.dumps({"part": part, **figures}), flush=True)


if __name__ == "__main__":
    main()
