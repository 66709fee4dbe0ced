"""What changed between two ledgers."""

from mlbuild.records import DatasetRef, Input, Json, Stage, StageOutput
from mlbuild.report.summary.changed import Change, changes

PARTS: dict[str, Json] = {
    "params": {"lr": 0.1, "net": {"depth": 3}},
    "code": "c1",
    "toolchain": "t1",
    "env": {},
    "threads": 1,
    "inputs": {"images": "d1", "model": "m1"},
}
TRAIN = Stage(
    "train",
    "train",
    inputs=(
        Input("images", (DatasetRef("photos"),)),
        Input("model", (StageOutput("seed", "model"),)),
    ),
)


def found(**now: Json) -> tuple[Change, ...]:
    return changes({"train": PARTS}, {"train": {**PARTS, **now}}, [TRAIN])


def test_nothing_changed() -> None:
    assert found() == ()


def test_a_parameter_inside_another_has_a_dot() -> None:
    params = {"lr": 0.1, "net": {"depth": 4}}
    assert found(params=params) == (Change("parameter", "net.depth", 3, 4, ("train",)),)


def test_a_parameter_that_came_and_one_that_went() -> None:
    one = Change("parameter", "lr", 0.1, None, ("train",))
    two = Change("parameter", "seed", None, 7, ("train",))
    assert found(params={"net": {"depth": 3}, "seed": 7}) == (one, two)


def test_data_is_named_as_the_pipeline_names_it() -> None:
    inputs = {"images": "d2", "model": "m1"}
    assert found(inputs=inputs) == (Change("data", "datasets.photos", "d1", "d2", ("train",)),)


def test_what_another_stage_made_is_told_there() -> None:
    assert found(inputs={"images": "d1", "model": "m2"}) == ()


def test_code_and_toolchain_are_told() -> None:
    told = [(c.what, c.before, c.now) for c in found(code="c2", toolchain="t2")]
    assert told == [("code", "c1", "c2"), ("toolchain", "t1", "t2")]


def test_an_empty_map_is_as_good_as_none() -> None:
    assert found(env=None) == ()


def test_what_variants_share_is_told_once() -> None:
    one, two = Stage("q[bits=4]", "q"), Stage("q[bits=8]", "q")
    before = {s.name: {"code": "c1"} for s in (one, two)}
    now = {s.name: {"code": "c2"} for s in (one, two)}
    assert changes(before, now, [one, two]) == (
        Change("code", "", "c1", "c2", ("q[bits=4]", "q[bits=8]")),
    )


def test_a_stage_that_was_not_there_has_not_changed() -> None:
    assert changes({}, {"train": PARTS}, [TRAIN]) == ()
