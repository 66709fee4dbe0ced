"""The model card as a page: well-formed, closed to the network, with pictures."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.release.documents import blocks, inside
from mlbuild.release.documents.figures import confusion
from mlbuild.release.documents.markup import Markup, element, visible
from mlbuild.release.documents.page import page, page_text
from tests.release.card_of import CARD
from tests.release.dogs import share
from tests.release.facts_of import released
from tests.release.hostile import NAMES, TEXT, hostile
from tests.release.html_of import Tags


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
