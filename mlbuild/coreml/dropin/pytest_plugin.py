"""Lets tests that call coremltools' ``predict`` run for real on Linux.

One line of a project's pytest configuration does it::

    addopts = "-p mlbuild.coreml.dropin.pytest_plugin"

Two settings may stand beside it: ``coreml_precision`` (``declared`` or ``float32``) and
``coreml_seed``. On a Mac the tests keep running by Core ML.
"""

from __future__ import annotations

from typing import Any

from . import enable_predict


def pytest_addoption(parser: Any) -> None:
    """The two settings."""
    parser.addini("coreml_precision", "declared or float32", default="declared")
    parser.addini("coreml_seed", "where random operators begin", default="")


def pytest_load_initial_conftests(early_config: Any) -> None:
    """Before the first conftest.py, which may import coremltools and copy its flags."""
    _enable(early_config)


def pytest_configure(config: Any) -> None:
    """Where the plugin is named in a conftest.py itself."""
    _enable(config)


def pytest_report_header(config: Any) -> str:
    """Say who predicts."""
    if _enable(config):
        return f"coremltools: predictions by mlbuild, {config.getini('coreml_precision')} precision"
    return "coremltools: predictions by Core ML"


def _enable(config: Any) -> bool:
    seed = config.getini("coreml_seed")
    return enable_predict(
        precision=config.getini("coreml_precision"), seed=int(seed) if seed else None
    )
