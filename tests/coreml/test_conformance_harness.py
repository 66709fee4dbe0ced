"""The conformance harness sees a wrong operator, and does not count what compares no numbers."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

ROOT = Path(__file__).parents[2]
BROKEN = """
import torch
from mlbuild.coreml.mil.operator import register_operator

register_operator("relu", lambda x: torch.clamp(x, min=-0.01))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A sample of the activations' tests, run with a relu that lets a little through."""
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.conformance.families import FAMILIES
        from benchmarks.conformance.results import read
        from benchmarks.conformance.running import Wish, run_family
        from benchmarks.conformance.tools import Tools
    finally:
        sys.path.remove(str(ROOT))
    folder = tmp_path_factory.mktemp("conformance")
    (folder / "sitecustomize.py").write_text(BROKEN)  # every interpreter imports it
    wish = Wish(3, 2, "declared", 60.0, "TestReLU or TestSigmoid", ("iOS14/test_activation",))
    here = [Path(entry) for entry in sys.path if entry]  # where pytest is found, wherever that is
    run_family(FAMILIES["ops"], wish, folder, Tools(Path(sys.executable), (folder, *here)))
    return read(folder)


def outcomes(results, function):
    return {r.outcome for r in results if function in r.test}


def test_a_wrong_operator_fails_its_cases(results):
    relu = [r for r in results if "TestReLU::test_builder_to_backend_smoke" in r.test]
    assert {r.outcome for r in relu} == {"failed"}
    assert all("Mismatched elements" in r.reason for r in relu)
    assert {r.type for r in relu} <= {"fp16", "fp32"}


def test_right_operators_pass_theirs_and_numbers_were_compared(results):
    right = [r for r in results if "TestSigmoid::test_builder_to_backend_smoke" in r.test]
    assert {r.outcome for r in right} == {"passed"}
    assert all(r.compared for r in right)


def test_a_case_that_compares_no_numbers_counts_for_nothing(results):
    from benchmarks.conformance.results import tally

    assert outcomes(results, "TestSigmoid::test_builder_eval") == {"no_numbers"}
    silent = [r for r in results if r.outcome == "no_numbers"]
    assert tally(silent).counted == 0
    assert tally(silent).share is None


def test_a_seed_draws_the_same_cases_each_time_and_another_seed_draws_others(results):
    from benchmarks.conformance.plugin import draw

    class Item:
        def __init__(self, nodeid):
            self.nodeid = nodeid

    def drawn(seed, sample):
        return [item.nodeid for item in draw(items, seed, sample)]

    items = [Item(f"a.py::test[{n}]") for n in range(50)] + [Item("a.py::other")]
    assert drawn(7, 5) == drawn(7, 5)
    assert len(drawn(7, 5)) == 6
    assert drawn(8, 5) != drawn(7, 5)
    assert len(drawn(7, 0)) == 51


FP16 = {"atol": 0.5, "rtol": 0.05}  # what coremltools makes of its default tolerances


@pytest.mark.parametrize(
    ("stated", "type", "strict", "held"),
    [
        (FP16, "fp16", True, (5e-3, 5e-3)),
        (FP16, "fp16", False, (5e-3, 5e-3)),
        ({"atol": 10.0, "rtol": 0.05}, "fp16", False, (0.1, 5e-3)),
        ({"atol": 10.0, "rtol": 0.05}, "fp16", True, (5e-3, 5e-3)),
        ({"atol": 1e-2, "rtol": 1e-3}, "fp32", True, (1e-4, 1e-5)),
        ({"atol": 1e-2, "rtol": 1e-3}, "fp32", False, (1e-2, 1e-3)),
        ({"atol": 1e-6, "rtol": 0.0}, "fp32", True, (1e-6, 0.0)),
        ({"atol": 0.0, "rtol": 1e-7}, "fp16", True, (0.0, 1e-7)),
    ],
    ids=[
        "the widening is undone",
        "also where a test's own tolerance holds",
        "of a widened tolerance the test's own is left",
        "which a strict family does not leave",
        "float32 is capped",
        "unless the test's own holds",
        "a closer tolerance stays",
        "what is to be equal stays so",
    ],
)
def test_tolerances_are_tightened(monkeypatch, stated, type, strict, held):
    sys.path.insert(0, str(ROOT))
    from benchmarks.conformance import comparing

    monkeypatch.setattr(comparing, "case", comparing.Case(strict, 0.0, 1, type=type))
    given = dict(stated)
    comparing._tighten(given)
    assert (given["atol"], given["rtol"]) == pytest.approx(held)


@pytest.mark.parametrize(("idle", "counted"), [(False, 1), (True, 0)])
def test_draws_compared_with_other_draws_do_not_count(monkeypatch, idle, counted):
    sys.path.insert(0, str(ROOT))
    import types

    import numpy as np

    from benchmarks.conformance import comparing

    monkeypatch.setattr(comparing, "case", comparing.Case(predictions=1, idle=idle))
    home = types.SimpleNamespace(assert_allclose=np.testing.assert_allclose)
    comparing._wrap(home, "assert_allclose")
    other = np.full(3, 9.0 * idle)  # only what does not count keeps a tolerance of 100
    home.assert_allclose(np.zeros(3), other, atol=100.0, rtol=0.0)
    assert comparing.case.compared == counted


def test_a_reason_is_given_only_to_the_cases_it_is_of():
    sys.path.insert(0, str(ROOT))
    from benchmarks.conformance.stated import elsewhere, idle

    gather = "torch/test/test_torch_ops.py::TestGather::test_gather_nd_int16_indices[x-dynamic={}]"
    assert elsewhere(gather.format(True))
    assert elsewhere(gather.format(False)) is None
    assert idle("torch/test/test_torch_ops.py::TestRandn::test_randn[fp32]")
    assert not idle("torch/test/test_torch_ops.py::TestRandn::test_randn_shape_only[fp32]")
