from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.errors import PipelineError, Place, UsageError
from mlbuild.graph import order, select
from mlbuild.records import Input, Stage, StageOutput


def stage(name: str, *parents: str, needs: tuple[str, ...] = ()) -> Stage:
    inputs = tuple(Input(f"i{n}", (StageOutput(p, "o"),)) for n, p in enumerate(parents))
    return Stage(
        name=name,
        base=name.partition("[")[0],
        inputs=inputs,
        needs=needs,
        place=Place("p.yaml", 1, 1),
    )


def test_the_order_is_that_of_the_file_where_it_is_free() -> None:
    graph = order([stage("c", "b"), stage("a"), stage("d"), stage("b", needs=("a",))])
    assert graph.order == ("a", "d", "b", "c")
    assert graph.parents("b") == ("a",)
    assert graph.children("a") == ("b",)
    assert graph.ancestors(["c"]) == {"a", "b"}
    assert graph.descendants(["a"]) == {"b", "c"}


def test_a_circle_is_told_with_its_stages() -> None:
    with pytest.raises(PipelineError) as caught:
        order([stage("x"), stage("a", "c", "x"), stage("b", "a"), stage("c", "b"), stage("d", "c")])
    message = caught.value.render()
    assert message.startswith("p.yaml:1:1: the stages form a circle: ")
    circle = message.removeprefix("p.yaml:1:1: the stages form a circle: ").split(" -> ")
    assert circle[0] == circle[-1]
    assert sorted(circle[1:]) == ["a", "b", "c"]
    assert " -> ".join(circle) in "a -> b -> c -> a -> b -> c"


def test_targets_are_variants_or_all_variants_of_a_stage() -> None:
    stages = [stage("a"), stage("q[bits=4]", "a"), stage("q[bits=6]", "a")]
    graph = order(stages)
    assert select(graph, stages, ["q"]) == {"q[bits=4]", "q[bits=6]"}
    assert select(graph, stages, ["q[bits=6]", "a"]) == {"q[bits=6]", "a"}


def test_a_target_s_axes_may_come_in_any_order_and_be_left_out() -> None:
    stages = [stage(f"q[a={a},b={b}]") for a in (1, 2) for b in ("x", "y")]
    graph = order(stages)
    assert select(graph, stages, ["q[b=y, a=1]"]) == {"q[a=1,b=y]"}
    assert select(graph, stages, ["q[b=x]"]) == {"q[a=1,b=x]", "q[a=2,b=x]"}
    with pytest.raises(UsageError):
        select(graph, stages, ["q[c=1]"])
    with pytest.raises(UsageError):
        select(graph, stages, ["q[]"])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "quantise",
            "there is no stage 'quantise'\n  allowed: a, quantize\n"
            "  hint: did you mean 'quantize'?",
        ),
        (
            "quantize[bits=5]",
            "there is no stage 'quantize[bits=5]'\n  allowed: quantize[bits=4]\n"
            "  hint: did you mean 'quantize[bits=4]'?",
        ),
    ],
)
def test_an_unknown_target_names_the_nearest(target: str, message: str) -> None:
    stages = [stage("a"), stage("quantize[bits=4]")]
    with pytest.raises(UsageError) as caught:
        select(order(stages), stages, [target])
    assert caught.value.render() == message


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_parents_come_before_their_children(pairs: list[tuple[int, int]]) -> None:
    parents: dict[int, set[int]] = {n: set() for n in range(10)}
    for one, two in pairs:
        if one != two:
            parents[max(one, two)].add(min(one, two))
    names = [9, 1, 8, 2, 7, 3, 6, 4, 5, 0]
    graph = order([stage(f"s{n}", *(f"s{p}" for p in sorted(parents[n]))) for n in names])
    position = {name: n for n, name in enumerate(graph.order)}
    assert len(position) == 10
    assert all(position[f"s{p}"] < position[f"s{n}"] for n in parents for p in parents[n])
