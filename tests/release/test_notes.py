"""Release notes: what changed, in words."""

from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from mlbuild.release.documents import notes_text
from mlbuild.release.documents.gating import limits, summary
from mlbuild.release.documents.wording import difference, full, measured, short
from mlbuild.release.facts import Change, GateFacts
from tests.release.card_of import change
from tests.release.dogs import share
from tests.release.facts_of import facts_of
from tests.release.hostile import hostile

HEADING = "Metrics, before and after"


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n\n")[1].split("\n\n## ")[0].strip()


def gate(**changes: object) -> GateFacts:
    given = {"limits": {"min": 1}, "value": 2.0, "released": None, "ok": True} | changes
    return GateFacts("s", "m", text="", **given)


def test_the_first_lines_tell_the_level_and_what_led_to_it() -> None:
    assert notes_text(facts_of()).startswith(
        "# dogs 2.0.0\n\n"
        "A major release: an app that takes it has to be looked at. It follows 1.1.0.\n\n"
        "- the labels changed: 1 came, 1 went\n\n"
        "## Inputs and outputs\n"
    )


def test_a_version_that_somebody_chose_is_told_with_the_reason() -> None:
    text = notes_text(facts_of(reason="the app is not ready for a new major version"))
    assert "**2.0.0 was chosen by hand:** the app is not ready for a new major version\n" in text


def test_metrics_are_told_before_and_after_and_whether_chance_may_explain_it() -> None:
    assert section(notes_text(facts_of()), HEADING).startswith(
        "| stage | metric | before | after | difference |  |\n"
        "| --- | --- | ---: | ---: | ---: | --- |\n"
        "| `accuracy` | `accuracy` | 0.920 (n 238, 95 % 0.879 to 0.948) "
        "| 0.945 (n 238, 95 % 0.909 to 0.968) | +0.025 | intervals overlap |\n"
        "| `accuracy` | `log_loss` | 0.2417 | 0.1893 | -0.0524 |  |\n"
        "| `validate[bits=6]` | `psnr_db` | 47.9 dB | 43.18 dB | -4.72 |  |\n\n"
        "<details>\n<summary>1 figures of single labels</summary>\n"
    )


def test_what_rounding_changed_is_no_change() -> None:
    rows = (
        {"stage": "v", "metric": "cosine", "before": 1.0, "after": 1 - 2e-16},
        {"stage": "v", "metric": "n", "before": 100000, "after": 100001},
    )
    told = section(notes_text(facts_of(change=Change("patch", (), metrics=rows))), HEADING)
    assert [row.split("|")[2].strip() for row in told.splitlines()[2:]] == ["`n`"]


@pytest.mark.parametrize(
    ("better", "before", "after", "verdict"),
    [
        ("max", 1, 2, "better"),
        ("max", 2, 1, "worse"),
        ("min", 1, 2, "worse"),
        ("none", 1, 2, ""),
        ("max", None, 2, "new"),
        ("max", 2, None, "gone"),
        ("max", share(1, 10), share(900, 1000), "better"),
        ("max", share(5, 10), share(6, 10), "better, intervals overlap"),
    ],
)
def test_better_and_worse_are_as_the_kind_says(better, before, after, verdict) -> None:
    facts = facts_of()
    stage = replace(facts.stages[0], metrics={}, meanings={"m": {"better": better}})
    row = {"stage": stage.name, "metric": "m", "before": before, "after": after}
    facts = replace(facts, stages=(stage,), change=Change("minor", (), metrics=(row,)))
    last = section(notes_text(facts), HEADING).splitlines()[-1]
    assert last.endswith(f"| {verdict} |")


def test_labels_that_came_and_went_are_named() -> None:
    assert section(notes_text(facts_of()), "Labels") == "1 new: `saluki`\n\n1 gone: `akita`"


def test_parameters_data_code_and_toolchains_are_told_before_and_after() -> None:
    text = notes_text(facts_of())
    assert section(text, "Parameters").splitlines()[2:] == [
        "| `train` | `epochs` | `8` | `12` |",
        "| `quantize[bits=6]` | `bits` | `8` | `6` |",
    ]
    assert section(text, "Data").splitlines()[2:] == [
        "| `photos` | `149603e6c035` | `22af645d1859` |"
    ]
    assert "`train/image-classifier`" in section(text, "Code")
    assert section(text, "Toolchains").endswith("| `torch==2.12.1` | `torch==2.13.0` |")
    assert section(text, "Size").endswith("| `model` | 1.2 MB | 974.8 kB | -19.6 % |")


def test_what_did_not_change_has_no_heading() -> None:
    quiet = replace(change(), params=(), data=(), code=(), toolchains=(), sizes=(), interface=(),
                    labels_added=(), labels_removed=())  # fmt: skip
    text = notes_text(facts_of(change=quiet))
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Metrics, before and after", "## Gates", "## Artifacts", "## To check it",
    ]  # fmt: skip


def test_a_first_release_tells_its_figures() -> None:
    text = notes_text(facts_of(change=Change("first", ()), previous=None))
    assert text.startswith("# dogs 2.0.0\n\nThe first release.\n\n## Figures\n")


def test_gates_and_waivers_are_told_with_reasons() -> None:
    told = section(notes_text(facts_of()), "Gates")
    assert "| `accuracy` | `recall.collie` | at least 0.9 | 0.875 |  | **fails, waived** |" in told
    assert "mostly puppies; told in the limits" in told


def test_notes_tell_how_to_check_the_release() -> None:
    told = section(notes_text(facts_of()), "To check it")
    command = "mlbuild verify releases/dogs/v2.0.0 --name dogs --version 2.0.0"
    assert told.endswith(f":\n\n```sh\n{command}\n```")


def test_notes_of_a_hostile_release_have_headings_of_ours_alone(tmp_path: Path) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(notes_text(hostile(tmp_path)))
    texts = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert texts == [
        "dogs 2.0.0", "Inputs and outputs", "Labels", "Metrics, before and after", "Size",
        "Parameters", "Data", "Code", "Toolchains", "Gates", "Artifacts", "To check it",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"min": 40}, "at least 40"),
        ({"max": 0.02, "min": 0}, "at most 0.02, at least 0"),
        ({"min_lower": 0.9}, "surely at least 0.9"),
        ({"max_lower": 0}, "interval's lower end at most 0"),
        ({"max_drop": 0.01, "against": "release"}, "drops by at most 0.01 since the last release"),
        (
            {"max_drop": 0.1, "against": "release", "relative": ["max_drop"]},
            "drops by at most 0.1 of it since the last release",
        ),
        (
            {"max_rise": {"value": 5, "relative": True}},
            "rises by at most 5 of it since the last release",
        ),
        (
            {"max_drop": 0.01, "against": "release", "first": {"min": 0.8}},
            "drops by at most 0.01 since the last release; while there is none, at least 0.8",
        ),
    ],
)
def test_what_a_gate_asks_is_said_in_words(asked: dict, words: str) -> None:
    assert limits(gate(limits=asked)) == words


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ([], "none were set"),
        ([gate(), gate()], "all 2 hold"),
        ([gate(), gate(ok=False, waiver="why")], "1 of 2 hold, 1 waived"),
        ([gate(ok=False)], "0 of 1 hold, 1 failing"),
    ],
)
def test_gates_in_one_phrase(gates: list[GateFacts], words: str) -> None:
    assert summary(gates) == words


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (3, "3"), (0.123456, "0.1235"), (12345678, "12,345,678"), (1e-9, "1e-09"), (-2.5, "-2.5"),
        (share(9, 10), "0.900 (n 10, 95 % 0.596 to 0.982)"),
        ({"value": 0.5, "low": 0.4, "high": 0.6}, "0.500 (95 % 0.400 to 0.600)"),
    ],
)  # fmt: skip
def test_figures_are_worded_for_people(recorded: object, words: str) -> None:
    assert full(measured(recorded)) == words


def test_what_is_no_figure_is_none() -> None:
    assert [measured(x) for x in ("1", True, None, [], {"low": 1})] == [None] * 5


def test_a_difference_has_its_sign() -> None:
    one, two = measured(1.5), measured(2)
    assert (difference(one, two), difference(two, one), difference(one, one)) == (
        "+0.5",
        "-0.5",
        "0",
    )


def test_a_digest_is_shortened_and_a_word_is_not() -> None:
    assert short("d" * 32 + ".dir") == "d" * 12
    assert short("beefbeef") == "beefbeef"
    assert short({"b": None, "a": [True, 1.5]}) == "{a: [true, 1.5], b: none}"
