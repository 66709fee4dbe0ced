"""What is seen of data, and what is said where nothing is."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.errors import UsageError
from mlbuild.starting import looking, tables
from mlbuild.starting.arrays import headers
from mlbuild.starting.found import Form
from mlbuild.starting.looking import look, search
from mlbuild.starting.tasks import task_of
from tests.starting import data
from tests.starting.data import FORMS


@pytest.mark.parametrize("form", FORMS)
def test_each_form_means_its_task(form: str, tmp_path: Path) -> None:
    make, name, task = FORMS[form]
    assert task_of(look(make(tmp_path / name)).form) == task


def test_folders_of_pictures_are_counted(tmp_path: Path) -> None:
    found = look(data.classes(tmp_path / "photos"))
    assert (found.form, found.why) == (Form.PICTURES, "3 folders with 12 pictures")
    assert found.facts["guess"] == "0.33"


def test_sounds_tell_their_rate_and_length(tmp_path: Path) -> None:
    found = look(data.sounds(tmp_path))
    assert (found.facts["rate"], found.facts["window"]) == ("8000", "0.5")


def test_a_spoilt_sound_is_left_to_the_stage(tmp_path: Path) -> None:
    data.sounds(tmp_path)
    for file in tmp_path.rglob("*.wav"):
        file.write_bytes(b"RIFF")
    assert look(tmp_path).facts["rate"] == "16000"


def test_a_table_tells_target_gaps_and_columns_that_name_rows(tmp_path: Path) -> None:
    facts = look(data.table(tmp_path / "t.csv")).facts
    assert (facts["target"], facts["exclude"], facts["gaps"]) == ("class", "[id]", True)
    assert facts["classification"] is True


def test_a_target_of_many_numbers_is_a_quantity(tmp_path: Path) -> None:
    found = look(data.quantities(tmp_path / "t.csv"))
    assert (found.facts["target"], found.facts["regression"]) == ("price", True)
    assert look(found.path, "b").facts["regression"] is False


def test_a_table_without_a_header_gets_one(tmp_path: Path) -> None:
    facts = look(data.headless(tmp_path / "t.csv")).facts
    assert (facts["header"], facts["target"]) == ("[c1, c2, c3]", "c3")


def test_a_delimiter_that_is_no_comma_is_found(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;b\n1,5;x\n2,5;y\n")
    assert tables.read(tmp_path / "t.csv").columns == ("a", "b")


def test_a_packed_table_is_read(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,label\n1,x\n2,y\n"))
    assert look(tmp_path / "t.csv.gz").facts["target"] == "label"


def test_a_value_of_several_lines_is_one_value(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('text,label\n"one two three\nfour",x\n"five six seven",y\n')
    assert tables.read(tmp_path / "t.csv").cells("label") == ["x", "y"]


def test_few_texts_are_seen_more_often(tmp_path: Path) -> None:
    assert look(data.text_table(tmp_path / "t.csv")).facts["epochs"] == "40"
    rows = "\n".join(f"a text of words {n},{n % 2}" for n in range(1500))
    (tmp_path / "many.csv").write_text(f"text,label\n{rows}\n")
    assert look(tmp_path / "many.csv").facts["epochs"] == "6"


def test_of_few_examples_no_interval_is_asked(tmp_path: Path) -> None:
    assert look(data.classes(tmp_path / "few")).facts["few"] is True
    for number in range(30):
        for name in ("cat", "dog", "emu"):
            data.picture(tmp_path / "many" / name / f"{number}.png", number)
    assert look(tmp_path / "many").facts["few"] is False


def test_arrays_are_known_by_their_headers_alone(tmp_path: Path) -> None:
    held = headers(data.sessions(tmp_path / "a.npz"))
    assert held["values"] == ((4, 60, 3), "<f4")


def test_recordings_tell_a_window(tmp_path: Path) -> None:
    assert look(data.sessions(tmp_path / "a.npz")).facts["window"] == "30"
    assert look(data.session_table(tmp_path / "a.csv")).facts["window"] == "10"


def test_annotations_under_a_name_of_their_own_are_told(tmp_path: Path) -> None:
    found = look(data.coco(tmp_path))
    assert (found.why, found.facts["annotations"]) == (
        "instances.json (COCO's format)",
        "instances.json",
    )


def test_hidden_files_are_no_data(tmp_path: Path) -> None:
    data.classes(tmp_path)
    data.picture(tmp_path / ".cache" / "a.png")
    data.picture(tmp_path / "_old" / "a.png")
    assert look(tmp_path).why == "3 folders with 12 pictures"


def test_data_in_a_project_are_found_without_being_named(tmp_path: Path) -> None:
    data.sounds(tmp_path / "data" / "calls")
    found = search(tmp_path)
    assert found is not None
    assert found.path == tmp_path / "data" / "calls"


def test_pictures_and_texts_that_lie_about_are_no_sign(tmp_path: Path) -> None:
    data.flat(tmp_path / "assets")
    data.texts(tmp_path / "notes")
    assert search(tmp_path) is None
    data.flat(tmp_path / "data" / "views")
    assert search(tmp_path) is not None


def test_a_project_s_own_folders_are_no_data(tmp_path: Path) -> None:
    data.classes(tmp_path / "build")
    data.classes(tmp_path / "releases")
    (tmp_path / "notes.txt").write_text("nothing")
    assert search(tmp_path) is None


def _said(path: Path, target: str | None = None) -> str:
    with pytest.raises(UsageError) as raised:
        look(path, target)
    return raised.value.render().replace(str(path), "DATA")


def test_nothing_there_is_said(tmp_path: Path) -> None:
    assert _said(tmp_path / "none") == "there are no data at DATA"


def test_data_that_tell_nothing_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"")
    allowed = ", ".join(form.value for form in Form if form is not Form.ARRAYS)
    assert _said(tmp_path) == (
        "what DATA holds tells no task\n"
        "  got: 0 folders; 1 .bin\n"
        f"  allowed: {allowed}\n"
        "  hint: lay it out so, or begin without --data and change the pipeline file"
    )


def test_a_column_that_is_not_there_gets_the_nearest(tmp_path: Path) -> None:
    assert _said(data.table(tmp_path / "t.csv"), "lenght") == (
        "DATA has no column 'lenght'\n"
        "  allowed: id, length, side, class\n"
        "  hint: did you mean 'length'?"
    )


def test_a_file_that_is_no_table_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("alone\n")
    assert _said(tmp_path / "t.csv") == "DATA is no table\n  got: 1 rows of 1 columns"


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    assert _said(tmp_path / "t.csv").startswith("DATA cannot be read as a table\n  got: 'utf-8'")


@pytest.mark.parametrize("content", [b"PK", b"", b"not a zip"])
def test_spoilt_arrays_are_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert _said(tmp_path / "a.npz") == "DATA is no file of arrays\n  got: File is not a zip file"


def test_a_parquet_file_needs_its_column_named(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    assert _said(tmp_path / "t.parquet") == (
        "DATA: columns of Parquet files are not looked at\n"
        "  hint: name the column that is to be told: --target-column"
    )
    assert look(tmp_path / "t.parquet", "price").facts["target"] == "price"


def test_a_look_at_many_files_stops_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_SEEN", 2)
    assert look(data.classes(tmp_path)).why == "3 folders with 6 pictures"


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=6)
_ROWS = st.lists(st.tuples(_CELL, _CELL, st.integers(0, 3).map(str)), min_size=2, max_size=6)


@given(
    st.text(st.characters(codec="utf-8"), max_size=200)
    | _ROWS.map(lambda rows: "\n".join(",".join(row) for row in rows)),
    st.sampled_from([".csv", ".tsv"]),
)
def test_any_text_is_a_table_or_told_to_be_none(text: str, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"t{suffix}")
        path.write_text(text, encoding="utf-8", newline="")
        with contextlib.suppress(UsageError):
            found = look(path)
            assert yaml.safe_load(str(found.facts["target"])) == _read_target(path, found.form)


def _read_target(path: Path, form: Form) -> str:
    assert form in (Form.TABLE, Form.TEXT_TABLE, Form.SESSION_TABLE)
    columns = tables.read(path).columns
    named = {column.lower(): column for column in columns}
    known = ("target", "label", "class", "category", "species", "outcome", "y", "sentiment")
    return next((named[name] for name in known if name in named), columns[-1])


@given(st.binary(max_size=300), st.sampled_from([".npz", ".csv.gz", ".csv.bz2", ".json"]))
def test_any_bytes_are_looked_at_without_a_fall(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"d{suffix}")
        path.write_bytes(content)
        for place in (path, path.parent):
            with contextlib.suppress(UsageError):
                look(place)


def test_large_annotations_are_not_read_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_LARGE", 10)
    assert look(data.coco(tmp_path)).form is Form.ANNOTATED
    (tmp_path / "instances.json").write_text('{"nothing": "of that"}')
    assert look(tmp_path).form is Form.FLAT_PICTURES
