"""Counts the comparisons of numbers that a case makes, and holds them to a closeness.

coremltools compares with numpy's and unittest's functions. They are wrapped: a comparison counts
when it comes after a prediction of the same case and looks at one number at least. Its tolerances
are capped, the caps being those of the type that the model computes in. coremltools itself widens
float16 to 0.5 absolute and 0.05 relative, which would hide almost everything.
"""

from __future__ import annotations

import functools
import inspect
import sys
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# (absolute, relative) by the coarsest type that a model of the case computes in.
CAPS = {"fp32": (1e-4, 1e-5), "fp16": (5e-3, 5e-3)}
# For float16 coremltools takes the larger of these and a hundredfold of what a test states.
_WIDENED = {"atol": (0.5, 100.0), "rtol": (0.05, 100.0)}


@dataclass
class Case:
    """What is known of the case that is running."""

    strict: bool = True
    floor: float = 0.0  # tolerances are not below this
    predictions: int = 0
    loads: int = 0
    refusals: int = 0
    compared: int = 0
    disagreed: bool = False
    type: str = "fp32"
    idle: bool = False  # whether its comparisons say nothing

    def caps(self) -> tuple[float, float]:
        """The largest tolerances that are allowed now, absolute and relative."""
        return CAPS[self.type]


case = Case()


def begin(test: str, strict: bool, floor: float = 0.0, idle: bool = False) -> None:
    """Start counting for a new case.

    A test that is given float16 arrays computes its expected values in float16, whatever the
    model computes in (a NeuralNetwork declares no types): it is held to float16's closeness.
    """
    halves = "fp16" if "numpy.float16" in test else "fp32"
    vars(case).update(vars(Case(strict, floor, type=halves, idle=idle)))


def watch_predictions() -> None:
    """Note every model that is loaded and every prediction, and what type it computes in."""
    from mlbuild.coreml.dropin import proxy

    load, predict = proxy.Proxy.__init__, proxy.Proxy.predict

    def loaded(self: Any, *args: Any, **named: Any) -> None:
        case.loads += 1
        try:
            load(self, *args, **named)
        except Exception:
            case.refusals += 1
            raise
        self.computes_in = _type_of(self._source.spec)

    def predicted(self: Any, *args: Any, **named: Any) -> Any:
        case.predictions += 1
        if self.computes_in == "fp16":  # it stays, though others compute in float32
            case.type = "fp16"
        return predict(self, *args, **named)

    proxy.Proxy.__init__, proxy.Proxy.predict = loaded, predicted


def watch_comparisons() -> None:
    """Wrap the functions that compare numbers; before the tests are imported."""
    for name in ("assert_allclose", "assert_almost_equal", "assert_array_almost_equal"):
        _wrap(np.testing, name)
    for name in ("assert_array_equal", "assert_equal", "assert_array_less"):
        _wrap(np.testing, name)
    for name in ("allclose", "isclose", "array_equal"):
        _wrap(np, name)
    for name in ("assertAlmostEqual", "assertLessEqual"):
        _wrap(unittest.TestCase, name, skip=1)
    import torch

    for name in ("allclose", "isclose"):
        _wrap(torch, name)
    _wrap(torch.testing, "assert_close")


def _wrap(home: Any, name: str, skip: int = 0) -> None:
    """Replace one comparing function; ``skip`` leaves out a leading ``self``."""
    inner = getattr(home, name)
    try:
        signature = inspect.signature(inner)
    except ValueError:  # a function of an extension module does not tell
        signature = None
    capped = signature is not None and {"atol", "rtol"} <= set(signature.parameters)

    @functools.wraps(inner)
    def compare(*args: Any, **named: Any) -> Any:
        if case.idle or not case.predictions or not _by_a_test(sys._getframe(1).f_globals):
            return inner(*args, **named)
        if _holds_numbers(args[skip:]):
            case.compared += 1
        if capped and signature is not None:
            bound = signature.bind(*args, **named)
            bound.apply_defaults()
            _tighten(bound.arguments)
            args, named = bound.args, bound.kwargs
        return _noting(inner, args, named)

    setattr(home, name, compare)


def _noting(inner: Callable[..., Any], args: Any, named: Any) -> Any:
    """Compare, and note it where the numbers disagree."""
    case.disagreed, before = True, case.disagreed
    answer = inner(*args, **named)
    case.disagreed = before or not (answer is None or bool(np.all(np.asarray(answer))))
    return answer


def _by_a_test(caller: dict[str, Any]) -> bool:
    """Converters and libraries compare numbers too; these are not meant."""
    name = str(caller.get("__name__", ""))
    return "test" in name or name.endswith("models.utils")


def _tighten(given: dict[str, Any]) -> None:
    """Cap the stated tolerances.

    Some tests state those of float32 for models that take and give float16, whose last digit is
    larger: these are held to float16's. What is to be equal stays so.
    """
    stated = {name: given[name] for name in ("atol", "rtol")}
    if any(value is None or not np.isscalar(value) for value in stated.values()):
        return
    exact = stated["atol"] == 0 and stated["rtol"] <= 1e-7
    if exact:
        return
    for name, cap in zip(stated, case.caps(), strict=True):
        if case.type == "fp16":
            floor, factor = _WIDENED[name]
            plain, widened = stated[name] < floor, stated[name] > floor
            own = stated[name] if plain else stated[name] / factor if widened else cap
            given[name] = cap if case.strict else max(own, cap)
        elif case.strict:
            given[name] = min(stated[name], cap)
        given[name] = max(given[name], case.floor)


def _holds_numbers(args: tuple[Any, ...]) -> bool:
    for value in args[:2]:
        array = value if hasattr(value, "dtype") and hasattr(value, "shape") else None
        size = int(np.prod(array.shape)) if array is not None else np.size(value)
        if size:
            kind = np.asarray(value).dtype.kind
            if kind in "biuf":
                return True
    return False


def watch_coremltools() -> None:
    """Count the comparisons that coremltools writes as plain assertions."""
    from coremltools.converters.mil import testing_utils

    inner: Callable[..., Any] = testing_utils.compare_backend

    @functools.wraps(inner)
    def compare_backend(*args: Any, **named: Any) -> Any:
        answer = inner(*args, **named)
        if isinstance(answer, dict) and any(
            isinstance(v, dict | str | int | float) for v in answer.values()
        ):
            case.compared += 1  # class labels and scores
        return answer

    testing_utils.compare_backend = compare_backend


def watch_layers(module: Any) -> None:
    """Hold the tests of NeuralNetwork layers, which compare by themselves, to the closeness."""
    judge, run = module.CorrectnessTest._test_predictions, module.CorrectnessTest._test_model

    @functools.wraps(judge)
    def test_predictions(self: Any, *args: Any, **named: Any) -> Any:
        bound = inspect.signature(judge).bind(self, *args, **named)
        bound.apply_defaults()
        if case.strict:
            bound.arguments["delta"] = min(bound.arguments["delta"], case.caps()[0])
        if np.size(bound.arguments["np_preds"]):
            case.compared += 1
        return _noting(judge, bound.args, bound.kwargs)

    @functools.wraps(run)
    def test_model(self: Any, *args: Any, **named: Any) -> Any:
        bound = inspect.signature(run).bind(self, *args, **named)
        if bound.arguments.get("model_precision") == module._MLMODEL_HALF_PRECISION:
            case.type = "fp16"  # the weights are rounded, the expected values know nothing of it
        return run(*bound.args, **bound.kwargs)

    module.CorrectnessTest._test_predictions = test_predictions
    module.CorrectnessTest._test_model = test_model


def _type_of(spec: Any) -> str:
    """``fp16`` where any operation of an ML Program makes float16."""
    kind = spec.WhichOneof("Type")
    if kind == "mlProgram":
        for function in spec.mlProgram.functions.values():
            for block in function.block_specializations.values():
                if _makes_half(block):
                    return "fp16"
    if kind and kind.startswith("pipeline"):
        part = getattr(spec, kind)
        models = part.models if kind == "pipeline" else part.pipeline.models
        if any(_type_of(model) == "fp16" for model in models):
            return "fp16"
    return "fp32"


def _makes_half(block: Any) -> bool:
    half = 10  # MIL.proto, DataType FLOAT16
    return any(
        any(made.type.tensorType.dataType == half for made in operation.outputs)
        or any(_makes_half(inner) for inner in operation.blocks)
        for operation in block.operations
    )
