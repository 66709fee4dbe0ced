"""Builds Core ML packages for the tests of the runtime."""

import logging
import warnings

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
