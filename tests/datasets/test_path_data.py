"""Datasets that lie on this machine."""

from pathlib import Path

import pytest

from mlbuild.datasets import Fetched, MissingPathData, identity
from mlbuild.errors import DataError, PipelineError
from mlbuild.records import Dataset


def test_a_path_is_relative_to_the_root_absolute_or_at_home(
    get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (get.root / "data").mkdir()
    (tmp_path / "elsewhere").write_text("x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert get("path", "data") == Fetched(get.root / "data", {})
    assert get("path", str(tmp_path / "elsewhere")).path == tmp_path / "elsewhere"
    assert get("path", "~/elsewhere").path == tmp_path / "elsewhere"


def test_missing_data_is_an_error_with_the_nearest_name(get) -> None:
    (get.root / "data").mkdir()
    with pytest.raises(DataError) as caught:
        get("path", "dta")
    assert caught.value.render() == (
        "dataset 'photos': dta does not exist\n  hint: did you mean 'data'?"
    )
    assert not isinstance(caught.value, MissingPathData)


def test_a_dangling_link_is_named(get) -> None:
    (get.root / "data").symlink_to("/none")
    with pytest.raises(DataError) as caught:
        get("path", "data")
    assert caught.value.render().splitlines()[:2] == [
        "dataset 'photos': data does not exist",
        "  got: a link to /none, which does not exist",
    ]


@pytest.mark.parametrize("tracked", ["data/dogs.dvc", "data.dvc"])
def test_data_that_dvc_tracks_can_be_pulled(get, tracked: str) -> None:
    (get.root / "data").mkdir()
    (get.root / tracked).write_text("outs: []")
    with pytest.raises(MissingPathData) as caught:
        get("path", "data/dogs")
    assert caught.value.dvc_file == get.root / tracked
    assert caught.value.path == get.root / "data/dogs"
    assert caught.value.render() == (
        "dataset 'photos': data/dogs has not been pulled\n"
        f"  hint: run `dvc pull {tracked}`, or mlbuild without --no-pull"
    )


def test_an_unknown_option_or_source_is_refused() -> None:
    with pytest.raises(PipelineError) as caught:
        identity(Dataset("d", "pypi", "a==1", {"file": "x"}))
    assert caught.value.render() == (
        "dataset 'd': unknown option 'file' of pypi\n"
        "  allowed: files\n  hint: did you mean 'files'?"
    )
    with pytest.raises(PipelineError, match="unknown kind of source 'ftp'"):
        identity(Dataset("d", "ftp", "x"))


def test_what_is_chosen_out_of_the_data_is_part_of_its_identity() -> None:
    one = identity(Dataset("a", "pypi", "Foo_Box==1", {"files": "a/*"}))
    assert one == identity(Dataset("b", "pypi", "foo-box == 1", {"files": "a/*"}))
    assert one != identity(Dataset("a", "pypi", "foo-box==1", {"files": "b/*"}))
