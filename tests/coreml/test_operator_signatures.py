"""Every operator of coremltools' registry, in every opset, with the signature that it has there."""

import warnings

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.toolchain

OPSETS = ("iOS15", "iOS16", "iOS17", "iOS18", "iOS26")
# Constants are read by the compiler itself, not called.
NOT_CALLED = {"const", "_const_symbolic"}


@pytest.fixture(scope="module")
def registry():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("coremltools")
        from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
    return SSAOpRegistry


def signature(registry, name, opset):
    """Input names, each with whether it must be given, or None where there is none yet.

    Inputs with an underscore are functions of the builder, which a program holds as blocks.
    """
    from coremltools import target

    limit = getattr(target, opset)
    versions = [v for v in registry.core_ops[name] if v <= limit]
    if not versions:
        return None
    types = registry.core_ops[name][max(versions)].input_spec.input_types
    return {n: not t.optional for n, t in types.items() if not n.startswith("_")}


def ours(name, opset):
    from mlbuild.coreml.mil.operator import find
    from mlbuild.coreml.mil.program import OPSETS as NAMES
    from mlbuild.coreml.mil.program import Operation

    operation = Operation(name, {}, frozenset(), (), (), {}, 0, "main")
    (code,) = (code for code, text in NAMES.items() if text == opset)
    return {p.name: p.required for p in find(operation, code).parameters}


@pytest.mark.parametrize("opset", OPSETS)
def test_every_operator_has_the_signature_of_its_opset(registry, opset):
    expected = {name: signature(registry, name, opset) for name in sorted(registry.core_ops)}
    expected = {n: s for n, s in expected.items() if s is not None and n not in NOT_CALLED}
    assert len(expected) > 145
    assert {name: ours(name, opset) for name in expected} == expected


@pytest.mark.parametrize("opset", OPSETS)
def test_no_operator_is_there_before_its_opset(registry, opset):
    from mlbuild.coreml import UnsupportedError

    for name in sorted(registry.core_ops):
        if signature(registry, name, opset) is None:
            with pytest.raises(UnsupportedError, match=f"the operator {opset}.{name} is not"):
                ours(name, opset)


def test_nothing_is_registered_that_no_program_can_hold(registry):
    from mlbuild.coreml.mil.operator import supported

    # What coreml_update_state becomes in a program, and the form that converters hold it in.
    states = {"write_state", "coreml_update_state"}
    assert set(supported()) - set(registry.core_ops) == states
