"""Builds Core ML packages for the tests of the runtime."""

import logging
import warnings

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def one_thread():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ct():
    """coremltools, quiet about what it lacks on Linux."""
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coremltools = pytest.importorskip("coremltools")
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    return coremltools


@pytest.fixture
def save_program(ct, tmp_path):
    """Save a program written with the MIL builder, untouched by optimization passes.

    ``build(mb, **inputs)`` makes the operations; ``inputs`` are arrays that give names, shapes
    and types.
    """

    def save(build, inputs, opset="iOS15", precision="float32"):
        from coremltools.converters.mil import Builder
        from coremltools.converters.mil.mil import types

        specs = [
            Builder.TensorSpec(
                shape=array.shape, dtype=types.numpy_type_to_builtin_type(array.dtype)
            )
            for array in inputs.values()
        ]
        target = getattr(ct.target, opset)
        text = f"lambda {', '.join(inputs)}: build(mb, {', '.join(f'{n}={n}' for n in inputs)})"
        function = eval(text, {"build": build, "mb": Builder})
        program = Builder.program(input_specs=specs, opset_version=target)(function)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = ct.convert(
                program,
                source="milinternal",
                convert_to="mlprogram",
                minimum_deployment_target=target,
                compute_precision=getattr(ct.precision, precision.upper()),
                pass_pipeline=ct.PassPipeline.EMPTY
                if precision == "float32"
                else ct.PassPipeline.DEFAULT,
                skip_model_load=True,
            )
            path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mlpackage"
            model.save(str(path))
        return path

    return save


@pytest.fixture
def save_torch(ct, tmp_path):
    """Trace and convert a torch module and save it."""
    import torch

    def save(module, example, inputs=None, target="iOS17", precision="float16", **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(module.eval(), example)
            model = ct.convert(
                traced,
                inputs=inputs or [ct.TensorType(name="x", shape=tuple(example.shape))],
                convert_to="mlprogram",
                minimum_deployment_target=getattr(ct.target, target),
                compute_precision=getattr(ct.precision, precision.upper()),
                skip_model_load=True,
                **options,
            )
            path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mlpackage"
            model.save(str(path))
        return path

    return save


@pytest.fixture
def run_network(ct):
    """Build a NeuralNetwork whose arrays keep their rank (``exact``), load it and predict.

    ``build(builder)`` adds the layers with coremltools' NeuralNetworkBuilder. Gives the one
    output, or a tuple of them.
    """
    from pathlib import Path

    def run(build, inputs, outputs=("y",), seed=None, exact=True):
        from coremltools.models import datatypes, neural_network

        from mlbuild.coreml import load_spec
        from mlbuild.coreml.body import Options

        inputs = inputs or {"unused": np.zeros(1)}
        builder = neural_network.NeuralNetworkBuilder(
            [(name, datatypes.Array(*np.shape(value))) for name, value in inputs.items()],
            [(name, None) for name in outputs],
            disable_rank5_shape_mapping=exact,
        )
        build(builder)
        result = load_spec(builder.spec, Path(), Options(seed=seed)).predict(inputs)
        found = tuple(result[name] for name in outputs)
        return found[0] if len(found) == 1 else found

    return run


@pytest.fixture(scope="session")
def make_spec(ct):
    """A specification of a model of any type, described in short.

    Features are written "double", "int64", "string", "float64[3]" (also float32, int32; "[]" is
    of any shape), "string->double", "int64->double", "sequence string", "sequence int64"; "?"
    behind makes them optional. ``fill(params, spec)`` fills in the parameters.
    """
    from coremltools.proto import FeatureTypes_pb2, Model_pb2

    codes = {"float64": "DOUBLE", "float32": "FLOAT32", "float16": "FLOAT16", "int32": "INT32"}

    def describe(feature, text):
        type_, text = feature.type, text.removesuffix("?") if text.endswith("?") else text
        head, _, rest = text.partition("[")
        if head in codes:
            array = FeatureTypes_pb2.ArrayFeatureType
            type_.multiArrayType.dataType = getattr(array, codes[head])
            type_.multiArrayType.shape.extend(int(n) for n in rest[:-1].split(",") if n)
        elif "->" in text:
            getattr(type_.dictionaryType, f"{text.split('->')[0]}KeyType").SetInParent()
        elif text.startswith("sequence"):
            getattr(type_.sequenceType, f"{text.split()[1]}Type").SetInParent()
            type_.sequenceType.sizeRange.upperBound = -1
        else:
            getattr(type_, f"{text}Type").SetInParent()

    def make(kind, inputs, outputs, fill=None, predicted="", probabilities=""):
        spec = Model_pb2.Model(specificationVersion=5)
        for side, features in (
            (spec.description.input, inputs),
            (spec.description.output, outputs),
        ):
            for name, text in features.items():
                feature = side.add(name=name)
                feature.type.isOptional = text.endswith("?")
                describe(feature, text)
        spec.description.predictedFeatureName = predicted
        spec.description.predictedProbabilitiesName = probabilities
        params = getattr(spec, kind)
        params.SetInParent()
        if fill:
            fill(params, spec)
        return spec

    return make
