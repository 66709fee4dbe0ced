"""What is run: families of tests, where they lie, and how closely they compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        paths: Files or folders, below coremltools' or, for our own suites, below this folder.
        own: Whether the tests are ours and not coremltools'.
        strict: Whether the tolerances that the tests state are capped. Where a test compares a
            compressed model with the one it was made from, the tolerance is the compression's,
            and only coremltools' widening for float16 is undone.
        packages: What the tests need beside the toolchain, as requirements of pip.
        goal: The share of the cases that compared numbers which is to pass.
    """

    name: str
    help: str
    paths: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    strict: bool = True
    packages: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    goal: float | None = None


_PROGRAMS = {"PYMIL_TEST_TARGETS": "mlprogram", "INCLUDE_MIL_FP32_UNIT_TESTS": "1"}
_NETWORKS = {"PYMIL_TEST_TARGETS": "neuralnetwork"}
_OPERATORS = ("converters/mil/mil/ops/tests",)
_TORCH = ("converters/mil/frontend/torch/test",)
_TABLES = ("pandas==2.3.3", "python-dateutil==2.9.0.post0", "pytz==2025.2", "six==1.17.0")

_ALL = (
    Family("ops", "MIL operators as ML Programs", _OPERATORS, _PROGRAMS, goal=0.995),
    Family("torch", "the torch front end to ML Programs", _TORCH, _PROGRAMS, goal=0.99),
    Family(
        "passes",
        "graph passes, programs, inputs and outputs",
        (
            "converters/mil/mil/passes/tests",
            "converters/mil/mil/tests",
            "converters/mil/test_inputs_outputs_shape.py",
            "converters/mil/backend/mil",
            "converters/mil/frontend/milproto",
        ),
        _PROGRAMS,
    ),
    Family(
        "optimize",
        "compressed models",
        ("test/optimize", "test/ml_program/test_compression.py", "test/ml_program/test_utils.py"),
        _PROGRAMS,
        strict=False,
    ),
    Family(
        "nn",
        "NeuralNetwork layers",
        ("test/neural_network",),
        leave_out=("test_tf_numeric.py",),
        goal=0.98,
    ),
    Family("nn-ops", "MIL operators as NeuralNetworks", _OPERATORS, _NETWORKS, goal=0.98),
    Family("nn-torch", "the torch front end to NeuralNetworks", _TORCH, _NETWORKS, goal=0.98),
    Family(
        "api",
        "the interface: packages, pipelines, updatable models, examples of the documentation",
        ("test/api", "test/modelpackage", "test/pipeline", "test/blob"),
        _PROGRAMS,
        packages=_TABLES,
    ),
    Family(
        "sklearn",
        "coremltools' tests of its scikit-learn converters",
        ("test/sklearn_tests",),
        packages=_TABLES,
    ),
    Family(
        "classical",
        "scikit-learn's, XGBoost's and LIBSVM's own predictions",
        (
            "suites/test_sklearn.py",
            "suites/test_xgboost.py",
            "suites/test_libsvm.py",
            "suites/test_random_sklearn.py",
            "suites/test_random_xgboost.py",
            "suites/test_random_libsvm.py",
        ),
        own=True,
        packages=("xgboost==1.7.6", "libsvm-official==3.35.0", *_TABLES),
    ),
    Family(
        "onnx",
        "onnx's backend tests through onnx2coreml",
        ("suites/test_onnx_backend.py",),
        own=True,
        packages=("onnx==1.23.2", "onnx2coreml==1.1.0", "ml_dtypes==0.5.4"),
    ),
    Family(
        "basic-pitch",
        "a published ML Program against its own ONNX twin",
        ("suites/test_basic_pitch.py",),
        own=True,
        packages=(
            "basic-pitch==0.4.0",
            "onnxruntime==1.31.1",
            "onnx==1.23.2",
            "ml_dtypes==0.5.4",
        ),
    ),
)
FAMILIES = {family.name: family for family in _ALL}
