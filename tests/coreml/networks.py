"""What the tests of NeuralNetworks share: arrays, and networks built in short."""

from pathlib import Path

import numpy as np
import torch


def array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def t(x):
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))


def close(found, expected, atol=1e-5):
    expected = np.asarray(expected)
    assert found.shape == expected.shape, f"{found.shape} is not {expected.shape}"
    np.testing.assert_allclose(found, expected, atol=atol, rtol=1e-5)


def open_spec(spec, **options):
    from mlbuild.coreml import load_spec
    from mlbuild.coreml.body import Options

    return load_spec(spec, Path(), Options(**options))


def builder(inputs, outputs, **options):
    """A NeuralNetworkBuilder from shapes by name; an output's may be None."""
    from coremltools.models import datatypes, neural_network

    return neural_network.NeuralNetworkBuilder(
        [(name, datatypes.Array(*shape)) for name, shape in inputs.items()],
        [(name, None if s is None else datatypes.Array(*s)) for name, s in outputs.items()],
        **options,
    )


def adding(method, names, options, change=None):
    """What adds a layer 'f' that takes the named blobs and makes 'y', and may then break it."""

    def build(b):
        taken = {} if names is None else {"input_name": names}
        if isinstance(names, list) and method != "add_tile":
            taken = {"input_names": names}
        getattr(b, method)(name="f", output_name="y", **taken, **options)
        if change is not None:
            change(b.nn_spec.layers[-1])

    return build
