"""Timing, with the reference runtime in Core ML's place and doubles of what it cannot tell."""

import sys
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
ct = pytest.importorskip("coremltools")
from mlbuild.coreml import disable_predict, enable_predict  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

QUICK = {"repeats": 5, "warmup": 1, "units": ["CPU_ONLY", "ALL"]}


class MLCPUComputeDevice:
    """As coremltools' class of this name."""


class MLNeuralEngineComputeDevice:
    """As coremltools' class of this name."""


CPU, ENGINE = MLCPUComputeDevice(), MLNeuralEngineComputeDevice()


def operation(name, kind, cost=None, place=None, blocks=()):
    return SimpleNamespace(
        operator_name=kind,
        outputs=[SimpleNamespace(name=name)],
        blocks=list(blocks),
        cost=cost,
        place=place,
    )


class Plan:
    """A program with a constant, a convolution, and a loop that holds a sum."""

    def __init__(self):
        loop = SimpleNamespace(operations=[operation("total", "add", 0.3, CPU)])
        block = SimpleNamespace(
            operations=[
                operation("w", "const"),
                operation("y", "conv", 0.6, ENGINE),
                operation("n", "while_loop", 0.1, CPU, [loop]),
            ]
        )
        functions = {"main": SimpleNamespace(block=block)}
        program = SimpleNamespace(functions=functions)
        self.model_structure = SimpleNamespace(program=program, neuralnetwork=None)

    def get_compute_device_usage_for_mlprogram_operation(self, operation):
        if operation.place is None:
            return None
        return SimpleNamespace(
            preferred_compute_device=operation.place, supported_compute_devices=[ENGINE, CPU]
        )

    def get_estimated_cost_for_mlprogram_operation(self, operation):
        return None if operation.cost is None else SimpleNamespace(weight=operation.cost)


@pytest.fixture
def mac(monkeypatch):
    """coremltools predicts by the reference runtime; the system says that it is a Mac."""
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.mac_ver", lambda: ("26.1", ("", "", ""), "arm64"))
    monkeypatch.setattr("mlbuild.coreml.golden.mac._sysctl", lambda name: "double")
    enable_predict()
    yield
    disable_predict()


@pytest.fixture
def timed(run_kind, package, photos, tmp_path):
    def run(**params):
        inputs = {"model": package, "samples": photos}
        params = {**QUICK, **params}
        return run_kind("validate/device", params=params, inputs=inputs, tmp_path=tmp_path)

    return run


@pytest.mark.usefixtures("mac")
def test_times_stand_in_the_report_and_not_among_the_metrics(timed, monkeypatch):
    from coremltools.models import compute_plan

    made = lambda path, compute_units: Plan()  # noqa: E731
    monkeypatch.setattr(compute_plan.MLComputePlan, "load_from_path", made)
    ran = timed()

    assert ran.ok, ran.error
    report = ran.json("report")
    assert list(report["units"]) == ["ALL", "CPU_ONLY"]
    found = report["units"]["CPU_ONLY"]
    assert found["repeats"] == 5
    assert 0 < found["min_ms"] <= found["median_ms"] <= found["p95_ms"] <= found["max_ms"]
    assert found["load_ms"] > 0
    assert report["system"]["os"] == "macOS 26.1"
    assert [row["type"] for row in report["plan"]] == ["conv", "while_loop", "add"]
    assert report["plan"][0] == {
        "cost": 0.6,
        "function": "main",
        "name": "y",
        "place": "neural_engine",
        "supported": ["cpu", "neural_engine"],
        "type": "conv",
    }
    assert ran.metrics == {
        "operations": 3,
        "cost_cpu": pytest.approx(0.4),
        "cost_gpu": 0,
        "cost_neural_engine": pytest.approx(0.6),
    }
    assert "CPU_ONLY: " in ran.log


@pytest.mark.usefixtures("mac")
def test_a_system_that_tells_no_plan_is_no_failure(timed):
    ran = timed()

    assert ran.ok, ran.error
    assert ran.json("report")["plan"] is None
    assert ran.metrics == {}
    assert "Core ML tells no plan of this model: " in ran.log


@pytest.mark.usefixtures("mac")
def test_a_model_that_takes_too_long_fails_with_the_figures_of_all_units(timed):
    assert timed(max_ms=10_000, max_load_ms=100_000).ok
    ran = timed(max_ms=1e-6)

    assert ran.kind == "failure"
    assert ran.error.startswith("a prediction takes longer than max_ms 1e-06: CPU_ONLY ")
    assert ", ALL " in ran.error
    assert timed(max_load_ms=1e-6).error.startswith("loading takes longer than max_load_ms")


@pytest.mark.usefixtures("mac")
def test_what_core_ml_refuses_is_told(timed, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("Error in declaring network.")

    monkeypatch.setattr(ct.models.MLModel, "predict", refuse)

    assert timed().error == "Core ML did not run the model: Error in declaring network."


class Phone:
    """A connected device, as coremltools lists it."""

    def __init__(self, state="connected"):
        self.name, self.identifier, self.udid, self.os_version = "Test phone", "ID-1", "U-1", "26.1"
        self.state, self.type = SimpleNamespace(value=state), SimpleNamespace(value="iPhone")
        self.credentials = None

    async def prepare_for_model_debugging(self, credentials, working_directory):
        assert working_directory.is_dir()
        self.credentials = credentials
        return self


class Benchmarker:
    """Ten milliseconds on everything, as ``MLModelBenchmarker`` would tell it."""

    asked: list = []

    def __init__(self, model, device):
        self.model, self.device = model, device

    async def benchmark_load(self, iterations):
        return SimpleNamespace(samples=[100.0] * iterations)

    async def benchmark_predict(self, inputs, iterations):
        self.asked.append((self.device.name, sorted(inputs), iterations))
        return SimpleNamespace(samples=[10.0] * iterations)


@pytest.fixture
def phone(mac, monkeypatch):
    from coremltools.models.ml_program.experimental import perf_utils, remote_device

    device = Phone()
    monkeypatch.setattr(remote_device.Device, "get_devices", lambda: [device])
    monkeypatch.setattr(perf_utils, "MLModelBenchmarker", Benchmarker)
    monkeypatch.setattr(Benchmarker, "asked", [])
    return device


def test_a_connected_device_is_timed_by_coremltools_model_runner(timed, phone):
    ran = timed(device="Test phone", team="ABCDE12345")

    assert ran.ok, ran.error
    report = ran.json("report")
    assert report["system"]["device"] == "Test phone"
    assert report["system"]["type"] == "iPhone"
    assert report["units"]["ALL"]["median_ms"] == 10
    assert report["units"]["ALL"]["load_ms"] == 100
    assert phone.credentials.development_team == "ABCDE12345"
    assert [count for _, _, count in Benchmarker.asked] == [1, 5, 1, 5]


def test_a_device_that_is_missing_or_away_is_told(timed, phone):
    missing = timed(device="Other phone", team="ABCDE12345")
    assert (missing.error, missing.hint) == (
        "there is no device 'Other phone'",
        "there are: Test phone",
    )
    phone.state = SimpleNamespace(value="unavailable")
    away = timed(device="U-1", team="ABCDE12345")
    assert away.error == "Test phone is not connected: it is unavailable"


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Core ML")
def test_other_systems_are_refused_by_name(timed):
    ran = timed()

    assert ran.error == "validate/device needs Core ML, which only macOS has; this is Linux"


def test_the_spread_of_times_is_half_the_distance_of_quartiles_over_the_median():
    from mlbuild.stages._shared.apple_tools.timing import summary

    found = summary([10.0, 11.0, 12.0, 13.0, 90.0])
    assert found["median_ms"] == 12
    assert found["spread"] == pytest.approx(2 / 2 / 12)
    assert found["max_ms"] == 90
