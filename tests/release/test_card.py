"""The model card: its Markdown, its front matter, and the page with pictures."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import frontmatter
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from mlbuild.release.documents import blocks, inside, markdown
from mlbuild.release.documents.card import card_text
from mlbuild.release.documents.figures import confusion
from mlbuild.release.documents.frontmatter import front_matter, metadata
from mlbuild.release.documents.markup import Markup, element, visible
from mlbuild.release.documents.page import page, page_text
from mlbuild.release.facts import StageFacts
from tests.release.card_of import CARD
from tests.release.dogs import md5, share
from tests.release.facts_of import facts_of, released
from tests.release.hostile import NAMES, TEXT, hostile

READER = MarkdownIt("commonmark").enable("table").enable("strikethrough")
# Tags that our own Markdown makes; `details` is written as HTML.
OURS = {"h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code", "pre",
        "strong", "a", "details", "summary"}  # fmt: skip


class Tags(HTMLParser):
    """Collects tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= set(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


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


# --- the page -----------------------------------------------------------------------------------


@given(st.text())
def test_any_text_is_text_in_html_and_in_attributes(text: str) -> None:
    made = element("p", text, title=text)
    node = ElementTree.fromstring(made)
    assert (node.text or "", node.get("title")) == (visible(text), visible(text))


def test_markup_is_not_escaped_twice() -> None:
    assert element("p", element("b", "a & b"), Markup("<i/>")) == "<p><b>a &amp; b</b><i/></p>"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"type": "glmClassifier", "coefficients": 12}, "glmClassifier, 12 coefficients"),
        ({"type": "tree", "trees": 100, "nodes": 3210}, "tree, 100 trees, 3,210 nodes"),
        (
            {"type": "pipeline", "models": [{"type": "scaler"}, {"type": "identity"}]},
            "pipeline of scaler; identity",
        ),
    ],
)
def test_a_model_is_told_in_its_own_terms(model: dict, words: str) -> None:
    assert inside.consists(model) == words


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (1, "iOS 11, macOS 10.13, tvOS 11, watchOS 4 or later"),
        (8, "iOS 17, macOS 14, tvOS 17, watchOS 10 or later"),
        (99, "specification version 99"),
    ],
)
def test_a_specification_version_is_told_by_the_systems_that_read_it(
    version: int, words: str
) -> None:
    assert inside.systems({"spec_version": version}) == words


def test_many_inputs_alike_are_counted() -> None:
    types = ("double", "int64", "double")
    assert (
        inside.takes({"inputs": [{"type": t} for t in types]})
        == "2 \N{MULTIPLICATION SIGN} double, int64"
    )


def test_a_weight_that_layers_share_counts_once() -> None:
    weights = [
        {"layer": "a", "value": "w", "bytes": 10, "bits": 8, "dtype": "fp16"},
        {"layer": "b", "value": "w", "bytes": 10, "bits": 8, "dtype": "fp16"},
        {"layer": "b", "value": "v", "bytes": 4, "bits": 32, "dtype": "fp32"},
    ]
    assert inside.by_layer(weights) == [("a", 10, 8, "fp16 8 bits"), ("b", 4, 32, "fp32 32 bits")]


def test_the_page_is_well_formed_and_asks_nobody_for_anything(tmp_path: Path) -> None:
    text = page_text(released(tmp_path))
    ElementTree.fromstring(text.split("\n", 1)[1])
    found = Tags(text)
    assert not found.tags & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not {n for n, _ in found.attributes if n in ("src", "onload", "onclick", "xlink:href")}
    assert not re.search(r"@import|url\(", text)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in found.attributes


def test_nothing_of_a_hostile_release_is_html_of_its_own(tmp_path: Path) -> None:
    facts = hostile(tmp_path)
    text = page_text(facts)
    ElementTree.fromstring(text.split("\n", 1)[1])
    found, plain = Tags(text), Tags(page_text(released(tmp_path)))
    assert found.tags <= plain.tags | {"ul", "li"}
    assert {n for n, _ in found.attributes} <= {n for n, _ in plain.attributes}
    for name in NAMES:
        assert visible(name) in found.text.replace("\n", " "), name


def test_the_page_has_a_picture_of_each_kind(tmp_path: Path) -> None:
    root = ElementTree.fromstring(page_text(released(tmp_path)).split("\n", 1)[1])
    titles = [s.findtext("title") for s in root.iter("svg")]
    assert titles == [
        "Shares of samples",
        "Recall of each label, by accuracy",
        "Confusion matrix of accuracy: rows are the truth, columns the answers",
        "Reliability of accuracy",
        "Parity with the source model, dB",
        "Size of the largest layers",
    ]


def test_the_matrix_counts_every_answer_once(tmp_path: Path) -> None:
    root = ElementTree.fromstring(page_text(released(tmp_path)).split("\n", 1)[1])
    (matrix,) = [s for s in root.iter("svg") if "Confusion" in (s.findtext("title") or "")]
    numbers = [int(t.text or "") for t in matrix.iter("text") if (t.text or "").isdigit()]
    found = confusion(released(tmp_path))
    assert found is not None
    assert sum(numbers) == 238 == sum(map(sum, found.counts))


def test_of_many_labels_the_worst_are_drawn(tmp_path: Path) -> None:
    facts = released(tmp_path)
    metrics = {f"recall.l{i}": share(50 - i, 50) for i in range(41)}
    (stage,) = [s for s in facts.stages if s.name == "accuracy"]
    judged = replace(stage, metrics=metrics)
    text = page_text(replace(facts, stages=(*facts.stages, replace(judged, name="late"))))
    root = ElementTree.fromstring(text.split("\n", 1)[1])
    title = "The 20 labels with the lowest recall, by late"
    (picture,) = [s for s in root.iter("svg") if s.findtext("title") == title]
    drawn = [t.text for t in picture.iter("text") if (t.text or "").startswith("l")]
    assert drawn == [f"l{i}" for i in range(40, 20, -1)]


def test_a_hundred_labels_make_no_matrix_but_a_table_of_mistakes(tmp_path: Path) -> None:
    facts = released(tmp_path)
    rows = [{"actual": f"l{i}", "predicted": f"l{(i + i % 2) % 100}"} for i in range(100)]
    (tmp_path / "plots/confusion.json").write_text(json.dumps(rows))
    text = page_text(facts)
    assert "Confusion matrix" not in text
    assert "What is most often taken for what" in text


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '[{"x": 1}]', "no json"])
def test_a_plot_that_is_none_of_ours_is_left_out(tmp_path: Path, content: str) -> None:
    facts = released(tmp_path)
    for name in ("confusion", "reliability"):
        (tmp_path / f"plots/{name}.json").write_text(content)
    text = page_text(facts)
    assert "Confusion matrix" not in text and "Reliability" not in text


def test_texts_of_the_pipeline_file_reach_the_page(tmp_path: Path) -> None:
    text = Tags(page_text(released(tmp_path))).text
    for key in ("summary", "intended_use", "out_of_scope", "limits", "ethics", "contact"):
        assert CARD[key] in text


def test_a_page_links_to_each_of_its_sections() -> None:
    text = page("t", [blocks.Section("A & b", blocks.paragraphs(TEXT[:10]))])
    assert '<a href="#a-b">A &amp; b</a>' in text and 'id="a-b"' in text
