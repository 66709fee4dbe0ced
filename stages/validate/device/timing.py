"""Loads and predicts with the clock running: here, or on a connected device."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coremltools as ct

from ..._shared.problem.problem import Problem

_MS = 1e-6  # of a nanosecond


@dataclass(frozen=True)
class Timed:
    """One compute unit: milliseconds."""

    load: float
    predictions: list[float]


def on_this_mac(model: Path, unit: str, values: Mapping[str, Any], params: Any) -> Timed:
    """Time on a compute unit of this Mac.

    Core ML's own clock is read where coremltools gives it; it leaves out what Python adds.
    """
    begun = time.perf_counter_ns()
    loaded = opened(model, unit)
    load = loaded.load_duration_in_nano_seconds or time.perf_counter_ns() - begun
    state = loaded.make_state() if loaded.get_spec().description.state else None
    given = {} if state is None else {"state": state}
    times = []
    for _ in range(params.warmup + params.repeats):
        begun = time.perf_counter_ns()
        loaded.predict(dict(values), **given)
        took = time.perf_counter_ns() - begun
        times.append((loaded.last_predict_duration_in_nano_seconds or took) * _MS)
    return Timed(load * _MS, times[params.warmup :])


def opened(model: Path, unit: str) -> Any:
    """A model of coremltools on a compute unit."""
    return ct.models.MLModel(str(model), compute_units=getattr(ct.ComputeUnit, unit))


def on_device(
    model: Path, units: list[str], values: Mapping[str, Any], params: Any, scratch: Path
) -> tuple[dict[str, Timed], dict[str, str]]:
    """Time on a connected device; gives back what it is, too.

    Raises:
        Problem: it is not connected, or its app cannot be built.
    """
    # Not at import: Xcode's tools are asked for what is connected.
    from coremltools.models.ml_program.experimental.remote_device import Device

    found = Device.get_devices()
    fits = [d for d in found if params.device in (d.name, d.identifier, d.udid)]
    if not fits:
        had = ", ".join(sorted(d.name for d in found)) or "none"
        raise Problem(f"there is no device '{params.device}'", f"there are: {had}")
    (device, *_) = fits
    if device.state.value != "connected":
        raise Problem(
            f"{device.name} is not connected: it is {device.state.value}",
            "connect and unlock it, and turn developer mode on",
        )
    about = {"device": device.name, "type": device.type.value, "os": device.os_version}
    return asyncio.run(_on_device(device, model, units, values, params, scratch)), about


async def _on_device(
    device: Any,
    model: Path,
    units: list[str],
    values: Mapping[str, Any],
    params: Any,
    scratch: Path,
) -> dict[str, Timed]:
    from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker
    from coremltools.models.ml_program.experimental.remote_device import AppSigningCredentials

    credentials = AppSigningCredentials(development_team=params.team)
    prepared = await device.prepare_for_model_debugging(
        credentials=credentials, working_directory=scratch
    )
    timed = {}
    for unit in units:
        bench = MLModelBenchmarker(model=opened(model, unit), device=prepared)
        load = await bench.benchmark_load(iterations=1)
        await bench.benchmark_predict(dict(values), iterations=params.warmup)
        found = await bench.benchmark_predict(dict(values), iterations=params.repeats)
        timed[unit] = Timed(load.samples[0], list(found.samples))
    return timed
