"""Multiply-adds and memory, against figures worked out by hand."""

import pytest

torch = pytest.importorskip("torch")

from mlbuild.coreml import summarize  # noqa: E402

pytestmark = pytest.mark.toolchain


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        # out 8 x 10 x 10, each 3 x 3 x 3 products
        (torch.nn.Conv2d(3, 8, 3), (1, 3, 12, 12), 8 * 10 * 10 * 27),
        # depthwise: each of 6 x 10 x 10 sees one channel
        (torch.nn.Conv2d(6, 6, 3, groups=6), (1, 6, 12, 12), 6 * 10 * 10 * 9),
        # every input element meets 4 outputs' 2 x 2 kernels
        (torch.nn.ConvTranspose2d(3, 4, 2, stride=2), (1, 3, 5, 5), 3 * 5 * 5 * 4 * 4),
        (torch.nn.Linear(16, 5), (7, 16), 7 * 5 * 16),
        # 6 steps, 4 gates of 9, each of 3 inputs and 9 former outputs
        (torch.nn.LSTM(3, 9), (6, 1, 3), 6 * 4 * 9 * (3 + 9)),
    ],
    ids=["conv", "depthwise", "transposed", "linear", "lstm"],
)
def test_multiply_adds_follow_from_shapes(save_torch, module, shape, expected):
    found = summarize(save_torch(module, torch.zeros(shape)))
    assert found["multiply_adds"] == expected
    assert found["uncounted"] == []


def test_parameters_and_memory_of_a_linear_layer(save_torch):
    found = summarize(save_torch(torch.nn.Linear(1024, 64), torch.zeros(2, 1024)))
    assert found["parameters"] == 1024 * 64 + 64
    # input and output at once, float16
    assert found["peak_bytes"] == 2 * (2 * 1024 + 2 * 64)
