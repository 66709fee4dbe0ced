"""What a process may expect of the runtime beside numbers: settings, threads, memory."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

ROOT = Path(__file__).parents[2]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Linear(16, 64), torch.nn.Linear(64, 16)

    def forward(self, x):
        return torch.softmax(self.second(torch.relu(self.first(x))), -1)


def settings():
    """What torch keeps for the whole process, and for this thread."""
    return {
        "threads": torch.get_num_threads(),
        "between": torch.get_num_interop_threads(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "random": torch.get_rng_state().tolist(),
        "numpy": repr(np.random.get_state()),
        "errors": np.geterr(),
        "denormals": (torch.tensor([1e-40]) * 1).item(),
    }


@pytest.mark.parametrize("random", [False, True])
def test_a_run_changes_no_setting_of_the_process(save_program, save_torch, random):
    from mlbuild.coreml import load

    if random:
        path = save_program(
            lambda mb, x: mb.add(x=x, y=mb.random_normal(shape=[1, 16])),
            {"x": np.ones((1, 16), np.float32)},
        )
    else:
        path = save_torch(Net(), torch.rand(1, 16))
    before = settings()
    load(path, seed=3).predict({"x": np.ones((1, 16))})
    load(path).trace({"x": np.ones((1, 16))})
    assert settings() == before


def test_threads_predict_at_once_and_unpack_the_weights_once(save_torch, monkeypatch):
    from mlbuild.coreml import load
    from mlbuild.coreml.mil import body

    compiled, real = [], body.compile_function
    monkeypatch.setattr(
        body, "compile_function", lambda *a, **k: compiled.append(1) or real(*a, **k)
    )
    net = Net()
    path = save_torch(net, torch.rand(1, 16), precision="float32")
    model = load(path)
    xs = [np.random.default_rng(n).random((1, 16)).astype(np.float32) for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda x: model.predict({"x": x}), xs))
    with torch.no_grad():
        for x, result in zip(xs, results, strict=True):
            (actual,) = result.values()
            np.testing.assert_allclose(actual, net(torch.from_numpy(x)), atol=1e-6)
    assert compiled == [1]


def test_threads_with_states_of_their_own_do_not_mix(ct, tmp_path):
    import warnings

    from mlbuild.coreml import load

    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("total", torch.zeros(1, 4))

        def forward(self, x):
            self.total.add_(x)
            return self.total * 1.0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ct.convert(
            torch.jit.trace(Sum(), torch.zeros(1, 4)),
            inputs=[ct.TensorType(name="x", shape=(1, 4))],
            states=[ct.StateType(ct.TensorType(shape=(1, 4)), name="total")],
            minimum_deployment_target=ct.target.iOS18,
            skip_model_load=True,
        ).save(str(tmp_path / "sum.mlpackage"))
    model = load(tmp_path / "sum.mlpackage")
    assert [f.name for f in model.description.states] == ["total"]

    def count(step):
        state = model.make_state()
        for _ in range(50):
            (total,) = model.predict({"x": np.full((1, 4), step)}, state=state).values()
        return float(total[0, 0])

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(count, range(12))) == [50.0 * step for step in range(12)]


def test_outputs_belong_to_the_caller(save_torch):
    from mlbuild.coreml import load

    model = load(save_torch(Net(), torch.rand(1, 16)))
    x = {"x": np.ones((1, 16))}
    (first,) = model.predict(x).values()
    kept = first.copy()
    first[:] = -1
    (second,) = model.predict(x).values()
    np.testing.assert_array_equal(second, kept)


def test_a_batch_is_predicted_in_order(save_torch):
    from mlbuild.coreml import InputError, load

    model = load(save_torch(Net(), torch.rand(1, 16)))
    batch = [{"x": np.full((1, 16), n)} for n in range(4)]
    results = model.predict_many(iter(batch))
    assert len(results) == 4
    for given, result in zip(batch, results, strict=True):
        (expected,), (actual,) = model.predict(given).values(), result.values()
        np.testing.assert_array_equal(actual, expected)
    assert model.predict_many([]) == []
    with pytest.raises(InputError, match=r"^item 1 of the batch: an input is missing: x\n"):
        model.predict_many([batch[0], {}])


@pytest.mark.parametrize("kind", ["path", "folder and message", "bytes"])
def test_a_model_is_loaded_from_files_messages_and_bytes(ct, save_program, kind):
    from mlbuild.coreml import load
    from mlbuild.coreml.model import load_spec
    from mlbuild.coreml.package import open_model

    x = {"x": np.ones((2, 3), np.float32)}
    path = save_program(lambda mb, x: mb.mul(x=x, y=3.0), x)
    files = open_model(path)
    model = {
        "path": lambda: load(str(path)),
        "folder and message": lambda: load_spec(files.spec, str(files.folder)),
        "bytes": lambda: load(files.spec_file.read_bytes()),
    }[kind]()
    (result,) = model.predict(x).values()
    np.testing.assert_array_equal(result, np.full((2, 3), 3.0))


MEASURE = """
import json, sys
import numpy as np, torch
torch.set_num_threads(1)
from mlbuild.coreml import load
from mlbuild.coreml.mil.operator import supported
from mlbuild.coreml.protos import mil_proto, model_proto
model_proto(), mil_proto(), supported()

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(l.split()[1]) * 1024 for l in lines if l.startswith("VmHWM"))

torch.nn.functional.linear(torch.ones(8, 8), torch.ones(8, 8))
before = peak()
model = load(sys.argv[1])
model.predict({"tokens": np.zeros((1, 8))})
model.trace({"tokens": np.zeros((1, 8))})  # compiled anew, with the same weights
print(json.dumps(peak() - before))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's peak memory")
def test_float16_weights_cost_little_more_than_their_float32_copies(tmp_path):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from random_transformer import Shape, write_transformer
    finally:
        sys.path.pop(0)
    shape = Shape(layers=6, width=512, hidden=1536, words=4000, heads=8, tokens=8)
    package = write_transformer(tmp_path / "t.mlpackage", shape)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(package)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    weights = shape.parameters * 2
    # twice for float32, the pages of one matrix while it is converted, and what a run makes
    assert json.loads(done.stdout) < 2.5 * weights
