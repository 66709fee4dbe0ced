import importlib.util
from pathlib import Path

import pytest

tree_sitter_swift = pytest.importorskip("tree_sitter_swift")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tree_sitter import Language, Parser  # noqa: E402

FILE = Path(__file__).parents[3] / "stages" / "_shared" / "swift" / "names.py"
spec = importlib.util.spec_from_file_location("swift_names", FILE)
names = importlib.util.module_from_spec(spec)
spec.loader.exec_module(names)
parser = Parser(Language(tree_sitter_swift.language()))


@given(st.text())
def test_any_text_is_a_literal_on_one_line(text):
    literal = names.literal(text)

    assert "\n" not in literal
    assert len(literal.splitlines()) == 1
    assert not parser.parse(f"let x = {literal}\n".encode()).root_node.has_error


@given(st.lists(st.text(max_size=12), max_size=8))
def test_any_names_become_different_identifiers_that_parse(given_names):
    found = names.identifiers(given_names)
    text = "".join(f"    var {name}: Int = 0\n" for name in found)

    assert len(set(found)) == len(given_names)
    assert not parser.parse(f"struct S {{\n{text}}}\n".encode()).root_node.has_error


@given(st.text())
def test_any_text_is_a_comment_on_one_line(text):
    assert len(names.comment(text).splitlines()) <= 1
    assert "*/" not in names.comment(text)


@given(st.text())
def test_any_name_is_a_type(text):
    name = names.type_name(text)

    assert name.isascii()
    assert name.isidentifier()
    assert not parser.parse(f"struct {name} {{}}\n".encode()).root_node.has_error


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dogs", "Dogs"),
        ("2 dogs & cats", "Model2DogsCats"),
        ("Vision", "VisionModel"),
        ("self", "SelfModel"),
        ("犬", "Model"),
    ],
)
def test_names_of_types(name, wanted):
    assert names.type_name(name) == wanted
