"""basic-pitch's published ML Program against the ONNX file of the same net."""

import importlib.util
from pathlib import Path

import coremltools as ct
import numpy as np
import onnxruntime
import pytest

FOLDER = Path(importlib.util.find_spec("basic_pitch").origin).parent / "saved_models/icassp_2022"
CLOSE = 1e-5


@pytest.fixture(scope="module")
def nets():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    right = onnxruntime.InferenceSession(FOLDER / "nmp.onnx", options)
    return ct.models.MLModel(str(FOLDER / "nmp.mlpackage")), right


def sound(kind, length):
    """What the net listens to: noise, a chord, a click, with the hiss that every recording has."""
    time, hiss = np.arange(length) / 22050, np.random.uniform(-0.03, 0.03, length)
    if kind == "noise":
        return np.random.uniform(-1, 1, length)
    if kind == "chord":
        tones = [np.sin(2 * np.pi * pitch * time) for pitch in (220.0, 277.18, 329.63)]
        return hiss + sum(tones) / 3
    hiss[length // 2] = 1.0
    return hiss


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize("kind", ["noise", "chord", "click"])
def test_both_files_hear_the_same(nets, kind, draw):
    model, right = nets
    (given,) = right.get_inputs()
    heard = sound(kind, given.shape[1]) * (1.0 - 0.3 * draw)
    heard = heard.astype(np.float32).reshape(1, -1, 1)
    expected = right.run(None, {given.name: heard})
    # The net takes logarithms of next to nothing. Where the ONNX file's own answers move further
    # than that when its samples move by their last bit (a chord: 2e-4), that is as close as can be.
    nudged = heard * np.random.choice(np.float32([1 - 2e-7, 1 + 2e-7]), heard.shape)
    moved = [
        np.abs(a - b).max()
        for a, b in zip(expected, right.run(None, {given.name: nudged}), strict=True)
    ]
    answers = model.predict({model.get_spec().description.input[0].name: heard})
    assert len(answers) == len(expected)
    for wanted, shift in zip(expected, moved, strict=True):
        # The converters named the outputs apart; their shape and content tell which is which.
        same = [a for a in answers.values() if a.shape == wanted.shape]
        nearest = min(np.abs(a - wanted).max() for a in same)
        np.testing.assert_array_less(nearest, max(CLOSE, 2 * shift))
