"""basic-pitch's published ML Program against the ONNX file of the same net.

Both files were converted from one TensorFlow model. The net subtracts, from the logarithms of
magnitudes, the least of them: of 53 148 numbers the one that is nearest to nothing moves all the
others. Where it is what rounding left of a sum, float32 answers say more of the order in which a
runtime adds than of the net (a chord: onnxruntime is 2e-4 off the true answers). So both files
are computed in float64, and float32 is held to where the net is well conditioned.
"""

import importlib.util
from pathlib import Path
from unittest.mock import patch

import coremltools as ct
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from mlbuild.coreml import load
from mlbuild.coreml.mil import body, constants

FOLDER = Path(importlib.util.find_spec("basic_pitch").origin).parent / "saved_models/icassp_2022"
CLOSE = 1e-5
KINDS = ("noise", "chord", "click")


def sound(kind, length, loud):
    """What the net listens to: noise, a chord, a click, with the hiss that every recording has."""
    time, hiss = np.arange(length) / 22050, np.random.uniform(-0.03, 0.03, length)
    if kind == "noise":
        heard = np.random.uniform(-1, 1, length)
    elif kind == "chord":
        tones = [np.sin(2 * np.pi * pitch * time) for pitch in (220.0, 277.18, 329.63)]
        heard = hiss + sum(tones) / 3
    else:
        heard = hiss
        heard[length // 2] = 1.0
    return (heard * loud).astype(np.float32).reshape(1, -1, 1)


class Nets:
    """The two files, and the value in each that the logarithm is taken of."""

    def __init__(self):
        self.package = str(FOLDER / "nmp.mlpackage")
        self.graph = onnx.load(FOLDER / "nmp.onnx")
        self.given, self.length = self.graph.graph.input[0].name, 43844
        (self.root,) = (n.output[0] for n in self.graph.graph.node if n.op_type == "Sqrt")
        self.ours = load(self.package)
        self.our_input = self.ours.description.inputs[0].name
        (self.our_root,) = (
            made.name
            for operation in self.ours.body.function.body.operations
            if operation.type == "sqrt"
            for made in operation.outputs
        )

    def onnx_in_single(self, heard, *more):
        """Answers of onnxruntime, and further values."""
        graph = with_outputs(self.graph, more, onnx.TensorProto.FLOAT)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
        return session.run(None, {self.given: heard})

    def onnx_in_double(self, heard, *more):
        """Answers of onnx's reference evaluator, every weight and value in float64."""
        graph = with_outputs(self.graph, more, onnx.TensorProto.DOUBLE)
        for value in [*graph.graph.input, *graph.graph.output]:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
        for weight in graph.graph.initializer:
            if weight.data_type == onnx.TensorProto.FLOAT:
                wide = numpy_helper.to_array(weight).astype(np.float64)
                weight.CopyFrom(numpy_helper.from_array(wide, weight.name))
        return ReferenceEvaluator(graph).run(None, {self.given: heard.astype(np.float64)})


def with_outputs(graph, names, kind):
    wider = onnx.ModelProto()
    wider.CopyFrom(graph)
    del wider.graph.value_info[:]
    wider.graph.output.extend(onnx.helper.make_tensor_value_info(n, kind, None) for n in names)
    return wider


def doubled(inner):
    """The same, its float32 tensors in float64: the runtime itself has no such precision."""

    def double(*args):
        value = inner(*args)
        single = isinstance(value, torch.Tensor) and value.dtype == torch.float32
        return value.double() if single else value

    return double


@pytest.fixture(scope="module")
def nets():
    return Nets()


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_both_files_are_the_same_net(nets, kind, draw):
    heard = sound(kind, nets.length, 1.0 - 0.3 * draw)
    with (
        patch.object(constants, "_formed", doubled(constants._formed)),
        patch.object(body, "_typed", doubled(body._typed)),
    ):
        answers = ct.models.MLModel(nets.package).predict({nets.our_input: heard})
    expected = nets.onnx_in_double(heard)
    assert len(answers) == len(expected)
    for wanted in expected:
        # The converters named the outputs apart; their shape and content tell which is which.
        same = [a for a in answers.values() if a.shape == wanted.shape]
        nearest = min(np.abs(a - wanted).max() for a in same)
        np.testing.assert_array_less(nearest, CLOSE)


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_well_conditioned_is_the_same_in_float32(nets, kind, draw):
    heard = sound(kind, nets.length, 1.0 - 0.3 * draw)
    model = ct.models.MLModel(nets.package)
    answers = model.predict({nets.our_input: heard})
    *expected, magnitudes = nets.onnx_in_single(heard, nets.root)
    *_, true_magnitudes = nets.onnx_in_double(heard, nets.root)
    ran = nets.ours.run({nets.our_input: heard}, keep=[nets.our_root])
    ours = np.asarray(ran.values[nets.our_root])
    np.testing.assert_array_less(np.abs(ours - magnitudes).max(), CLOSE)
    # Ours are no further from the truth than onnxruntime's.
    error, allowed = (np.sqrt(np.mean((m - true_magnitudes) ** 2)) for m in (ours, magnitudes))
    np.testing.assert_array_less(error, 1.1 * allowed)
    # And so are the answers, but for what the least magnitude's last digits move them by.
    shift = shifted(ours, true_magnitudes) + shifted(magnitudes, true_magnitudes)
    for wanted in expected:
        nearest = min(np.abs(a - wanted).max() for a in answers.values() if a.shape == wanted.shape)
        np.testing.assert_array_less(nearest, CLOSE + shift)


def shifted(magnitudes, truth):
    """By how much of their whole range all logarithms move with the least of them."""
    logs, right = (np.log(np.square(m.astype(np.float64)) + 1e-10) for m in (magnitudes, truth))
    return np.abs(logs.min() - right.min()) / np.ptp(right)
