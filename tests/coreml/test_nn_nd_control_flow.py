"""Branches and loops of neural networks."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


def inside(network):
    """A builder of a nested network."""
    from coremltools.models.neural_network import NeuralNetworkBuilder

    return NeuralNetworkBuilder(nn_spec=network)


def number(b, name, value):
    b.add_load_constant_nd(name, name, constant_value=np.float32([value]), shape=(1,))


def count(b, name="count", by=1.0):
    """Adds to a blob in place, as only a copy may."""
    number(b, f"{name} step", by)
    b.add_add_broadcastable(f"{name} sum", [name, f"{name} step"], f"{name} next")
    b.add_copy(f"{name} copy", f"{name} next", name)


@pytest.mark.parametrize(("condition", "result"), [(1.0, 1), (-1e-3, 1), (0.0, 2), (1e-7, 2)])
def test_a_branch_is_chosen_by_whether_the_condition_is_about_zero(run_network, condition, result):
    def build(b):
        branch = b.add_branch("branch", "condition").branch
        number(inside(branch.ifBranch), "y", 1)
        number(inside(branch.elseBranch), "y", 2)

    assert run_network(build, {"condition": [condition]}) == [result]


def test_without_an_else_branch_the_blob_stays_what_it_was(run_network):
    def build(b):
        number(b, "y", 5)
        branch = b.add_branch("branch", "condition").branch
        number(inside(branch.ifBranch), "other", 6)
        inside(branch.ifBranch).add_copy("copy", "other", "y")
        branch.ClearField("elseBranch")

    assert run_network(build, {"condition": [0.0]}) == [5]
    assert run_network(build, {"condition": [1.0]}) == [6]


def test_a_loop_that_only_counts_runs_as_often_as_it_says(run_network):
    def build(b):
        number(b, "count", 0)
        loop = b.add_loop("loop", max_iterations=4).loop
        count(inside(loop.bodyNetwork))
        b.add_copy("out", "count", "y")

    assert run_network(build, {}) == [4]


def test_the_number_of_iterations_may_come_from_a_blob_and_then_stands_for_the_fixed_one(
    run_network,
):
    def build(b):
        number(b, "count", 0)
        layer = b.add_loop("loop", input_name="limit", max_iterations=1)
        count(inside(layer.loop.bodyNetwork))
        b.add_copy("out", "count", "y")

    for limit, result in ((3.0, 3), (0.0, 0), (-1.0, 0)):
        assert run_network(build, {"limit": [limit]}) == [result]


def while_below(b, limit, most=0):
    """A loop while count < limit, with at most so many iterations (0: any number)."""
    number(b, "count", 0)
    number(b, "rounds", 0)
    loop = b.add_loop("loop", max_iterations=most or None).loop
    loop.conditionVar = "go on"
    condition = inside(loop.conditionNetwork)
    count(condition, "rounds")
    condition.add_less_than("less", ["count"], "go on", alpha=limit)
    return loop


@pytest.mark.parametrize(
    ("limit", "most", "result"),
    [(3, 0, [3, 4]), (3, 2, [2, 3]), (0, 0, [0, 1]), (3, 9, [3, 4])],
    ids=["condition only", "limit first", "not once", "condition first"],
)
def test_a_while_loop_asks_before_each_iteration_and_once_more(run_network, limit, most, result):
    def build(b):
        count(inside(while_below(b, limit, most).bodyNetwork))
        b.add_concat_nd("out", ["count", "rounds"], "y", axis=0)

    np.testing.assert_array_equal(run_network(build, {}), result)


def test_break_ends_the_innermost_loop_and_continue_its_iteration(run_network):
    # 3 outer rounds; in each, inner counts to 2, then breaks; what follows a continue is left out.
    def build(b):
        for name in ("inner", "outer", "never"):
            number(b, name, 0)
        outer = inside(b.add_loop("outer loop", max_iterations=3).loop.bodyNetwork)
        number(outer, "here", 0)
        inner = inside(outer.add_loop("inner loop", max_iterations=100).loop.bodyNetwork)
        count(inner, "inner")
        count(inner, "here")
        inner.add_greater_than("enough", ["here"], "enough", alpha=1.5)
        branch = inner.add_branch("branch", "enough").branch
        inside(branch.ifBranch).add_loop_break("break")
        branch.ClearField("elseBranch")
        count(outer, "outer")
        outer.add_loop_continue("continue")
        count(outer, "never")
        b.add_concat_nd("out", ["inner", "outer", "never"], "y", axis=0)

    np.testing.assert_array_equal(run_network(build, {}), [6, 3, 0])


def test_the_largest_eigenvalue_is_found_by_iterating(run_network):
    matrix = np.float32([[4, -5], [-5, 3]])

    def build(b):
        b.add_expand_dims("column", "start", "x", axes=[-1])
        body = inside(b.add_loop("loop", max_iterations=200).loop.bodyNetwork)
        body.add_batched_mat_mul("times", ["matrix", "x"], "times")
        body.add_reduce_l2("length", "times", "length", axes=[0])
        body.add_divide_broadcastable("unit", ["times", "length"], "unit")
        body.add_copy("copy", "unit", "x")
        b.add_batched_mat_mul("right", ["matrix", "x"], "right")
        b.add_batched_mat_mul("value", ["x", "right"], "y", transpose_a=True)

    y = run_network(build, {"matrix": matrix, "start": np.float32([0.6, 0.8])})
    np.testing.assert_allclose(y, [[np.linalg.eigvalsh(matrix).max()]], rtol=1e-5)


def test_what_a_nested_network_makes_can_be_kept(ct):
    from pathlib import Path

    from coremltools.models import datatypes, neural_network

    from mlbuild.coreml import load_spec

    b = neural_network.NeuralNetworkBuilder(
        [("x", datatypes.Array(1))], [("y", None)], disable_rank5_shape_mapping=True
    )
    number(b, "count", 0)
    count(inside(b.add_loop("loop", max_iterations=3).loop.bodyNetwork))
    b.add_copy("out", "count", "y")
    model = load_spec(b.spec, Path())
    assert model.run({"x": [0.0]}, keep=["count", "count next"]).values == {
        "count": [3],
        "count next": [3],
    }


def endless(b, most=0):
    return inside(while_below(b, 1e30, most).bodyNetwork)


def test_a_loop_that_does_not_end_is_stopped(run_network, monkeypatch):
    from mlbuild.coreml import ExecutionError, limits

    monkeypatch.setattr(limits, "most_turns", lambda: 50)

    def build(b):
        count(endless(b))
        b.add_copy("out", "count", "y")

    with pytest.raises(ExecutionError) as failure:
        run_network(build, {})
    assert str(failure.value) == (
        "layer 2 'loop', loop: a loop does not end\n"
        "  got: more than 50 turns\n"
        "  hint: MLBUILD_COREML_LOOPS=NUMBER sets another limit"
    )


def test_the_limit_holds_for_nested_loops_together_but_not_for_later_ones(run_network, monkeypatch):
    from mlbuild.coreml import ExecutionError, limits

    monkeypatch.setattr(limits, "most_turns", lambda: 50)

    def build(rounds):
        def layers(b):
            number(b, "count", 0)
            for n in range(2):  # one behind the other: each has the whole limit
                outer = inside(b.add_loop(f"outer {n}", max_iterations=rounds).loop.bodyNetwork)
                inner = outer.add_loop("inner", max_iterations=7).loop
                count(inside(inner.bodyNetwork))
            b.add_copy("out", "count", "y")

        return layers

    assert run_network(build(6), {}) == [2 * 6 * 7]
    with pytest.raises(ExecutionError) as failure:
        run_network(build(7), {})
    assert str(failure.value) == (
        "layer 1 'outer 0', loop, bodyNetwork: layer 0 'inner', loop: a loop does not end\n"
        "  got: more than 50 turns\n"
        "  hint: MLBUILD_COREML_LOOPS=NUMBER sets another limit"
    )


def no_body(b):
    b.add_loop("loop", max_iterations=1).loop.ClearField("bodyNetwork")


def no_condition(b):
    loop = b.add_loop("loop", max_iterations=1).loop
    count(inside(loop.bodyNetwork), "x")
    loop.ClearField("conditionNetwork")
    loop.conditionVar = "x"


def no_condition_name(b):
    loop = while_below(b, 3)
    loop.conditionVar = ""


def no_if(b):
    b.add_branch("branch", "x").branch.ClearField("ifBranch")


def break_outside(b):
    b.add_loop_break("break")


def continue_in_condition(b):
    loop = while_below(b, 3)
    inside(loop.conditionNetwork).add_loop_continue("continue")
    count(inside(loop.bodyNetwork))


def with_outputs(b):
    branch = b.add_branch("branch", "x")
    number(inside(branch.branch.ifBranch), "y", 1)
    branch.output.append("z")


MALFORMED = [
    (no_body, "layer 0 'loop', loop: its bodyNetwork is missing"),
    (
        no_condition,
        "layer 0 'loop', loop: conditionNetwork and conditionVar go together\n"
        "  got: one without the other",
    ),
    (
        no_condition_name,
        "layer 2 'loop', loop: conditionNetwork and conditionVar go together\n"
        "  got: one without the other",
    ),
    (no_if, "layer 0 'branch', branch: its ifBranch is missing"),
    (break_outside, "layer 0 'break', loopBreak: it must stand in the body of a loop"),
    (
        continue_in_condition,
        "layer 2 'loop', loop, conditionNetwork: layer 4 'continue', loopContinue: "
        "it must stand in the body of a loop",
    ),
    (
        with_outputs,
        "layer 0 'branch', branch: a layer with a wrong number of outputs\n  got: 1\n  allowed: 0",
    ),
]


@pytest.mark.parametrize(
    ("malform", "message"), MALFORMED, ids=lambda v: getattr(v, "__name__", "")
)
def test_malformed_control_flow_is_told_when_the_model_is_opened(run_network, malform, message):
    from mlbuild.coreml import ModelFileError

    def build(b):
        malform(b)
        b.add_copy("out", "x", "y")

    with pytest.raises(ModelFileError) as failure:
        run_network(build, {"x": [1.0]})
    assert str(failure.value) == message


def test_a_condition_is_one_number(run_network):
    from mlbuild.coreml import ExecutionError

    def build(b):
        number(inside(b.add_branch("branch", "x").branch.ifBranch), "y", 1)

    with pytest.raises(ExecutionError) as failure:
        run_network(build, {"x": [1.0, 2.0]})
    assert str(failure.value) == (
        "layer 0 'branch', branch: the condition must be one number\n  got: a blob of shape [2]"
    )


def test_the_body_may_make_the_condition_itself(run_network):
    # The network of the condition is empty: the loop looks at what the body has left.
    def build(b):
        number(b, "count", 0)
        number(b, "go on", 1)
        loop = b.add_loop("loop").loop
        loop.conditionVar = "go on"
        body = inside(loop.bodyNetwork)
        count(body)
        body.add_less_than("less", ["count"], "less", alpha=3)
        body.add_copy("next", "less", "go on")
        b.add_copy("out", "count", "y")

    assert run_network(build, {}) == [3]


def test_a_condition_that_nobody_makes_is_told(run_network):
    from mlbuild.coreml import ModelFileError

    def build(b):
        loop = while_below(b, 3)
        loop.conditionVar = "nowhere"
        count(inside(loop.bodyNetwork))
        b.add_copy("out", "count", "y")

    with pytest.raises(ModelFileError) as failure:
        run_network(build, {})
    assert str(failure.value) == (
        "layer 2 'loop', loop: no layer or input makes the blob 'nowhere'"
    )


def backwards(b):
    """Two layers that each wait for the other."""
    b.add_sin("first", "late", "early")
    b.add_cos("second", "early", "late")


def unknown_inside(b):
    number(b, "count", 0)
    outer = inside(b.add_loop("outer", max_iterations=2).loop.bodyNetwork)
    branch = outer.add_branch("branch", "count").branch
    inside(branch.ifBranch).add_sin("sine", "nowhere", "z")


UNKNOWN = [
    (backwards, "layer 0 'first', sin: no earlier layer or input makes the blob 'late'"),
    (
        unknown_inside,
        "layer 1 'outer', loop: layer 'sine', sin: no layer or input makes the blob 'nowhere'",
    ),
]


@pytest.mark.parametrize(("add", "message"), UNKNOWN)
def test_a_blob_that_nobody_makes_in_time_is_told_when_the_model_is_opened(
    run_network, add, message
):
    from mlbuild.coreml import ModelFileError

    def build(b):
        add(b)
        b.add_copy("out", "x", "y")

    with pytest.raises(ModelFileError) as failure:
        run_network(build, {"x": [1.0]})
    assert str(failure.value) == message


def test_a_blob_that_only_the_other_branch_makes_is_told_when_it_is_missing(run_network):
    from mlbuild.coreml import ExecutionError

    def build(b):
        branch = b.add_branch("branch", "x").branch
        number(inside(branch.ifBranch), "only here", 1)
        number(inside(branch.elseBranch), "only there", 2)
        b.add_copy("out", "only here", "y")

    assert run_network(build, {"x": [1.0]}) == [1]
    with pytest.raises(ExecutionError) as failure:
        run_network(build, {"x": [0.0]})
    assert str(failure.value) == ("layer 1 'out', copy: no layer has made the blob 'only here' yet")


def test_branches_nested_as_deep_as_a_file_allows_run(run_network):
    def build(b):
        for depth in range(20):  # protobuf reads a hundred messages within each other
            b = inside(b.add_branch(f"branch {depth}", "x").branch.ifBranch)
        b.add_copy("out", "x", "y")

    assert run_network(build, {"x": [1.0]}) == [1]
