"""onnx's own backend tests through onnx2coreml: another converter, another author's answers.

A case whose operators that converter does not take is skipped. Such a converter has faults of its
own, which show here too: ``known.toml`` tells which they are.
"""

from pathlib import Path

import numpy as np
import onnx
import onnx2coreml
import pytest
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

_KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")
CASES = {
    f"{kind}-{case.name}": case
    for kind in _KINDS
    for case in load_model_tests(kind=kind)
    if case.url is None
}


def arrays(values, declared):
    """Stored values as arrays, or None where one of them is no tensor of numbers."""
    found = []
    for value, what in zip(values, declared, strict=False):
        if not what.type.HasField("tensor_type"):
            return None
        array = np.asarray(
            numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
        )
        if array.dtype.kind not in "biuf":
            return None
        found.append(array)
    return found


def stored(case):
    """Input and output sets, read from the case's folder where it has one."""
    if case.data_sets is not None:
        return case.model, case.data_sets
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        pair = []
        for what in ("input", "output"):
            files = sorted(data.glob(f"{what}_*.pb"), key=lambda f: int(f.stem.split("_")[1]))
            pair.append([onnx.load_tensor(file) for file in files])
        sets.append(pair)
    return model, sets


def with_constants(model, inputs):
    """The model with its axes, shapes and counts as constants, as exporters write them.

    The suite gives them when the model runs; that converter would take no axes for all axes.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    kept = []
    for what, value in zip(list(model.graph.input), inputs, strict=False):
        is_count = value.dtype.kind in "iu" and value.ndim <= 1
        if is_count and what.name != model.graph.input[0].name:
            fixed.graph.initializer.append(numpy_helper.from_array(value, what.name))
        else:
            kept.append(what.name)
    inputs_left = [i for i in fixed.graph.input if i.name in kept]
    del fixed.graph.input[:]
    fixed.graph.input.extend(inputs_left)
    return fixed, [
        value for i, value in zip(model.graph.input, inputs, strict=False) if i.name in kept
    ]


@pytest.mark.parametrize("name", sorted(CASES))
def test_onnx(name):
    model, sets = stored(CASES[name])
    constants = {c.name for c in model.graph.initializer}
    declared = [i for i in model.graph.input if i.name not in constants]
    for inputs, outputs in sets:
        given, expected = arrays(inputs, declared), arrays(outputs, model.graph.output)
        if given is None or expected is None or len(given) != len(declared):
            pytest.skip("takes or gives what is no tensor of numbers")
        if any(a.dtype == np.float64 for a in given):
            pytest.skip("computes in float64, which Core ML lacks")
        whole, given = with_constants(model, given) if not constants else (model, given)
        if not given:
            pytest.skip("has no input")
        compare(whole, given, expected)


def compare(model, given, expected):
    try:
        converted = onnx2coreml.convert(
            model, minimum_deployment_target="iOS18", compute_precision="fp32"
        )
    except onnx2coreml.Onnx2CoreMLError as error:
        pytest.skip(f"onnx2coreml: {str(error).splitlines()[0]}")
    spec = converted.get_spec()
    names = [feature.name for feature in spec.description.input]
    if len(names) != len(given):
        pytest.skip("onnx2coreml: an input is gone")
    answers = converted.predict({n: np.atleast_1d(a) for n, a in zip(names, given, strict=True)})
    made = [feature.name for feature in spec.description.output]
    assert len(made) == len(expected)
    for name, right in zip(made, expected, strict=True):
        np.testing.assert_allclose(
            np.asarray(answers[name], np.float64),
            np.atleast_1d(right).astype(np.float64),
            rtol=1e-3,
            atol=1e-4,
        )
