"""Globs over members of archives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.datasets.picking import nearby, pick

NAMES = ["a/b/1.jpg", "a/b/2.jpg", "a/b/c/3.jpg", "a/x.txt", "top.txt", "a/b.csv.gz", "a/.hid"]


@pytest.mark.parametrize(
    ("glob", "places"),
    [
        pytest.param("a/b/*.jpg", {"1.jpg", "2.jpg"}, id="the fixed folders are stripped"),
        pytest.param("a/**/*.jpg", {"b/1.jpg", "b/2.jpg", "b/c/3.jpg"}, id="two stars cross"),
        pytest.param("**", set(NAMES), id="everything"),
        pytest.param("**/*.txt", {"a/x.txt", "top.txt"}, id="two stars take no folder too"),
        pytest.param("*.txt", {"top.txt"}, id="one star stays"),
        pytest.param("a/b", {"1.jpg", "2.jpg", "c/3.jpg"}, id="a folder means what it holds"),
        pytest.param("a/b/[!1].jpg", {"2.jpg"}, id="a class"),
        pytest.param("a/?/*/*", {"b/c/3.jpg"}, id="wildcards in folders keep the folder"),
        pytest.param("a/*", {"x.txt", "b.csv.gz", ".hid"}, id="no folder is a file"),
        pytest.param("b/*.jpg", set(), id="the path starts at the top"),
    ],
)
def test_a_glob_picks(glob: str, places: set[str]) -> None:
    picked = pick(NAMES, glob)
    assert set(picked.places.values()) == places
    assert picked.single is None


def test_a_glob_without_wildcards_names_one_file() -> None:
    picked = pick(NAMES, "a/b.csv.gz")
    assert (dict(picked.places), picked.single) == ({"a/b.csv.gz": "b.csv.gz"}, "b.csv.gz")


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5))
def test_a_path_matches_itself_and_two_stars(parts: list[str]) -> None:
    name = "/".join(parts)
    assert pick([name], name).single == parts[-1]
    assert dict(pick([name], "**").places) == {name: name}
    assert dict(pick([name], "**/" + parts[-1]).places) == {name: name}


def test_members_near_a_glob_that_missed_are_shown() -> None:
    assert nearby(NAMES, "a/b/*.png") == ("a/b/1.jpg", "a/b/2.jpg", "a/b/c/3.jpg")
    assert "top.txt" in nearby(NAMES, "other/*.txt")
    many = [f"d/{n}" for n in range(20)]
    assert nearby(many, "d/x*")[-1] == "and 12 more"
