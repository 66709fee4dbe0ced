"""What coremltools holds of Core ML: loaded models, their states, compiled models.

Its own documentation of ``MLModel``, ``CompiledMLModel``, ``MLState``, ``MLModelAsset`` and
``MLComputePlan`` says what the classes here must do. Failures are ``RuntimeError``, which is what
the extension raises and coremltools catches.

Source: coremltools 9.0, models/model.py, models/_compiled_model.py, models/compute_plan.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CoreMLError
from ..model import load_spec
from . import compiled, stand_in
from .sentences import core_ml_says

# The newest specification that coremltools 9.0 writes (iOS26).
NEWEST_SPECIFICATION = 10
COMPUTE_UNITS = ("ALL", "CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE")


class RefusedError(RuntimeError):
    """An error of the runtime, told to users of coremltools; its cause is the error itself."""


@contextmanager
def _as_runtime_error() -> Iterator[None]:
    try:
        yield
    except CoreMLError as error:
        raise RefusedError(str(error)) from error


class State:
    """What ``MLState`` holds: a state of the runtime, changed by predictions."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def read_state(self, name: str) -> Any:
        """A copy of one value."""
        with _as_runtime_error():
            return _given(self.state.read_state(name))

    def write_state(self, name: str, value: Any) -> None:
        """Replace one value by one of the same shape."""
        with _as_runtime_error():
            self.state.write_state(name, value)


class Asset:
    """What ``MLModelAsset`` holds: a compiled model on disk or in memory."""

    def __init__(self, source: compiled.Source) -> None:
        self.source = source


class ComputePlan:
    """Which device would run what is known to Core ML alone; here so that the name has a type."""


class CPUDevice:
    """A processor."""


class GPUDevice:
    """A graphics processor; never offered."""


class NeuralEngineDevice:
    """A Neural Engine; never offered."""


class Proxy:
    """What ``MLModel`` and ``CompiledMLModel`` hold: one loaded model.

    Args:
        path: A model or a compiled model.
        compute_units: Checked; the arithmetic is the same for each.
        function: The function of a multi-function model, empty for the default.
        hints: Optimization hints, which change no result.
        asset: Stands in for the path.
    """

    def __init__(
        self,
        path: str,
        compute_units: str = "ALL",
        function: str = "",
        hints: Mapping[str, str] | None = None,
        asset: Asset | None = None,
    ) -> None:
        if compute_units not in COMPUTE_UNITS:
            raise RuntimeError(f"unknown compute units: {compute_units}")
        begun = time.perf_counter_ns()
        with _as_runtime_error():
            self._source = asset.source if asset else compiled.open_source(Path(path))
            options = replace(stand_in.options, function=function or None)
            self._model = load_spec(self._source.spec, self._source.folder, options)
        self._load_time = time.perf_counter_ns() - begun
        self._predict_time: int | None = None

    def predict(self, data: Mapping[str, Any], state: State | None = None) -> dict[str, Any]:
        """One prediction."""
        begun = time.perf_counter_ns()
        try:
            outputs = self._model.predict(data, None if state is None else state.state)
        except CoreMLError as error:
            said = core_ml_says(error, self._model.description, data)
            raise RefusedError(said) from error
        self._predict_time = time.perf_counter_ns() - begun
        return {name: _given(value) for name, value in outputs.items()}

    def batchPredict(self, batch: list[Mapping[str, Any]]) -> list[dict[str, Any]]:  # noqa: N802
        """Several predictions, one after the other."""
        begun = time.perf_counter_ns()
        answers = [self.predict(data) for data in batch]
        self._predict_time = time.perf_counter_ns() - begun
        return answers

    def newState(self) -> State:  # noqa: N802
        """Fresh state."""
        with _as_runtime_error():
            return State(self._model.make_state())

    def get_compiled_model_path(self) -> str:
        """Where the compiled model lies, for as long as this object lives."""
        with _as_runtime_error():
            return str(self._source.compiled())

    def get_load_duration_in_nano_seconds(self) -> int:
        """How long loading took."""
        return self._load_time

    def get_last_predict_duration_in_nano_seconds(self) -> int | None:
        """How long the last prediction took, None before the first one."""
        return self._predict_time

    @staticmethod
    def maximum_supported_specification_version() -> int:
        """The newest specification that can be loaded."""
        return NEWEST_SPECIFICATION

    @staticmethod
    def compileModel(path: str) -> str:  # noqa: N802
        """Write a compiled model into a temporary folder and say where."""
        with _as_runtime_error():
            return str(compiled.write(Path(path)))

    @staticmethod
    def auto_set_specification_version(spec: bytes) -> bytes:
        """Which is the lowest version that can hold a model is Core ML's own knowledge."""
        raise RuntimeError("the lowest specification version can be found on macOS only")

    @staticmethod
    def create_model_asset_from_path(path: str) -> Any:
        """An ``MLModelAsset`` of a compiled model."""
        with _as_runtime_error():
            return _model_asset(compiled.open_source(Path(path)))

    @staticmethod
    def create_model_asset_from_memory(spec: bytes, blobs: Mapping[str, bytes]) -> Any:
        """An ``MLModelAsset`` of a specification, and of its weight files by path."""
        with _as_runtime_error():
            return _model_asset(compiled.from_memory(spec, blobs))

    @staticmethod
    def get_available_compute_devices() -> list[Any]:
        """This machine's processor."""
        from coremltools.models.compute_device import MLCPUComputeDevice  # it is what asks

        return [MLCPUComputeDevice(CPUDevice())]

    get_all_compute_devices = get_available_compute_devices

    @staticmethod
    def get_model_structure(path: str) -> Any:
        """``mlbuild inspect`` tells it; coremltools' form of it comes from Core ML's compiler."""
        raise RuntimeError("the structure of a compiled model can be read on macOS only")

    @staticmethod
    def get_compute_plan(path: str, compute_units: str) -> Any:
        """Which device would run what is known to Core ML alone."""
        raise RuntimeError("compute plans can be made on macOS only")


def _model_asset(source: compiled.Source) -> Any:
    from coremltools.models.model import MLModelAsset  # it is what asks

    return MLModelAsset(Asset(source))


def _given(value: Any) -> Any:
    """An output as the extension gives it: no float16 arrays, coloured pictures with an alpha."""
    if getattr(value, "mode", None) == "RGB":
        return value.convert("RGBA")
    if isinstance(value, np.ndarray) and value.dtype == np.float16:
        return value.astype(np.float32)
    return value
