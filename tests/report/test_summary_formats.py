"""One page as text, Markdown and HTML; what a stranger wrote stays text in all of them."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlbuild.report.summary.html import html
from mlbuild.report.summary.markdown import escaped, markdown, marker
from mlbuild.report.summary.page import Cell, Page, Section, Table, Tone, table
from mlbuild.report.summary.text import text

ROWS = [
    (Cell("validate"), Cell("51.5 dB"), Cell("▲ +2 dB, better", Tone.GOOD)),
    (Cell("train"), Cell("0.9"), Cell("")),
]
PAGE = Page(
    "mlbuild: dogs",
    "mlbuild-report: dogs",
    Cell("2 of 2 stages up to date, 1 gate held", Tone.GOOD),
    (Cell("compared with main (1a2b3c4)"),),
    (
        Section("Figures", table(("stage", "now", "change"), ROWS, ("now",))),
        Section("More", lines=(Cell("one"), Cell("two", Tone.DOUBT)), folded=True),
    ),
)


def test_text_is_plain_lines() -> None:
    assert text(PAGE) == (
        "mlbuild: dogs: 2 of 2 stages up to date, 1 gate held\n"
        "  compared with main (1a2b3c4)\n"
        "\n"
        "Figures:\n"
        "  stage     now      change\n"
        "  validate  51.5 dB  ▲ +2 dB, better\n"
        "  train     0.9\n"
        "\n"
        "More:\n"
        "  one\n"
        "  two"
    )


def test_markdown_is_a_table_with_the_rest_folded_and_a_hidden_marker() -> None:
    assert markdown(PAGE) == (
        "<!-- mlbuild-report: dogs -->\n"
        "### ✅ mlbuild: dogs: 2 of 2 stages up to date, 1 gate held\n"
        "\n"
        "- compared with main (1a2b3c4)\n"
        "\n"
        "**Figures**\n"
        "\n"
        "| stage | now | change |\n"
        "| --- | ---: | --- |\n"
        "| validate | 51.5 dB | ✅ ▲ +2 dB, better |\n"
        "| train | 0.9 |  |\n"
        "\n"
        "<details><summary>More</summary>\n"
        "\n"
        "- one\n"
        "- ⚠️ two\n"
        "\n"
        "</details>"
    )


def test_columns_without_anything_are_left_out() -> None:
    assert table(("a", "b"), [(Cell(""), Cell("x"))]).columns == ("b",)


@pytest.mark.parametrize(
    ("text_", "wanted"),
    [
        ("a | b", r"a \| b"),
        ("line\nbreak  and tab\t.", "line break and tab ."),
        ("<img src=x onerror=alert(1)>", r"&lt;img src=x onerror=alert(1)&gt;"),
        ("[click](https://evil.example)", r"\[click\](https&#8203;://evil.example)"),
        ("see www.evil.example", "see www&#8203;.evil.example"),
        ("@maintainer fixes #12", r"@&#8203;maintainer fixes \#&#8203;12"),
        ("![x](y)", r"\!\[x\](y)"),
        ("`code` *bold* _it_ ~~no~~ $x$", r"\`code\` \*bold\* \_it\_ \~\~no\~\~ \$x\$"),
        ("- item", "&#8203;- item"),
        ("12. item", "&#8203;12. item"),
        ("--- line", "&#8203;--- line"),
        ("# heading", r"\# heading"),
        ("> quote", "&gt; quote"),
        ("-0.5 and 51.5", "-0.5 and 51.5"),
        ("a\\|b", r"a\\\|b"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
    ],
)
def test_text_means_nothing_but_itself_in_markdown(text_: str, wanted: str) -> None:
    assert escaped(text_) == wanted


HOSTILE = st.text(
    st.one_of(
        st.sampled_from(list("\\`*_{}[]()#+-.!|~$<>&@:=\"'\n\t 0123456789")),
        st.sampled_from("aAwé漢"),
    ),
    max_size=30,
)


@given(HOSTILE)
@settings(max_examples=400, deadline=None)
def test_a_parser_of_markdown_sees_nothing_but_the_text(name: str) -> None:
    """An independent reader of CommonMark with tables and strike-through, as GitHub's has them."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    told = escaped(name)
    kinds = [t.type for t in reader.parse(told)]
    assert kinds in ([], ["paragraph_open", "inline", "paragraph_close"])
    inside = [t for token in reader.parse(told) for t in token.children or ()]
    assert {t.type for t in inside} <= {"text", "text_special"}
    plain = "".join(t.content for t in inside).replace("\u200b", "")
    assert plain == " ".join(name.split())


@given(st.lists(HOSTILE, min_size=1, max_size=4), st.lists(HOSTILE, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_parser_of_markdown_sees_every_row_with_its_columns(
    one: list[str], two: list[str]
) -> None:
    rows = [(Cell(a), Cell("x"), Cell(b)) for a, b in zip(one, two, strict=False)]
    shown = Table(("first", "second", "third"), tuple(rows))
    page = Page("t", "m", Cell("v"), (), (Section("s", shown),))
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown(page))
    assert sum(t.type == "tr_open" for t in tokens) == 1 + len(rows)
    assert sum(t.type == "td_open" for t in tokens) == 3 * len(rows)
    assert not [t for t in tokens if t.type == "html_block" and t is not tokens[0]]


def test_a_label_cannot_add_a_column_or_a_row() -> None:
    page = Page("t", "m", Cell("v"), (), (Section("s", table(("a",), [(Cell("x|y\n|z|"),)])),))
    (row,) = [line for line in markdown(page).splitlines() if "x" in line and "|" in line]
    assert len(re.findall(r"(?<!\\)\|", row)) == 2


def test_the_marker_cannot_end_its_comment() -> None:
    page = Page("t", "mlbuild-report: a --><b>\n--", Cell("v"))
    told = marker(page)
    assert re.fullmatch(r"mlbuild-report: a -b- [0-9a-f]{8}", told)
    assert markdown(page).splitlines()[0] == f"<!-- {told} -->"


def test_names_that_differ_in_odd_letters_have_markers_of_their_own() -> None:
    one, two = (Page("t", name, Cell("v")) for name in ("modèle", "modéle"))
    assert marker(one) != marker(two)


def test_what_is_too_long_for_a_comment_is_left_out_by_name() -> None:
    long = Section("Long", lines=tuple(Cell("x" * 100) for _ in range(50)))
    page = Page("t", "m", Cell("v"), (), (Section("Short", lines=(Cell("y"),)), long))
    told = markdown(page, room=1000)
    assert len(told) < 1100
    assert "**Short**" in told
    assert told.endswith("Too long for a comment, so left out: Long.")


def test_of_a_long_table_what_is_wrong_stays() -> None:
    rows = [(Cell(f"stage {n}"), Cell("holds", Tone.GOOD)) for n in range(500)]
    rows[400] = (Cell("stage 400"), Cell("FAILED", Tone.BAD))
    page = Page("t", "m", Cell("v"), (), (Section("Figures", table(("stage", "gate"), rows)),))
    told = markdown(page, room=2000)
    assert 1800 < len(told) <= 2000
    assert "| stage 400 | ❌ FAILED |" in told
    assert "| stage 0 |" in told and "| stage 499 |" not in told
    shown = told.count("| stage ") - 1  # the head
    assert told.endswith(f"- and {500 - shown} more rows")


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_well_formed_and_asks_nothing_of_the_network() -> None:
    told = html(PAGE)
    reader = Reader()
    reader.feed(told)
    assert reader.open == []
    assert not {"src", "href", "action"} & {name for name, _ in reader.attributes}
    assert "default-src 'none'" in dict(reader.attributes).get("content", "") or (
        "default-src &#x27;none&#x27;" in told
    )
    assert "url(" not in told and "@import" not in told and "<script" not in told


def test_html_escapes_what_a_stranger_wrote() -> None:
    told = html(Page("<b>", "m", Cell("<script>alert(1)</script>")))
    assert "<script" not in told and "<b>" not in told
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told


def test_html_says_good_and_bad_by_more_than_colour() -> None:
    assert '<span class="good">▲ +2 dB, better</span>' in html(PAGE)
