import csv
import gzip

import pytest

pytest.importorskip("torch")
import numpy as np
from PIL import Image

pytestmark = pytest.mark.toolchain

SORT, PIXELS, SPLIT = "data/sort", "data/pixels", "data/split"
DOGS_ONLY = r"^(?P<label>[a-z][a-z_]*)_\d+\.jpg$"


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def write(folder, *files):
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


# --- data/sort -----------------------------------------------------------------------------------


def test_dogs_are_told_from_cats_by_their_lower_case(run_kind, tmp_path):
    files = write(
        tmp_path / "images",
        "beagle_1.jpg",
        "beagle_22.jpg",
        "great_pyrenees_3.jpg",
        "Abyssinian_1.jpg",
        "Abyssinian_1.mat",
        ".hidden_1.jpg",
    )

    ran = run_kind(SORT, tmp_path=tmp_path, inputs={"files": files}, params={"pattern": DOGS_ONLY})

    assert ran.ok, ran.error
    assert names(ran.outputs["images"]) == [
        "beagle/beagle_1.jpg",
        "beagle/beagle_22.jpg",
        "great_pyrenees/great_pyrenees_3.jpg",
    ]
    assert ran.metrics == {"files": 3, "labels": 2, "unmatched": 2}
    assert ran.json("report")["unmatched"] == ["Abyssinian_1.jpg", "Abyssinian_1.mat"]


def test_labels_are_renamed_chosen_and_counted(run_kind, tmp_path):
    files = write(tmp_path / "images", "a_1.jpg", "a_2.jpg", "b_1.jpg", "c_1.jpg", "D_1.jpg")

    ran = run_kind(
        SORT,
        tmp_path=tmp_path,
        inputs={"files": files},
        params={"rename": {"b": "a"}, "only": ["a", "c", "d"], "case": "lower", "least": 2},
    )

    assert names(ran.outputs["images"]) == ["a/a_1.jpg", "a/a_2.jpg", "a/b_1.jpg"]
    assert ran.json("report")["too_small"] == ["c", "d"]


@pytest.mark.parametrize(
    ("files", "params", "message"),
    [
        (("x.jpg",), {}, r"no file name matches ^(?P<label>.+)_\d+\.\w+$"),
        (
            ("a_1.jpg", "x.jpg"),
            {"unmatched": "fail"},
            r"1 file names do not match ^(?P<label>.+)_\d+\.\w+$: x.jpg",
        ),
        (
            ("one/a_1.jpg", "two/a_1.jpg"),
            {},
            "two files would become a/a_1.jpg: one and two both hold one",
        ),
        (
            ("a_1.jpg",),
            {"rename": {"a": "../a"}},
            "'../a', the label of a_1.jpg, cannot name a folder",
        ),
    ],
)
def test_what_cannot_be_sorted_is_told(run_kind, tmp_path, files, params, message):
    folder = write(tmp_path / "images", *files)

    ran = run_kind(SORT, tmp_path=tmp_path, inputs={"files": folder}, params=params)

    assert (ran.kind, ran.error) == ("failure", message)


# --- data/pixels ---------------------------------------------------------------------------------

ROWS = [[0, 255, 7, 9, 1], [1, 2, 3, 4, 0], [9, 8, 7, 6, 1]]


def table(path, rows=ROWS, header=None):
    lines = [",".join(map(str, row)) for row in rows]
    text = "\n".join([header, *lines] if header else lines) + "\n"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "header"), [("p.csv", None), ("p.csv.gz", None), ("p.csv", "a,b,c,d,label")]
)
def test_rows_of_a_table_become_pictures(run_kind, tmp_path, name, header):
    file = table(tmp_path / "in" / name, header=header)

    ran = run_kind(PIXELS, tmp_path=tmp_path, inputs={"pixels": file.parent})

    assert ran.ok, ran.error
    assert names(ran.outputs["images"]) == ["0/00001.png", "1/00000.png", "1/00002.png"]
    picture = np.asarray(Image.open(ran.outputs["images"] / "1/00000.png"))
    assert picture.tolist() == [[0, 255], [7, 9]]
    assert ran.metrics == {"images": 3, "labels": 2}


def test_arrays_become_pictures(run_kind, tmp_path):
    file = tmp_path / "a.npz"
    images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    np.savez(file, images=images, labels=np.array([3, 5]))

    ran = run_kind(
        PIXELS,
        tmp_path=tmp_path,
        inputs={"pixels": file},
        params={"channels": 3, "names": {"3": "three"}},
    )

    assert ran.ok, ran.error
    assert names(ran.outputs["images"]) == ["5/00001.png", "three/00000.png"]
    picture = np.asarray(Image.open(ran.outputs["images"] / "three/00000.png"))
    assert np.array_equal(picture, images[0])


def test_equal_tables_give_equal_files(run_kind, tree, tmp_path):
    file = table(tmp_path / "p.csv")
    first, second = (run_kind(PIXELS, tmp_path=tmp_path, inputs={"pixels": file}) for _ in range(2))

    assert tree(first.outputs["images"]) == tree(second.outputs["images"])


@pytest.mark.parametrize(
    ("rows", "params", "message"),
    [
        ([[1, 2, 3, 0]], {}, "p.csv: 3 values are no 1 by 1 picture of 1 channels"),
        ([[1, 2, 3, 4, 0], [1, 2, 0]], {}, "p.csv, line 2: 3 cells, expected 5"),
        (
            [[1, 2, "x", 4, 0]],
            {"header": "no"},
            "p.csv, line 1: could not convert string to float: 'x'",
        ),
        ([[1, 2, 3, 400, 0]], {}, "p.csv: values run from 1 to 400, expected 0 to 255"),
        ([[1, 2, 3, 4, "a/b"]], {}, "class 'a/b' cannot name a folder"),
        ([[1, 2, 3, 4, 0]], {"label": "digit"}, "p.csv has no column 'digit'"),
    ],
)
def test_rows_that_are_no_pictures_are_told(run_kind, tmp_path, rows, params, message):
    file = table(tmp_path / "p.csv", rows)

    ran = run_kind(PIXELS, tmp_path=tmp_path, inputs={"pixels": file}, params=params)

    assert (ran.kind, ran.error) == ("failure", message)


def test_a_truncated_archive_is_told(run_kind, tmp_path):
    file = table(tmp_path / "p.csv.gz")
    file.write_bytes(file.read_bytes()[:-9])

    ran = run_kind(PIXELS, tmp_path=tmp_path, inputs={"pixels": file})

    assert ran.kind == "failure"
    assert ran.error.startswith("p.csv.gz cannot be read: ")


def test_pickled_arrays_are_refused(run_kind, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object), y=np.array([1]))

    ran = run_kind(PIXELS, tmp_path=tmp_path, inputs={"pixels": tmp_path / "a.npz"})

    assert ran.kind == "failure"
    assert ran.error.startswith("a.npz cannot be read: Object arrays cannot be loaded")


# --- data/split ----------------------------------------------------------------------------------


def many(folder, count=60, labels=("a", "b")):
    return write(folder, *(f"{label}/{n}.txt" for label in labels for n in range(count)))


def parts(ran):
    return {part: names(ran.outputs[part]) for part in ("train", "validation", "test")}


def test_every_file_goes_to_one_part(run_kind, tmp_path):
    data = many(tmp_path / "data")

    ran = run_kind(SPLIT, tmp_path=tmp_path, inputs={"data": data})

    assert ran.ok, ran.error
    found = parts(ran)
    assert sorted(name for files in found.values() for name in files) == names(data)
    assert all(found.values())
    assert (ran.outputs["train"] / found["train"][0]).read_text() == found["train"][0]
    assert ran.metrics["train"] == len(found["train"])
    assert ran.json("report")["parts"]["test"] == len(found["test"])


def test_old_test_items_stay_when_data_grows(run_kind, tmp_path):
    small = run_kind(SPLIT, tmp_path=tmp_path, inputs={"data": many(tmp_path / "one", 40)})
    large = run_kind(
        SPLIT, tmp_path=tmp_path, inputs={"data": many(tmp_path / "two", 80, ("a", "b", "c"))}
    )

    before, after = parts(small), parts(large)
    for part in before:
        assert set(before[part]) <= set(after[part])


def test_changing_the_validation_share_moves_no_test_item(run_kind, tmp_path):
    data = many(tmp_path / "data")
    one, two = (
        run_kind(SPLIT, tmp_path=tmp_path, inputs={"data": data}, params={"validation": share})
        for share in (0.0, 0.3)
    )

    assert parts(one)["test"] == parts(two)["test"]
    assert parts(one)["validation"] == []


def test_exact_shares_are_met_in_each_class(run_kind, tmp_path):
    ran = run_kind(
        SPLIT,
        tmp_path=tmp_path,
        inputs={"data": many(tmp_path / "data", 20)},
        params={"method": "exact", "validation": 0.1, "test": 0.25},
    )

    wanted = {"train": 13, "validation": 2, "test": 5}
    assert ran.json("report")["labels"] == {"a": wanted, "b": wanted}


@pytest.mark.parametrize("method", ["sticky", "exact"])
def test_groups_stay_together(run_kind, tmp_path, method):
    data = write(tmp_path / "d", *(f"x/p{n}_{k}.txt" for n in range(30) for k in range(3)))

    ran = run_kind(
        SPLIT,
        tmp_path=tmp_path,
        inputs={"data": data},
        params={"group_pattern": r"(?P<group>p\d+)_", "method": method},
    )

    assert ran.ok, ran.error
    people = {part: {n.split("_")[0] for n in found} for part, found in parts(ran).items()}
    assert not people["train"] & people["test"]
    assert not people["train"] & people["validation"]
    assert ran.metrics["groups"] == 30


def test_rows_of_a_table_are_split_with_their_files(run_kind, tmp_path):
    write(tmp_path / "t", *(f"pics/{n}.txt" for n in range(40)))
    with (tmp_path / "t" / "all.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "label", "owner"])
        rows.writerows([f"pics/{n}.txt", "ab"[n % 2], f"o{n // 2}"] for n in range(40))

    ran = run_kind(
        SPLIT,
        tmp_path=tmp_path,
        inputs={"data": tmp_path / "t" / "all.csv"},
        params={"group_column": "owner", "test": 0.3},
    )

    assert ran.ok, ran.error
    owners = {}
    for part in ("train", "validation", "test"):
        with (ran.outputs[part] / "labels.csv").open() as stream:
            found = list(csv.DictReader(stream))
        assert all((ran.outputs[part] / row["path"]).is_file() for row in found)
        owners[part] = {row["owner"] for row in found}
    assert not owners["train"] & owners["test"]


def test_equal_data_is_split_equally(run_kind, tree, tmp_path):
    data = many(tmp_path / "data")
    first, second = (run_kind(SPLIT, tmp_path=tmp_path, inputs={"data": data}) for _ in range(2))

    assert tree(first.outputs["test"]) == tree(second.outputs["test"])
    assert first.text("report") == second.text("report")


def test_a_part_that_would_be_empty_is_told(run_kind, tmp_path):
    data = write(tmp_path / "d", "a/1.txt", "a/2.txt")

    ran = run_kind(
        SPLIT, tmp_path=tmp_path, inputs={"data": data}, params={"validation": 0, "test": 1e-9}
    )

    assert ran.kind == "failure"
    assert ran.error.startswith("the test part is empty: 2 items in few groups are too few")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"group_pattern": r"p\d"}, r"a/1.txt does not match group_pattern p\d"),
        ({"group_column": "owner"}, "group_column: d is a folder"),
    ],
)
def test_groups_that_are_not_there_are_told(run_kind, tmp_path, params, message):
    data = write(tmp_path / "d", "a/1.txt")

    ran = run_kind(SPLIT, tmp_path=tmp_path, inputs={"data": data}, params=params)

    assert (ran.kind, ran.error) == ("failure", message)


def test_an_empty_folder_is_told(run_kind, tmp_path):
    (tmp_path / "d").mkdir()

    ran = run_kind(SPLIT, tmp_path=tmp_path, inputs={"data": tmp_path / "d"})

    assert (ran.kind, ran.error) == ("failure", "d holds no files")


def test_a_file_that_the_table_names_must_be_there(run_kind, tmp_path):
    (tmp_path / "t.csv").write_text("path,label\nno.png,a\n")

    ran = run_kind(SPLIT, tmp_path=tmp_path, inputs={"data": tmp_path / "t.csv"})

    assert (ran.kind, ran.error) == ("failure", "table t.csv, line 2: no.png does not exist")
