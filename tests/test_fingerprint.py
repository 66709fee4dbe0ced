import hashlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.fingerprint import canonical, code_digest, digest, file_md5, listing_md5

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars.filter(lambda v: not isinstance(v, float) or math.isfinite(v)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def typed(value):
    """The value with its types: Python itself takes 1, 1.0 and True for equal."""
    if isinstance(value, dict):
        return {k: typed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [typed(v) for v in value]
    return (type(value).__name__, repr(value))


@given(values, values)
def test_values_have_equal_bytes_if_and_only_if_they_are_equal(a, b):
    assert (canonical(a) == canonical(b)) == (typed(a) == typed(b))


@given(values)
def test_canonical_bytes_are_json_of_the_same_value(value):
    assert typed(json.loads(canonical(value))) == typed(value)


@given(
    st.dictionaries(st.text(), scalars.filter(lambda v: v == v and v not in (math.inf, -math.inf)))
)
def test_the_order_of_keys_is_none(value):
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_one_and_one_point_zero_and_true_and_the_text_one_differ():
    assert len({canonical(v) for v in (1, 1.0, True, "1")}) == 4


def test_a_tuple_is_a_list():
    assert canonical((1, (2,))) == canonical([1, [2]])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_without_a_canonical_form_are_refused(value):
    with pytest.raises(
        ValueError, match=f"^{value} cannot be a parameter: it has no canonical form$"
    ):
        canonical({"a": [value]})


def test_keys_must_be_strings():
    with pytest.raises(TypeError, match=r"^a key must be a string, not 1$"):
        canonical({1: 2})


def test_objects_are_refused():
    with pytest.raises(TypeError, match=r"^set has no canonical form$"):
        canonical([{1}])


def test_the_same_value_in_two_domains_has_two_digests():
    assert digest("stage", {"a": 1}) != digest("toolchain", {"a": 1})


@given(st.binary(max_size=3 << 20))
def test_a_files_digest_is_its_md5(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(data)
    assert file_md5(path) == hashlib.md5(data).hexdigest()


@given(st.dictionaries(st.text(min_size=1), st.just("0" * 32)))
def test_a_listing_is_the_sorted_json_that_dvc_writes(entries):
    plain = sorted(
        ({"md5": m, "relpath": r} for r, m in entries.items()), key=lambda e: e["relpath"]
    )
    data = json.dumps(plain, sort_keys=True).encode()
    assert listing_md5(reversed(entries.items())) == (hashlib.md5(data).hexdigest() + ".dir", data)


def test_code_counts_by_names_and_bytes_and_not_by_place(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "run.py").write_text("x = 1\n")
    one = code_digest({"run.py": tmp_path / "a/run.py"})
    assert one == code_digest({"run.py": tmp_path / "b/run.py"})
    assert one != code_digest({"other.py": tmp_path / "a/run.py"})
    (tmp_path / "b/run.py").write_text("x = 2\n")
    assert one != code_digest({"run.py": tmp_path / "b/run.py"})


@pytest.mark.parametrize(
    "name", ["__pycache__/run.cpython-311.pyc", "run.pyc", ".run.py.swp", "run.py~", ".#run.py"]
)
def test_leftovers_of_python_and_editors_are_no_code(name, tmp_path: Path):
    (tmp_path / "left").write_text("x")
    assert code_digest({name: tmp_path / "left"}) == code_digest({})
