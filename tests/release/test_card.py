"""The model card: its Markdown, its front matter, and the page with pictures."""

import json
import re
from dataclasses import replace
from pathlib import Path

import frontmatter
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from mlbuild.release.documents import blocks, markdown
from mlbuild.release.documents.card import card_text
from mlbuild.release.documents.frontmatter import front_matter, metadata
from mlbuild.release.documents.markup import visible
from mlbuild.release.facts import StageFacts
from tests.release.dogs import md5
from tests.release.facts_of import facts_of, released
from tests.release.hostile import NAMES, hostile
from tests.release.html_of import Tags

READER = MarkdownIt("commonmark").enable("table").enable("strikethrough")
# Tags that our own Markdown makes; `details` is written as HTML.
OURS = {"h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code", "pre",
        "strong", "a", "details", "summary"}  # fmt: skip


def body(text: str) -> str:
    return frontmatter.loads(text).content


def yaml12(text: str) -> dict:
    return YAML(typ="safe", pure=True).load(text)


def judged(value: float) -> StageFacts:
    """A stage that validates and recorded one figure."""
    made = {"log_loss": value}
    return StageFacts("v", "validate/accuracy", None, "k", {}, None, {}, {}, metrics=made)


def shown(text: str) -> str:
    """What a reader sees of a name: one line without controls."""
    return " ".join(visible(text).split())


# --- Markdown -----------------------------------------------------------------------------------


@given(st.text())
def test_any_text_is_one_paragraph_of_plain_text(text: str) -> None:
    found = markdown.blocks([blocks.Paragraph((text,))])
    tokens = READER.parse("\n\n".join(found))
    inline = [t for t in tokens if t.type == "inline"]
    if not shown(text):
        assert not inline
        return
    assert [t.type for t in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {t.type for t in inline[0].children or []} == {"text"}
    assert "".join(t.content for t in inline[0].children or []) == shown(text)


@given(st.text(min_size=1))
def test_any_name_stays_in_its_cell(text: str) -> None:
    table = blocks.Table(("a", "b"), (((blocks.Code(text),), (text,)),))
    rendered = READER.render("\n".join(markdown.blocks([table])))
    assert Tags(rendered).tags <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    cells = re.findall(r"<td>(.*?)</td>", rendered, re.S)
    assert [shown(Tags(cell).text) for cell in cells] == [shown(text)] * 2


@given(st.text())
def test_any_name_is_code_as_it_is(text: str) -> None:
    (rendered,) = markdown.blocks([blocks.Paragraph(("see ", blocks.Code(text), "."))])
    children = next(t for t in READER.parse(rendered) if t.type == "inline").children or []
    code = [t.content for t in children if t.type == "code_inline"]
    assert code == ([shown(text)] if shown(text) else [])


def test_a_users_text_keeps_its_paragraphs_and_its_lists() -> None:
    text = "First\nparagraph.\n\n- one\n- two\n\nLast."
    assert blocks.paragraphs(text) == (
        blocks.Paragraph(("First paragraph.",)),
        blocks.Bullets((("one",), ("two",))),
        blocks.Paragraph(("Last.",)),
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [("One.", "One."), (["One."], "One."), (["One.", "Two."], "- One.\n- Two."), ([], None)],
)
def test_a_text_of_the_pipeline_file_may_be_a_list(given: object, told: str | None) -> None:
    text = card_text(facts_of(card={"limits": given}))
    assert (f"## Limits\n\n{told}\n\n" if told else "# dogs") in text
    assert ("## Limits" in text) == bool(told)


def test_only_addresses_of_the_web_become_links() -> None:
    line = (blocks.Link("a", "https://x.org/b"), " ", blocks.Link("b", "javascript:alert(1)"))
    assert markdown.blocks([blocks.Paragraph(line)]) == ["[a](https://x.org/b) b"]


def test_nothing_of_a_hostile_release_is_markdown_of_its_own(tmp_path: Path) -> None:
    found = Tags(READER.render(body(card_text(hostile(tmp_path)))))
    assert found.tags <= OURS
    addresses = {value for name, value in found.attributes if name == "href"}
    assert addresses <= {None}  # the repository's address has brackets: it is told as text
    for name in NAMES:
        assert shown(name) in shown(found.text), name


def test_headings_come_from_us_alone(tmp_path: Path) -> None:
    tokens = READER.parse(body(card_text(hostile(tmp_path))))
    levels = [t.tag for t in tokens if t.type == "heading_open"]
    assert levels.count("h1") == 1 and set(levels) == {"h1", "h2"}


def test_the_card_begins_with_what_is_looked_for_first(tmp_path: Path) -> None:
    text = body(card_text(released(tmp_path)))
    assert text.startswith(
        "# Dogs 2.0.0\n\n"
        "Names the breed of a dog in a photograph, on the phone, in three milliseconds.\n\n"
        "|  |  |\n| --- | --- |\n"
        "| Version | 2.0.0 |\n"
        "| Size | 974.8 kB |\n"
        "| Model | mlProgram, 1,254,096 parameters |\n"
        "| Runs on | iOS 17, macOS 14, tvOS 17, watchOS 10 or later |\n"
        "| Takes | image 224 x 224 RGB |\n"
        "| Tells apart | 6 labels |\n"
        "| Accuracy | 0.945 (n 238, 95 % 0.909 to 0.968), by `accuracy` |\n"
        "| Verified on Linux | 43.2 dB to its source model |\n"
        "| Gates | 2 of 3 hold, 1 waived |\n"
        "| Licence | Apache-2.0 |\n\n"
        "## Intended use\n"
    )


def test_a_variant_that_was_not_chosen_is_not_praised_or_blamed(tmp_path: Path) -> None:
    text = card_text(released(tmp_path))
    figures = text.split("## Figures")[1].split("## What it was made from")[0]
    assert "validate[bits=6]" in figures
    assert "validate[bits=4]" not in figures


def test_what_the_last_releases_model_has_on_todays_samples_is_not_told_as_this_ones(
    tmp_path: Path,
) -> None:
    facts = released(tmp_path)
    (stage,) = [s for s in facts.stages if s.name == "accuracy"]
    given = {**stage.inputs, "model": {"from": "datasets.release.model", "md5": md5("old", True)}}
    twin = replace(stage, name="accuracy-release", inputs=given)
    told = card_text(replace(facts, stages=(*facts.stages, twin)))
    assert "accuracy-release" not in told.split("## What it was made from")[0]


def test_a_mean_over_labels_is_told_and_those_of_single_labels_are_not(tmp_path: Path) -> None:
    facts = released(tmp_path)
    (stage,) = [s for s in facts.stages if s.name == "accuracy"]
    judged = replace(stage, metrics={"f1": 0.9, "f1.pug": 0.8, "samples": 12, "size_mb": 1.0})
    told = card_text(replace(facts, stages=(judged,), gates=()))
    figures = told.split("## Figures")[1].split("##")[0]
    assert re.findall(r"^\| `accuracy` \| `(\S+)`", figures, re.M) == ["f1"]


def test_a_waived_gate_is_told_with_its_reason(tmp_path: Path) -> None:
    assert (
        "- **Waived**: `accuracy: recall.collie` at least 0.9: collies of the new photographs are "
        "mostly puppies; told in the limits\n" in card_text(released(tmp_path))
    )


# --- front matter -------------------------------------------------------------------------------


def test_hubs_find_licence_task_and_results(tmp_path: Path) -> None:
    found = frontmatter.loads(card_text(released(tmp_path))).metadata
    assert {k: found[k] for k in ("license", "language", "library_name", "pipeline_tag")} == {
        "license": "apache-2.0",
        "language": ["en"],
        "library_name": "coreml",
        "pipeline_tag": "image-classification",
    }
    (index,) = found["model-index"]
    (result,) = [r for r in index["results"] if r["dataset"]["name"] == "photos (split.test)" and
                 any(m["type"] == "accuracy" for m in r["metrics"])]  # fmt: skip
    accuracy = next(m for m in result["metrics"] if m["type"] == "accuracy")
    assert index["name"] == "dogs"
    assert result["task"] == {"type": "image-classification"}
    assert accuracy == {
        "type": "accuracy",
        "value": 225 / 238,
        "name": "accuracy (accuracy), 95 % 0.909 to 0.968, n 238",
    }


SPECIALS = [
    "no", "null", "1e3", "0o17", "0x1f", "12:30", "2026-01-01", "a: b", "#c", "---", "{x}", "*a",
    "&b", "!c", "%d", "@e", "`f`", "'", '"', "- g", "? h", "|", ">", "", " i ", "=", "~", "<<",
    "1_000", ".inf", "multi\nline", "é", "\U0001f415", "\x85", "\u2028",
]  # fmt: skip


@pytest.mark.parametrize("special", SPECIALS, ids=repr)
def test_a_tag_is_a_text_to_readers_of_either_yaml(special: str) -> None:
    text = front_matter(facts_of(card={"tags": [special]}, stages=()))
    block = text.split("---\n")[1]
    expected = [*([visible(special)] if special else []), "core-ml", "on-device", "mlbuild"]
    assert frontmatter.loads(text)["tags"] == expected
    assert yaml12(block)["tags"] == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_figure_is_the_same_number_to_readers_of_either_yaml(value: float) -> None:
    text = front_matter(facts_of(stages=(judged(value),)))
    for found in (frontmatter.loads(text).metadata, yaml12(text.split("---\n")[1])):
        (result,) = found["model-index"][0]["results"]
        (told,) = [m["value"] for m in result["metrics"]]
        assert isinstance(told, float) and told == value


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ("MIT", {"license": "mit"}),
        ("apache-2.0", {"license": "apache-2.0"}),
        ("Our own: ask", {"license": "other", "license_name": "Our own: ask"}),
        (None, {}),
    ],
)
def test_a_licence_that_hubs_do_not_know_is_told_by_its_name(
    licence: str | None, told: dict[str, str]
) -> None:
    found = metadata(facts_of(card={"licence": licence}))
    assert {k: v for k, v in found.items() if k.startswith("license")} == told


def test_front_matter_of_a_hostile_release_is_read_as_it_was_meant(tmp_path: Path) -> None:
    facts = hostile(tmp_path)
    found = frontmatter.loads(card_text(facts)).metadata
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(metadata(facts)))
    assert found["language"] == ["no", "en"]
