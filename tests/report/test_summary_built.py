"""A pipeline's report: figures beside what they were, gates, what is stale, the badge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mlbuild.plan import Planned
from mlbuild.records import (
    Decision,
    Digest,
    Gate,
    GateResult,
    Input,
    Json,
    Output,
    Reason,
    ReleaseSpec,
    ResolvedPipeline,
    Stage,
    StageOutput,
    StageRecord,
)
from mlbuild.report.summary.badge import built_badge
from mlbuild.report.summary.before import Before, Revision
from mlbuild.report.summary.built import Built, State
from mlbuild.report.summary.built_page import limits, page
from mlbuild.report.summary.gathering import Meaning, Shelf, gather
from mlbuild.report.summary.json import built_json
from mlbuild.report.summary.markdown import markdown
from mlbuild.report.summary.text import text


@dataclass(frozen=True)
class Metric:
    unit: str = ""
    better: str = "max"


METRICS: Mapping[str, Meaning] = {
    "psnr_db": Metric("dB"),
    "agreement.*": Metric(),
    "samples": Metric(better="none"),
    "size_mb": Metric("MB", "min"),
}
MODEL = Output("model", "build/p/M.mlpackage", "CoreMLModel")
CONVERT = Stage("convert", "convert", outputs=(MODEL,), kind="convert/coreml")
GATE = Gate("psnr_db", min=40)
VALIDATE = Stage(
    "validate",
    "validate",
    kind="validate/parity",
    inputs=(Input("candidate", (StageOutput("convert", "model"),)),),
    outputs=(Output("metrics", "build/p/metrics.json", role="metrics"),),
    gates=(GATE,),
)
HELD = GateResult(GATE, 51.5, True, "psnr_db 51.5 holds")
BROKEN = GateResult(GATE, 31.5, False, "psnr_db 31.5 is below min 40")


def planned(
    gate: GateResult = HELD, decision: Decision = Decision.REUSE, **more: object
) -> list[Planned]:
    one = StageRecord("k1", {"params": {"target": "iOS17"}}, {"model": Digest("m1", 3_100_000)})
    two = StageRecord("k2", {"inputs": {"candidate": "m1"}}, {"metrics": Digest("x", 9)})
    known = decision in (Decision.REUSE, Decision.RESTORE)
    validate = Planned(
        VALIDATE,
        decision,
        () if known else (Reason.PARAMS_CHANGED,),
        "k2",
        two.parts,
        two,
        two if known else None,
        gates=(gate,) if known else (),
    )
    first = Planned(CONVERT, Decision.REUSE, (), "k1", one.parts, one, one)
    return [first, replace(validate, **more)]  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "build/p").mkdir(parents=True)
    record(tmp_path, {"psnr_db": 51.5, "agreement": {"y": 1}, "samples": 20, "size_mb": 3.1})
    return tmp_path


def record(root: Path, metrics: Mapping[str, Json]) -> None:
    (root / "build/p/metrics.json").write_text(json.dumps(metrics))


def gathered(
    root: Path,
    plan: list[Planned] | None = None,
    before: Before | None = None,
    spec: ReleaseSpec | None = None,
) -> Built:
    pipeline = ResolvedPipeline(
        "p", root / "p.yaml", root, {}, (CONVERT, VALIDATE), {}, {}, release=spec
    )
    shelf = Shelf(lambda digest: root / "cache" / digest.md5, lambda stage: None)
    return gather(pipeline, plan or planned(), lambda kind: METRICS, shelf, before, before)


@dataclass(frozen=True)
class Then:
    """A ledger as it was."""

    revision: Revision = Revision("main", "1a2b3c4d5e")
    pins: Mapping[str, Mapping[str, Json]] = None  # type: ignore[assignment]
    was: Mapping[str, Json] = None  # type: ignore[assignment]

    def metrics(self, stage: str) -> Mapping[str, Json]:
        return (self.was or {}) if stage == "validate" else {}

    def size(self, path: str) -> int | None:
        return 4_000_000 if path == MODEL.path else None


THEN = Then(
    pins={
        "convert": {"params": {"target": "iOS16"}},
        "validate": {"inputs": {"candidate": "m0"}},
        "old": {},
    },
    was={"psnr_db": 40.2, "samples": 20},
)


def test_a_build_that_stands_is_told_with_its_gates(root: Path) -> None:
    assert text(page(gathered(root))) == (
        "mlbuild: p: 2 of 2 stages up to date, 1 gate held\n"
        "\n"
        "Figures:\n"
        "  stage     metric   now      gate\n"
        "  validate  psnr_db  51.5 dB  holds: min 40\n"
        "\n"
        "Artifacts:\n"
        "  artifact             stage    size\n"
        "  build/p/M.mlpackage  convert  3.1 MB\n"
        "\n"
        "All other figures:\n"
        "  stage     metric       now\n"
        "  validate  samples      20\n"
        "  validate  size_mb      3.1 MB\n"
        "  validate  agreement.y  1"
    )


def test_figures_and_sizes_stand_beside_what_they_were(root: Path) -> None:
    told = text(page(gathered(root, before=THEN)))  # type: ignore[arg-type]
    assert "  compared with main (1a2b3c4)\n  stages that are gone: old\n" in told
    assert "  validate  psnr_db  51.5 dB  40.2 dB  ▲ +11.3 dB, better  holds: min 40\n" in told
    assert "M.mlpackage  convert  3.1 MB  4.0 MB  ▼ -900.0 kB (-22.5%)\n" in told
    assert "What changed since main:\n" in told
    assert "  parameter  target  iOS16  iOS17  convert\n" in told


def test_a_revision_without_a_build_is_told(root: Path) -> None:
    told = text(page(gathered(root, before=Then(pins={}))))  # type: ignore[arg-type]
    assert "  there is no record of a build at main\n" in told
    assert "new" not in told


def test_a_stage_that_was_not_there_is_named(root: Path) -> None:
    then = replace(THEN, pins={"convert": {}})
    assert "stages that are new: validate" in text(page(gathered(root, before=then)))  # type: ignore[arg-type]


def test_a_gate_that_fails_is_told_in_its_own_words(root: Path) -> None:
    built = gathered(root, planned(BROKEN, blocked=True))
    assert built.exit_code == 5
    told = text(page(built))
    assert told.startswith("mlbuild: p: 1 of 1 gate failed, 2 of 2 stages up to date\n")
    assert "\n  validate: psnr_db 31.5 is below min 40\n" in told
    assert "FAILED: min 40" in told


def test_a_waived_gate_does_not_fail_and_tells_its_reason(root: Path) -> None:
    text_ = f"{BROKEN.text}; waived: one bad photograph"
    waived = replace(BROKEN, ok=True, text=text_, waiver="one bad photograph")
    built = gathered(root, planned(waived))
    assert built.exit_code == 0
    told = text(page(built))
    assert "0 gates held, 1 waived" in told
    assert "waived: one bad photograph" in told


def test_an_excluded_variant_does_not_fail(root: Path) -> None:
    built = gathered(root, planned(BROKEN, excluded=True))
    assert (built.exit_code, built.stages[1].state) == (0, State.EXCLUDED)
    assert "FAILED: min 40, so excluded" in text(page(built))


def test_a_stale_stage_is_named_and_its_gate_is_not_judged(root: Path) -> None:
    built = gathered(root, planned(decision=Decision.RUN))
    assert built.exit_code == 4
    told = text(page(built))
    assert told.startswith("mlbuild: p: 1 of 2 stages up to date, no gate judged\n")
    assert "  validate  psnr_db  51.5 dB (stale)  not judged: min 40\n" in told
    assert "  validate  stale  params changed\n" in told


def test_a_stage_that_was_never_built_is_told_apart(root: Path) -> None:
    (root / "build/p/metrics.json").unlink()
    plan = planned(decision=Decision.RUN, previous=None)
    assert gathered(root, plan).stages[1].state is State.UNBUILT


def test_what_would_be_restored_is_read_from_the_cache(root: Path) -> None:
    (root / "cache").mkdir()
    (root / "cache/x").write_text('{"psnr_db": 47}')
    built = gathered(root, planned(decision=Decision.RESTORE))
    assert [f.now for f in built.stages[1].figures if f.main] == [47]
    assert built.exit_code == 0


def test_the_released_figure_stands_beside_its_gate(root: Path) -> None:
    gate = Gate("psnr_db", max_drop=0.02, relative=("max_drop",))
    result = GateResult(gate, 51.5, True, "holds", released=52.0)
    plan = planned(result)
    told = text(page(gathered(root, [plan[0], replace(plan[1], stage=VALIDATE)])))
    assert "holds: max_drop 0.02 (relative), released: 52" in told


AT_RELEASE = replace(THEN, revision=Revision("release 1.2.0", "1a2b3c4d5e", "1.2.0"))


def test_gates_of_the_release_are_judged_too(root: Path) -> None:
    gate = Gate("agreement.y", max_drop=0.0, first=(("min", 0.9),))
    spec = ReleaseSpec("p", {"model": StageOutput("convert", "model")}, (("validate", gate),))
    assert "  validate  agreement.y  1        holds: max_drop 0, first min 0.9\n" in text(
        page(gathered(root, spec=spec))
    )
    before = replace(AT_RELEASE, was={"agreement": {"y": 1.5}})
    built = gathered(root, before=before, spec=spec)  # type: ignore[arg-type]
    assert built.exit_code == 5
    (failed,) = built.failed
    assert (failed[1].value, failed[1].released) == (1, 1.5)


def test_the_released_model_on_todays_samples_is_what_stood_before(root: Path) -> None:
    """What the release recorded then was measured on the samples of then."""
    twin = replace(
        VALIDATE,
        name="validate-release",
        base="validate-release",
        gates=(),
        outputs=(Output("metrics", "twin.json", role="metrics"),),
    )
    (root / "twin.json").write_text('{"psnr_db": 50.5}')
    one, two = planned()
    plan = [
        one,
        replace(two, stage=replace(VALIDATE, needs=("validate-release",))),
        replace(two, stage=twin, gates=()),
    ]
    told = text(page(gathered(root, plan, AT_RELEASE)))  # type: ignore[arg-type]
    assert "  validate  psnr_db  51.5 dB  50.5 dB        ▲ +1 dB, better" in told


def test_what_is_left_out_for_want_of_a_release_says_so(root: Path) -> None:
    one, two = planned()
    left = replace(two, excluded=True, note="there is no release yet", gates=())
    told = text(page(gathered(root, [one, left])))
    assert "  validate: there is no release yet\n" in told
    assert "excluded:" not in told


def test_all_limits_of_a_gate_are_told() -> None:
    gate = Gate("a", min=1, max_upper=3, max_rise=0.5, first=(("min", 0.25),))
    assert limits(gate) == "min 1, max_upper 3, max_rise 0.5, first min 0.25"


def test_json_holds_everything(root: Path) -> None:
    told = json.loads(built_json(gathered(root, before=THEN)))  # type: ignore[arg-type]
    assert told["against"] == {"label": "main", "commit": "1a2b3c4d5e", "release": None}
    assert (told["ok"], told["psnr_db"], told["removed"]) == (True, 51.5, ["old"])
    validate = told["stages"][1]
    assert validate["metrics"]["psnr_db"] == {
        "now": 51.5,
        "before": 40.2,
        "unit": "dB",
        "better": "max",
    }
    assert validate["gates"] == [
        {
            "metric": "psnr_db",
            "limits": {"min": 40},
            "value": 51.5,
            "released": None,
            "ok": True,
            "text": "psnr_db 51.5 holds",
            "waiver": None,
        }
    ]
    assert told["artifacts"][0]["size_before"] == 4_000_000
    assert told["changes"][0]["name"] == "target"


BADGES = [
    ("all holds", planned(), "51 dB, 3.1 MB, verified on Linux", "brightgreen"),
    ("a gate fails", planned(BROKEN), "51 dB, 3.1 MB, gate failed", "red"),
    ("stale", planned(decision=Decision.RUN), "3.1 MB, out of date", "lightgrey"),
]


@pytest.mark.parametrize(("what", "plan", "message", "color"), BADGES, ids=[b[0] for b in BADGES])
def test_the_badge_says_it_in_one_line(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    plan: list[Planned],
    message: str,
    color: str,
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert json.loads(built_badge(gathered(root, plan))) == {
        "schemaVersion": 1,
        "label": "p",
        "message": message,
        "color": color,
    }


def test_a_pipeline_that_was_never_built_has_a_badge_too(root: Path) -> None:
    plan = [
        Planned(CONVERT, Decision.RUN, (Reason.FIRST_RUN,)),
        Planned(VALIDATE, Decision.PENDING),
    ]
    (root / "build/p/metrics.json").unlink()
    badge = json.loads(built_badge(gathered(root, plan)))
    assert (badge["message"], badge["color"]) == ("not built", "lightgrey")


def test_only_what_looked_at_the_main_artifact_counts_as_its_likeness(root: Path) -> None:
    """The int8 variant that was not chosen is no matter."""
    other = replace(
        VALIDATE, name="validate-int8", outputs=(Output("metrics", "o.json", role="metrics"),)
    )
    record(root, {"psnr_db": 51.5})
    (root / "o.json").write_text('{"psnr_db": 12}')
    plan = planned()
    parts = {"inputs": {"candidate": "m9"}}
    plan.append(replace(plan[1], stage=other, parts=parts))
    assert gathered(root, plan).psnr_db == 51.5


def test_markdown_begins_with_the_marker_of_the_pipeline(root: Path) -> None:
    assert markdown(page(gathered(root))).startswith(
        "<!-- mlbuild-report: p -->\n### ✅ mlbuild: p"
    )
