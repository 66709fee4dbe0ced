"""Makes the models of the tests of `predict`, `inspect`, `compare`, `lint` and `golden`.

Run by the torch toolchain's interpreter: `python make_models.py FOLDER`.
"""

import sys
from pathlib import Path

import coremltools as ct
import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "stages")]

from _shared.torch_model.architectures import build  # noqa: E402
from _shared.torch_model.model_file import Description, Preprocessing, save  # noqa: E402

from mlbuild.coreml import load  # noqa: E402
from mlbuild.coreml.golden import record  # noqa: E402


class Mean(torch.nn.Module):
    """A classifier of mean colour: three scores, the mean of each channel."""

    def forward(self, x):
        return torch.softmax(x.mean(dim=(2, 3)) * 10, dim=-1)


def convert(module, example, path, target="iOS17", **options):
    if "inputs" not in options:
        options["inputs"] = [ct.TensorType("x", example.shape)]
    traced = torch.jit.trace(module.eval(), example)
    version = getattr(ct.target, target)
    ct.convert(traced, minimum_deployment_target=version, **options).save(str(path))


def colours(folder):
    convert(
        Mean(),
        torch.zeros(1, 3, 8, 8),
        folder / "Mean.mlpackage",
        "iOS16",
        inputs=[ct.ImageType("image", (1, 3, 8, 8), scale=1 / 255)],
        classifier_config=ct.ClassifierConfig(["red", "green", "blue"]),
    )
    Image.new("RGB", (20, 10), (0, 200, 30)).save(folder / "green picture.png")


def conversions(folder):
    """A right conversion, and one whose last operator is another one."""
    torch.manual_seed(0)
    linear, x = torch.nn.Linear(8, 4), torch.zeros(2, 8)
    right = torch.nn.Sequential(linear, torch.nn.Softmax(-1)).eval()
    convert(right, x, folder / "Right.mlpackage")
    convert(torch.nn.Sequential(linear, torch.nn.Sigmoid()), x, folder / "Wrong.mlpackage")
    torch.jit.trace(right, x).save(folder / "right.pt")
    np.savez(folder / "three.npz", x=np.zeros((3, 8)))


def pictures(folder):
    """A described torch model, and a conversion of it with red and blue exchanged."""
    net = build("small-cnn", {"channels": [8]}, 3).eval()
    net.head.weight.data *= 20
    labels = ("ash", "beech", "fir")
    described = Description("small-cnn", {"channels": [8]}, labels, Preprocessing(32, 32))
    save(net, described, folder / "folder")
    picture = ct.ImageType(
        "image",
        (1, 3, 32, 32),
        scale=1 / 128,
        bias=[-127 / 128] * 3,
        color_layout=ct.colorlayout.BGR,
    )
    convert(
        torch.nn.Sequential(net, torch.nn.Softmax(-1)),
        torch.zeros(1, 3, 32, 32),
        folder / "Exchanged.mlpackage",
        inputs=[picture],
        classifier_config=ct.ClassifierConfig(list(labels)),
    )


def recordings(folder):
    """As a Mac would make them, with a double that answers twice what the model says on ALL."""
    model = folder / "Net.mlpackage"
    convert(torch.nn.Tanh(), torch.zeros(1, 4), model, outputs=[ct.TensorType("y")])

    def opened(path, unit):
        net, factor = load(path), 1 if unit == "CPU_ONLY" else 2
        return lambda values: {"y": net.predict(values)["y"] * factor}

    samples = {"a": {"x": np.linspace(-1, 1, 4, dtype=np.float32)[None]}}
    system = {"os": "macOS 26.1", "device": "Mac16,1", "coremltools": "9.0"}
    for name, units in (("right", ["CPU_ONLY"]), ("wrong", ["CPU_ONLY", "ALL"])):
        record(model, samples, folder / name / "Net", units=units, opened=opened, system=system)


for make in (colours, conversions, pictures, recordings):
    make(Path(sys.argv[1]))
