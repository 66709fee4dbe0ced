from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbuild.errors import PipelineError
from mlbuild.pipeline.compose import compose
from mlbuild.pipeline.load import load
from mlbuild.pipeline.nodes import Mapped, Source, plain
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.root import project_root


def told(tmp_path: Path, data: bytes) -> str:
    """The message about a file, problems that did not stop the reading included."""
    file = tmp_path / "p.yaml"
    file.write_bytes(data)
    with pytest.raises(PipelineError) as caught:
        document = load(file)
        document.problems.raise_any()
    return caught.value.render().replace(str(file), "p.yaml")


def values(text: str) -> object:
    source = Source("t", tuple(text.splitlines()))
    problems = Problems()
    node = compose(text, source, problems)
    problems.raise_any()
    assert node is not None
    return plain(node)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),  # YAML 1.1 would make it true
        ("yes", "yes"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("1e-3", 0.001),  # text in YAML 1.1
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", float("-inf")),
        ("010", 10),  # eight in YAML 1.1
        ("0o17", 15),
        ("0x1F", 31),
        ("+12", 12),
        ("1_000", "1_000"),  # a number in YAML 1.1
        ("12:30:45", "12:30:45"),  # base sixty in YAML 1.1
        ("2026-01-01", "2026-01-01"),  # a date in YAML 1.1
        ("1.2.3", "1.2.3"),
        ("-", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("'${{ params.x }}'", "${{ params.x }}"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = values(f"a: {text}" if text != "-" else "- ")
    expected = [None] if text == "-" else {"a": value}
    assert found == expected
    assert repr(found) == repr(expected)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert values("on: 1\n4: 2\nnull: 3\n") == {"on": 1, "4": 2, "null": 3}


def test_every_node_knows_its_place(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("a:\n  b: [1, {c: dé}]\n")
    root = load(tmp_path / "p.yaml").root
    inner = root.get("a")
    assert isinstance(inner, Mapped)
    assert (inner.entries["b"].key.line, inner.entries["b"].key.column) == (1, 2)
    assert str(inner.entries["b"].value.place) == f"{tmp_path}/p.yaml:2:6"
    assert inner.entries["b"].value.place.text == "  b: [1, {c: dé}]"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"",
            "p.yaml:1:1: the file is empty\n"
            "   1 | \n"
            "     | ^\n"
            "  hint: it begins with 'version: 1', 'name: ...' and 'stages:'",
        ),
        (
            b"# nothing\n",
            "p.yaml:1:1: the file is empty\n"
            "   1 | # nothing\n"
            "     | ^\n"
            "  hint: it begins with 'version: 1', 'name: ...' and 'stages:'",
        ),
        (
            b"- a\n- b\n",
            "p.yaml:1:1: a pipeline file is a map, not a list\n"
            "   1 | - a\n"
            "     | ^\n"
            "  hint: it begins with 'version: 1', 'name: ...' and 'stages:'",
        ),
        (
            b"a:\n\tb: 1\n",
            "p.yaml:2:1: not valid YAML: while scanning for the next token found character that "
            "cannot start any token\n"
            "   2 |  b: 1\n"
            "     | ^\n"
            "  hint: indent with spaces, not with tabs",
        ),
        (
            b"a: 1\nd: {path: ${{ params.x }}}\n",
            "p.yaml:2:12: not valid YAML: while parsing a flow mapping did not find expected ',' "
            "or '}'\n"
            "   2 | d: {path: ${{ params.x }}}\n"
            "     |            ^\n"
            '  hint: inside { } and [ ] put it in quotes: "${{ ... }}"',
        ),
        (
            b"a: caf\xe9\n",
            "p.yaml:1:7: not UTF-8\n"
            "   1 | a: caf\N{REPLACEMENT CHARACTER}\n"
            "     |       ^\n"
            "  hint: save the file as UTF-8",
        ),
        (
            b"a: 1\nb: \x00\x01\n",
            "p.yaml:2:4: character U+0000 is not allowed: this is not a text file\n"
            "   2 | b: \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\n"
            "     |    ^",
        ),
        (
            b"a: 1\na: 2\nb: {c: 1, c: 2}\n",
            "p.yaml:2:1: key 'a' appears twice\n"
            "   2 | a: 2\n"
            "     | ^\n"
            "  hint: first in line 1\n"
            "p.yaml:3:11: key 'c' appears twice\n"
            "   3 | b: {c: 1, c: 2}\n"
            "     |           ^\n"
            "  hint: first in line 3",
        ),
        (
            b"a: !!python/object/apply:os.system ['true']\n",
            "p.yaml:1:4: tag '!!python/object/apply:os.system' is not allowed here\n"
            "   1 | a: !!python/object/apply:os.system ['true']\n"
            "     |    ^\n"
            "  hint: remove it; text that looks like a number goes in quotes",
        ),
        (
            b"a: 1\n---\nb: 1\n",
            "p.yaml:2:1: a second document: a pipeline file is one YAML document\n"
            "   2 | ---\n"
            "     | ^",
        ),
        (
            b"a: .nan\n",
            "p.yaml:1:4: '.nan' is no usable value: it equals nothing, not even itself\n"
            "   1 | a: .nan\n"
            "     |    ^",
        ),
        (
            b"a: &x [*x]\n",
            "p.yaml:1:8: '*x' stands inside its own anchor\n   1 | a: &x [*x]\n     |        ^",
        ),
        (
            b"? [1, 2]\n: 3\n",
            "p.yaml:1:3: a list or map as a key\n   1 | ? [1, 2]\n     |   ^",
        ),
        (
            b"a: *nowhere\n",
            "p.yaml:1:4: there is no anchor '&nowhere' before it\n   1 | a: *nowhere\n     |    ^",
        ),
    ],
)
def test_what_is_no_pipeline_file_is_told_with_its_place(
    tmp_path: Path, data: bytes, message: str
) -> None:
    assert told(tmp_path, data) == message


def test_a_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "dogs.yaml").write_text("a: 1")
    (tmp_path / "cats.yaml").write_text("a: 1")
    with pytest.raises(PipelineError) as caught:
        load(tmp_path / "dog.yaml")
    assert caught.value.render() == (
        f"{tmp_path}/dog.yaml: there is no such file\n  hint: did you mean 'dogs.yaml'?"
    )


def test_a_folder_is_no_pipeline_file(tmp_path: Path) -> None:
    (tmp_path / "dogs.yaml").write_text("a: 1")
    with pytest.raises(PipelineError) as caught:
        load(tmp_path)
    assert caught.value.render() == (
        f"{tmp_path}: is a folder\n  hint: there are dogs.yaml in {tmp_path}"
    )


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.yaml")
    with pytest.raises(PipelineError, match="is no regular file"):
        load(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (b"[" * 100_000, 1, "nested more than 40 levels deep"),
        (b"{a: " * 100_000, 1, "nested more than 40 levels deep"),
        (b"- " * 100_000, 1, "nested more than 40 levels deep"),
        (b"a: b: c\n" * 100_000, 1, "not valid YAML"),
        (b"%$#@!\n" * 100_000, 1, "not valid YAML"),
        (b"garbage\n" * 100_000, 1, "a pipeline file is a map, not 'garbage garbage"),
        (b"a: " + b"9" * 100_000, 1, "a number of 100000 digits"),
        (bytes(range(256)) * 4000, 2, "not UTF-8"),
    ],
)
def test_garbage_is_refused(tmp_path: Path, data: bytes, line: int, what: str) -> None:
    message = told(tmp_path, data)
    assert message.startswith(f"p.yaml:{line}:")
    assert what in message.splitlines()[0]
    assert len(message) < 2000


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    message = told(tmp_path, "\n".join(lines).encode())
    assert "aliases make this file grow beyond 200000 values" in message


def test_aliases_stand_for_what_they_name() -> None:
    assert values("a: &x {b: [1]}\nc: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbfversion: 1\n")
    assert list(load(tmp_path / "p.yaml").root.entries) == ["version"]


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcdefgh-_é ", min_size=1, max_size=6), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(tree=TREES, flow=st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_yaml_writes_is_read_back(tree: object, flow: bool) -> None:
    class Quoted(yaml.SafeDumper):
        pass

    # Text is quoted, so that only quoting decides what is text.
    Quoted.add_representer(
        str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    )
    text = yaml.dump({"root": tree}, Dumper=Quoted, default_flow_style=flow, allow_unicode=True)
    # The dumper writes "!!null" and the like before keys and unusual values; none of ours here.
    found = values(text)
    assert found == {"root": tree}


@given(
    data=st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "ignore"))
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_ends_in_a_traceback(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes(data)
    try:
        load(file)
    except PipelineError as error:
        assert error.render()


@pytest.mark.parametrize("mark", [".git", ".dvc", "pyproject.toml"])
def test_the_root_is_the_nearest_folder_with_a_mark(tmp_path: Path, mark: str) -> None:
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "inner"
    (inner / "pipelines").mkdir(parents=True)
    (inner / mark).touch()
    assert project_root(inner / "pipelines" / "dogs.yaml") == inner
    assert project_root(tmp_path / "dogs.yaml") == tmp_path
