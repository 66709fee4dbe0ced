"""Plans as text: what would be done, and what of a stage's key changed."""

import io
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from mlbuild.plan import Planned
from mlbuild.records import (
    DatasetRef,
    Decision,
    Gate,
    GateResult,
    Input,
    PathRef,
    Reason,
    Stage,
    StageOutput,
    StageRecord,
)
from mlbuild.report.explain import Files, compared, explain
from mlbuild.report.plan import explanation, print_plan


def planned(decision: Decision, *reasons: Reason, **more: Any) -> Planned:
    return Planned(Stage("quantize[bits=4]", "quantize"), decision, reasons, **more)


def told(*items: Planned) -> list[str]:
    out = io.StringIO()
    print_plan(Console(file=out, width=100), "p", list(items))
    return out.getvalue().splitlines()


@dataclass
class Known:
    """What digests stand for."""

    folders: dict[str, dict[str, str]] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    pins: dict[str, dict[str, str]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    used: tuple[str, float] | None = None
    previous: StageRecord | None = None

    def folder(self, md5: str) -> dict[str, str] | None:
        return self.folders.get(md5)

    def code(self, digest: str) -> dict[str, str] | None:
        return self.codes.get(digest)

    def packages(self, digest: str) -> dict[str, str] | None:
        return self.pins.get(digest)

    def size(self, md5: str) -> int | None:
        return self.sizes.get(md5)

    def last_use(self, key: str) -> tuple[str, float] | None:
        return self.used

    def recorded(self, stage: Stage) -> StageRecord | None:
        return self.previous


def changed(
    old: dict[str, Any],
    new: dict[str, Any],
    known: Known | None = None,
    *inputs: Input,
    everything: bool = False,
) -> list[str]:
    previous = StageRecord("k1", old, {})
    item = planned(Decision.RUN, Reason.PARAMS_CHANGED, key="k2", parts=new, previous=previous)
    item = replace(item, stage=replace(item.stage, toolchain="torch"), inputs=inputs)
    return explanation(explain(item, known or Known()), everything)


def test_a_plan_is_one_line_a_stage_then_the_counts() -> None:
    assert told(planned(Decision.RUN, Reason.FIRST_RUN), planned(Decision.REUSE)) == [
        "  quantize[bits=4]  run      first run",
        "  quantize[bits=4]  reuse",
        "p: 1 to reuse, 1 to run",
    ]


def test_a_gate_that_does_not_hold_is_told() -> None:
    gate = GateResult(Gate("psnr_db", min=40), 20.0, False, "psnr_db 20 is below min 40")
    assert "    gate: psnr_db 20 is below min 40" in told(planned(Decision.REUSE, gates=(gate,)))


def test_what_stands_behind_a_gate_says_so() -> None:
    lines = told(planned(Decision.PENDING, Reason.UPSTREAM_PENDING, blocked=True))
    assert lines[0] == "  quantize[bits=4]  pending  behind a gate that did not hold"


def test_an_explanation_shows_old_and_new_value_of_each_part() -> None:
    lines = changed({"params": {"bits": 6, "mode": "a"}}, {"params": {"bits": 4, "mode": "a"}})
    assert lines == ["quantize[bits=4]: run (params changed)", "  params.bits: 6 -> 4"]


def test_an_explanation_names_the_variants_of_a_list() -> None:
    old = {"inputs": {"models": [[{"bits": 4}, "a"], [{"bits": 8}, "b"]]}}
    new = {"inputs": {"models": [[{"bits": 8}, "c"]]}}
    assert changed(old, new)[1:] == [
        "  inputs.models.[bits=4]: a -> (none)",
        "  inputs.models.[bits=8]: b -> c",
    ]


def test_a_file_is_told_with_where_it_comes_from_its_digests_and_sizes() -> None:
    old, new = {"inputs": {"src": "aaaaaaaaaa"}}, {"inputs": {"src": "bbbbbbbbbb"}}
    known = Known(sizes={"aaaaaaaaaa": 12, "bbbbbbbbbb": 5300})
    assert changed(old, new, known, Input("src", (PathRef("data/x.txt"),)))[1:] == [
        "  inputs.src: data/x.txt, aaaaaaaa (12 bytes) -> bbbbbbbb (5.3 kB)"
    ]


OLD = {"a.jpg": "1", "b.jpg": "2", "c.jpg": "3", "old.jpg": "4"}
NEW = {"a.jpg": "1", "b.jpg": "9", "d.jpg": "5", "new.jpg": "4", "e.jpg": "6"}


def test_a_folder_is_told_file_by_file() -> None:
    known = Known(folders={"1.dir": OLD, "2.dir": NEW})
    old, new = {"inputs": {"photos": "1.dir"}}, {"inputs": {"photos": "2.dir"}}
    assert changed(old, new, known, Input("photos", (DatasetRef("dogs"),)))[1:] == [
        "  inputs.photos: datasets.dogs, 4 -> 5 files: 2 added, 1 removed, 1 changed, 1 renamed",
        "    added    d.jpg",
        "    added    e.jpg",
        "    removed  c.jpg",
        "    changed  b.jpg",
        "    renamed  old.jpg -> new.jpg",
    ]


def test_a_folder_of_many_changes_is_told_with_its_first_unless_all_are_asked_for() -> None:
    many = {f"{n:06}.jpg": str(n) for n in range(100_000)}
    known = Known(folders={"1.dir": {"x": "x"}, "2.dir": many | {"x": "x"}})
    old, new = {"inputs": {"photos": "1.dir"}}, {"inputs": {"photos": "2.dir"}}
    lines = changed(old, new, known)
    assert lines[1] == "  inputs.photos: 1 -> 100,001 files: 100,000 added"
    assert lines[2] == "    added    000000.jpg"
    assert lines[-1] == "    and 99,990 more; --all tells them"
    assert len(lines) == 13
    assert len(changed(old, new, known, everything=True)) == 100_002


def test_one_more_than_the_first_files_is_told_rather_than_counted() -> None:
    known = Known(folders={"1.dir": {}, "2.dir": {str(n): str(n) for n in range(11)}})
    lines = changed({"inputs": {"x": "1.dir"}}, {"inputs": {"x": "2.dir"}}, known)
    assert len(lines) == 13
    assert "more" not in lines[-1]


def test_a_folder_whose_former_files_nobody_knows_is_told_by_its_digests() -> None:
    old, new = {"inputs": {"photos": "1.dir"}}, {"inputs": {"photos": "2.dir"}}
    assert changed(old, new, Known(sizes={"2.dir": 2_000_000}))[1:] == [
        "  inputs.photos: folder 1.dir -> folder 2.dir (2.0 MB)"
    ]


def test_swapped_contents_are_changes_and_no_renames() -> None:
    files = compared({"a": "1", "b": "2"}, {"a": "2", "b": "1"})
    assert files == Files(2, 2, changed=("a", "b"))


def test_of_equal_files_as_many_are_renamed_as_there_were() -> None:
    files = compared({"a": "1"}, {"b": "1", "c": "1"})
    assert files == Files(1, 2, added=("c",), renamed=(("a", "b"),))


def test_code_is_told_by_its_files() -> None:
    known = Known(codes={"c1": {"run.py": "1"}, "c2": {"run.py": "2", "more.py": "3"}})
    assert changed({"code": "c1"}, {"code": "c2"}, known)[1:] == [
        "  code: 1 -> 2 files: 1 added, 1 changed",
        "    added    more.py",
        "    changed  run.py",
    ]


def test_code_of_which_only_the_digest_is_known_says_so() -> None:
    assert changed({"code": "1" * 64}, {"code": "2" * 64})[1:] == [
        "  code: 111111111111 -> 222222222222 (what it was before is not known here)"
    ]


def test_a_toolchain_is_told_package_by_package() -> None:
    one = {"python": "3.11", "numpy": "2.3.5", "six": "1.16.0"}
    two = {"python": "3.11", "numpy": "2.4.0", "pillow": "11.0"}
    known = Known(pins={"t1": one, "t2": two})
    assert changed({"toolchain": "t1"}, {"toolchain": "t2"}, known)[1:] == [
        "  toolchain: torch, 3 packages changed",
        "    numpy: 2.3.5 -> 2.4.0",
        "    pillow: (none) -> 11.0",
        "    six: 1.16.0 -> (none)",
    ]


def test_long_values_are_cut_around_what_differs() -> None:
    lines = changed({"command": "x" * 200 + "1"}, {"command": "x" * 200 + "2"})[1:]
    assert lines == [
        "  command:",
        "    - ..." + "x" * 24 + "1",
        "    + ..." + "x" * 24 + "2",
    ]


def test_all_tells_long_values_whole() -> None:
    old, new = {"command": "a\n" + "x" * 90}, {"command": "b"}
    assert changed(old, new, everything=True)[1:] == [
        "  command:",
        "    - a",
        "    - " + "x" * 90,
        "    + b",
    ]


def test_a_stage_without_a_past_says_so() -> None:
    item = planned(Decision.RUN, Reason.FIRST_RUN, key="k")
    assert explanation(explain(item, Known())) == [
        "quantize[bits=4]: run (first run)",
        "  there is no record of an earlier run",
    ]


def test_a_stage_whose_input_is_not_built_names_what_it_waits_for_and_what_is_known() -> None:
    item = planned(Decision.PENDING, Reason.UPSTREAM_PENDING)
    inputs = (Input("model", (StageOutput("convert", "model"),)),)
    item = replace(item, stage=replace(item.stage, inputs=inputs, params={"bits": 4}))
    previous = StageRecord("k", {"params": {"bits": 6}, "env": {}, "threads": 1}, {})
    told = explain(item, Known(previous=previous), {"convert", "train"})
    assert explanation(told) == [
        "quantize[bits=4]: pending (upstream pending)",
        "  convert must be built first: then more is known",
        "  params.bits: 6 -> 4",
    ]
    assert told.as_json()["waits_for"] == ["convert"]


def test_a_stage_that_is_as_it_was_says_so() -> None:
    item = planned(Decision.REUSE, key="k", parts={"a": 1}, previous=StageRecord("k", {"a": 1}, {}))
    assert explanation(explain(item, Known())) == [
        "quantize[bits=4]: reuse",
        "  every part of its key is as it was",
        "  its outputs are in place",
    ]


@pytest.mark.parametrize(("remote", "where"), [(False, "the local cache"), (True, "the remote")])
def test_a_restored_stage_says_from_where_and_which_earlier_build(remote: bool, where: str) -> None:
    item = planned(Decision.RESTORE, Reason.FIRST_RUN, key="k", remote=remote)
    told = explain(item, Known(used=("former", 1_700_000_000.0)))
    when = datetime.fromtimestamp(1_700_000_000, UTC).astimezone()
    assert explanation(told)[-1] == (
        f"  its outputs come from {where}: last built or restored {when:%Y-%m-%d %H:%M:%S} "
        "as 'former'"
    )


def test_the_same_is_told_as_data_and_nothing_is_cut() -> None:
    known = Known(folders={"1.dir": OLD, "2.dir": NEW}, sizes={"1.dir": 40, "2.dir": 50})
    old, new = {"inputs": {"photos": "1.dir"}}, {"inputs": {"photos": "2.dir"}}
    item = planned(
        Decision.RUN, Reason.INPUT_CHANGED, key="k", parts=new, previous=StageRecord("k", old, {})
    )
    assert explain(item, known).as_json() == {
        "changes": [
            {
                "part": "inputs.photos",
                "before": "1.dir",
                "now": "2.dir",
                "sizes": [40, 50],
                "files": {
                    "before": 4,
                    "now": 5,
                    "added": ["d.jpg", "e.jpg"],
                    "removed": ["c.jpg"],
                    "changed": ["b.jpg"],
                    "renamed": [["old.jpg", "new.jpg"]],
                },
            }
        ],
        "origin": None,
        "last_use": None,
        "waits_for": [],
    }
