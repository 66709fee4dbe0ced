"""Inside the process that runs the tests: draws cases, watches them, writes what became of them.

A plugin of pytest. It is told by the environment variable ``MLBUILD_CONFORMANCE`` (JSON, see
``Orders``), and appends one line of JSON to the results for each case that begins and ends.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import resource
import signal
import threading
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mlbuild.coreml
from benchmarks.conformance import comparing, replacing
from benchmarks.conformance.reasons import reason_of
from benchmarks.conformance.stated import allowance, elsewhere, idle

ENOUGH_MEMORY = 3 << 30  # bytes; then a fresh process goes on
RESTART = 75  # the exit status that asks for it
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


@dataclass(frozen=True)
class Orders:
    """What one process is to do."""

    results: str
    seed: int
    sample: int  # cases of each test function; 0 is all
    precision: str
    strict: bool
    limit: float  # CPU seconds for a case


class Recorder:
    """Runs the drawn cases that are not in the results yet."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.results = Path(orders.results)
        self.done = _finished(self.results)
        self.ids: dict[str, str] = {}

    def write(self, **fields: Any) -> None:
        # Opened anew each time: the process may end at any moment.
        with self.results.open("a") as file:
            file.write(json.dumps(fields) + "\n")

    def pytest_collectstart(self, collector: Any) -> None:
        _stay_small()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        for name, item in zip(_names(items), items, strict=True):
            self.ids[item.nodeid] = name
        drawn = draw(items, self.orders.seed, self.orders.sample)
        self.write(event="drawn", of=len(items), cases=len(drawn))
        items[:] = [item for item in drawn if self.ids[item.nodeid] not in self.done]

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.write(event="uncollected", test=report.nodeid, reason=_last(str(report.longrepr)))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        name = self.ids[item.nodeid]
        held, floor = allowance(name)
        comparing.begin(name, self.orders.strict and held, floor, idle(name))
        self.write(event="begin", test=name)
        self.began, self.told = time.monotonic(), False
        answer = yield
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > ENOUGH_MEMORY:
            os._exit(RESTART)
        return answer

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: Any) -> Iterator[None]:
        _same_numbers(f"{self.orders.seed}:{self.ids[item.nodeid]}")
        limit = self.orders.limit

        def late(*_: Any) -> None:
            raise TimeoutError(f"took more than {limit:g} CPU s")

        # Time of the processor, so that a busy machine fails nothing.
        signal.signal(signal.SIGPROF, late)
        signal.setitimer(signal.ITIMER_PROF, limit)
        # What waits, or does not come back from a library, is ended with the process.
        end = threading.Timer(20 * limit, os._exit, (RESTART,))
        end.daemon = True
        end.start()
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            end.cancel()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Iterator[None]:
        report = yield
        if not self.told and (report.when == "call" or report.outcome != "passed"):
            self.told = True
            case = comparing.case
            outcome, reason = outcome_of(report, call, case)
            known = elsewhere(self.ids[item.nodeid])
            if outcome == "failed" and known and case.compared and not case.disagreed:
                outcome, reason = "unreached", known
            self.write(
                event="end",
                test=self.ids[item.nodeid],
                outcome=outcome,
                reason=reason,
                compared=case.compared,
                predictions=case.predictions,
                type=case.type,
                seconds=round(time.monotonic() - self.began, 2),
            )
        return report


def outcome_of(report: Any, call: Any, case: comparing.Case) -> tuple[str, str]:
    """One of the outcomes of ``results.OUTCOMES``, and why, in one line."""
    if report.outcome == "skipped":
        return "skipped", _last(str(report.longrepr))
    if report.outcome == "passed":
        return ("passed" if case.compared else "no_numbers"), ""
    error = call.excinfo.value if call.excinfo else None
    refused, reason = reason_of(error, str(report.longrepr))
    if refused:
        return "refused", reason
    if not case.predictions and not case.refusals:
        return "unreached", reason
    return "failed", reason


def draw(items: list[Any], seed: int, sample: int) -> list[Any]:
    """A sample of the cases of each test function, in their order; ``sample`` 0 draws all."""
    if not sample:
        return list(items)
    groups: dict[str, list[int]] = {}
    for position, item in enumerate(items):
        groups.setdefault(item.nodeid.split("[")[0], []).append(position)
    chosen: list[int] = []
    for function, positions in groups.items():
        dice = random.Random(f"{seed}:{function}")
        chosen += dice.sample(positions, min(sample, len(positions)))
    return [items[position] for position in sorted(chosen)]


def _names(items: list[Any]) -> list[str]:
    """Names that are the same in each process: without addresses, counted where they recur."""
    seen: Counter[str] = Counter()
    names = []
    for item in items:
        name = _ADDRESS.sub("0x", item.nodeid)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names


def _finished(results: Path) -> set[str]:
    lines = results.read_text().splitlines() if results.exists() else []
    events = [json.loads(line) for line in lines]
    return {event["test"] for event in events if event["event"] == "end"}


def _same_numbers(text: str) -> None:
    """Seed every source of random numbers, so that a case can be repeated alone."""
    import numpy as np
    import torch

    seed = zlib.crc32(text.encode())
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _stay_small() -> None:
    import torch

    torch.set_num_threads(1)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def pytest_configure(config: Any) -> None:
    """Prepare everything that must stand before the first test is imported."""
    orders = Orders(**json.loads(os.environ["MLBUILD_CONFORMANCE"]))
    warnings.simplefilter("ignore")
    mlbuild.coreml.enable_predict(precision=orders.precision, seed=orders.seed)
    comparing.watch_comparisons()
    import coremltools  # noqa: F401  (with the stand-in in place)

    comparing.watch_coremltools()
    comparing.watch_predictions()
    # coremltools leaves torch.export out on Intel, where its own machines fail.
    platform.machine = lambda: "arm64"
    config.pluginmanager.register(Recorder(orders), "mlbuild-conformance")


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> None:
    """Replace what a test module would take from the network."""
    replacing.before_import(module_path)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: Any) -> Iterator[Any]:
    """Hold the comparisons that a module makes by itself to the closeness."""
    report = yield
    if isinstance(collector, pytest.Module) and report.passed:
        replacing.after_import(collector.obj)
    return report
