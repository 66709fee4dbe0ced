"""Reading tables: what is read, and what is told of those that cannot be."""

import csv
import gzip

import numpy as np
import pytest

pytestmark = pytest.mark.toolchain
TABLE, SKLEARN = "data/table", "train/sklearn"


def written(folder, text, name="data.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(ran):
    with ran.outputs["table"].open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_file_that_names_no_columns_gets_names_and_labels(run_kind, tmp_path):
    file = written(tmp_path, "3,2,setosa,versicolor\n5.1,3.5,0\n7.0,3.2,1\n4.9,3.0,0\n")

    ran = run_kind(
        TABLE,
        tmp_path=tmp_path,
        inputs={"table": file},
        params={
            "skip": 1,
            "header": ["length", "width", "species"],
            "values": {"species": {"0": "setosa", "1": "versicolor"}},
            "rename": {"width": "breadth"},
        },
    )

    assert ran.ok, ran.error
    assert rows_of(ran) == [
        ["length", "breadth", "species"],
        ["5.1", "3.5", "setosa"],
        ["7.0", "3.2", "versicolor"],
        ["4.9", "3.0", "setosa"],
    ]
    assert ran.metrics == {"rows": 3, "columns": 3, "left_out": 0}
    species = ran.json("report")["columns"][2]
    assert species == {
        "name": "species",
        "type": "category",
        "gaps": 0,
        "different": 2,
        "values": {"setosa": 2, "versicolor": 1},
    }


def test_two_gzipped_halves_stand_side_by_side(run_kind, tmp_path):
    for name, text in (("x.txt.gz", "1 2\n3 4\n"), ("y.txt.gz", "10\n20\n")):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))

    ran = run_kind(
        TABLE,
        tmp_path=tmp_path,
        inputs={"table": tmp_path / "x.txt.gz", "more": [tmp_path / "y.txt.gz"]},
        params={"header": ["a", "b", "target"], "delimiter": "space"},
    )

    assert rows_of(ran) == [["a", "b", "target"], ["1", "2", "10"], ["3", "4", "20"]]


def test_rows_are_joined_chosen_and_left_out(run_kind, tmp_path):
    one = written(tmp_path, "kind,n\nx,1\ny,2\nx,\n", "one.csv")
    two = written(tmp_path, "n;kind\n4;z\n5;x\n", "two.csv")

    ran = run_kind(
        TABLE,
        tmp_path=tmp_path,
        inputs={"table": one, "more": [two]},
        params={"combine": "rows", "require": ["n"], "where": {"kind": ["x", "y"]}},
    )

    assert rows_of(ran) == [["kind", "n"], ["x", "1"], ["y", "2"], ["x", "5"]]
    assert ran.metrics["left_out"] == 2


def test_a_limit_takes_rows_at_random_and_keeps_their_order(run_kind, tmp_path):
    file = written(tmp_path, "n\n" + "\n".join(map(str, range(100))) + "\n")

    def chosen(seed):
        ran = run_kind(
            TABLE, tmp_path=tmp_path, inputs={"table": file}, params={"limit": 10, "seed": seed}
        )
        return [int(row[0]) for row in rows_of(ran)[1:]]

    first = chosen(0)
    assert len(set(first)) == 10
    assert first == sorted(first) == chosen(0)
    assert first not in (chosen(1), list(range(10)))


def test_parquet_becomes_the_same_text_that_it_was(run_kind, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "whole": pa.array([1, None, 3]),
        "real": pa.array([0.1, 2.0, None]),
        "text": pa.array(["a", None, "b,c"]),
        "coded": pa.array(["u", "v", "u"]).dictionary_encode(),
        "day": pa.array([0, 1, 2], pa.date32()),
    }
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    inputs = {"table": tmp_path / "data.parquet"}

    refused = run_kind(TABLE, tmp_path=tmp_path, inputs=inputs)
    ran = run_kind(TABLE, tmp_path=tmp_path, inputs=inputs, params={"exclude": ["d*"]})

    assert refused.error == "column 'day' of data.parquet is of type date32[day]"
    assert refused.hint == "exclude: [day]"
    assert rows_of(ran) == [
        ["whole", "real", "text", "coded"],
        ["1", "0.1", "a", "u"],
        ["", "2.0", "", "v"],
        ["3", "", "b,c", "u"],
    ]


@pytest.mark.parametrize(
    ("text", "params", "message", "hint"),
    [
        ("", {}, "data.csv is empty", None),
        ("a,b\n", {}, "data.csv has a header line, but no rows", None),
        (
            "a,b\n1,2\n3\n",
            {},
            "data.csv, line 3: 1 values, but there are 2 columns: a, b",
            "a value that holds the delimiter stands in quotes; `delimiter`, `skip` and `header` "
            "say how the file is laid out",
        ),
        ("a,a\n1,2\n", {}, "data.csv, line 1: two columns are called 'a'", None),
        (
            ",a\n0,1\n",
            {},
            "data.csv, line 1: column 1 has no name",
            "name it in the file, or say `header: [...]` and `skip: 1`",
        ),
        (
            "5.1,3.5\n4.9,3.0\n",
            {},
            "data.csv, line 1: the header line holds numbers alone: 5.1, 3.5",
            "a file without a header line needs `header: [names of all columns]`",
        ),
        (
            "length,width\n1,2\n",
            {"include": ["lenght"]},
            "include: data.csv has no column 'lenght'",
            "did you mean 'length'?",
        ),
        (
            "a,b\n1,2\n",
            {"require": ["zzz"]},
            "data.csv has no column 'zzz'",
            "it has a, b",
        ),
        (
            "a,b\n1,2\n",
            {"values": {"a": {"x": "y"}}},
            "values: column 'a' of data.csv never holds 'x'",
            "it holds 1",
        ),
        (
            "a,b\n1,2\n",
            {"where": {"a": ["9"]}},
            "data.csv: no row is left",
            "see `require` and `where`",
        ),
        ("a,b\n1,2\n", {"rename": {"a": "b"}}, "rename: two columns would be called 'b'", None),
        (
            "a,b\n1,2\n",
            {"exclude": ["*"]},
            "data.csv: no column is left to learn from",
            "it has a, b",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_told(run_kind, tmp_path, text, params, message, hint):
    ran = run_kind(
        TABLE, tmp_path=tmp_path, inputs={"table": written(tmp_path, text)}, params=params
    )

    assert (ran.error, ran.hint, ran.kind) == (message, hint, "failure")


def test_tables_that_do_not_fit_together_are_told(run_kind, tmp_path):
    one, two = written(tmp_path, "a\n1\n2\n", "one.csv"), written(tmp_path, "b\n1\n", "two.csv")
    inputs = {"table": one, "more": [two]}

    beside = run_kind(TABLE, tmp_path=tmp_path, inputs=inputs)
    below = run_kind(TABLE, tmp_path=tmp_path, inputs=inputs, params={"combine": "rows"})
    short = run_kind(TABLE, tmp_path=tmp_path, inputs=inputs, params={"header": ["a"], "skip": 1})

    assert beside.error == "two.csv has 1 rows, one.csv has 2: they do not fit side by side"
    assert below.error == "two.csv has no column 'a'"
    assert short.error == "header: 1 names, but the tables have 2 columns or more"


def test_a_file_that_is_no_text_is_told(run_kind, tmp_path):
    (tmp_path / "data.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    (tmp_path / "data.parquet").write_bytes(b"no parquet")
    (tmp_path / "folder").mkdir()

    def error(name):
        return run_kind(TABLE, tmp_path=tmp_path, inputs={"table": tmp_path / name}).error

    assert error("data.csv") == "data.csv is not UTF-8 text: invalid start byte at byte 4"
    assert error("data.parquet").startswith("data.parquet is no Parquet file: ")
    assert (
        error("folder") == "folder must hold exactly one table (CSV, TSV, Parquet), found: nothing"
    )


# --- what a learner says of a table --------------------------------------------------------------


def learn(run_kind, tmp_path, table, test=None, **params):
    return run_kind(
        SKLEARN,
        tmp_path=tmp_path,
        inputs={"table": table, **({} if test is None else {"test": test})},
        params={"target": "kind", "estimator": "DecisionTreeClassifier", "folds": 2, **params},
    )


HEAD = "length,colour,kind\n"
GOOD = HEAD + "1,red,a\n2,red,b\n3,blue,a\n4,blue,b\n5,red,a\n6,blue,b\n"


@pytest.mark.parametrize(
    ("text", "params", "message", "hint"),
    [
        (GOOD, {"target": "kinds"}, "data.csv has no column 'kinds'", "did you mean 'kind'?"),
        (
            GOOD.replace("3,blue", "three,blue"),
            {"types": {"length": "number"}},
            "data.csv, line 4: column 'length' holds numbers, but here stands 'three'",
            "correct it, add it to `missing_values`, or say `types: {length: category}`",
        ),
        (
            GOOD.replace("3,blue", ",blue").replace("6,blue", "NA,blue"),
            {},
            "data.csv, line 4: column 'length' has no value, and so in 1 more rows",
            "fill it, exclude: [length], or choose a strategy: missing: mean, median, "
            "most-frequent or keep",
        ),
        (
            GOOD.replace("blue,b\n5", "blue,\n5"),
            {},
            "data.csv, line 5: there is no value in 'kind'",
            "leave such rows out, with `data/table` and `require: [kind]`",
        ),
        (
            GOOD.replace("5,red", "inf,red"),
            {},
            "data.csv, line 6: column 'length' holds an infinite number",
            None,
        ),
        (
            GOOD,
            {"max_categories": 2, "exclude": ["length"], "types": {"length": "category"}},
            None,
            None,
        ),
        (
            GOOD,
            {"max_categories": 3, "types": {"length": "category"}},
            "data.csv: column 'length' holds text with 6 different values, as '1'; at most 3 are "
            "taken",
            "exclude: [length], or raise max_categories",
        ),
        (
            HEAD + "1,red,a\n2,red,a\n",
            {},
            "data.csv: column 'kind' holds nothing but 'a'",
            "a classifier needs two labels at least",
        ),
        (
            GOOD,
            {"folds": 4},
            "label 'a' has 3 rows, too few for 4 folds",
            "choose 3 folds, add rows, or leave that label out",
        ),
        (GOOD, {"evaluate": "test"}, "evaluate: test, but the input 'test' is missing", None),
    ],
)
def test_what_a_learner_cannot_take_is_told(run_kind, tmp_path, text, params, message, hint):
    ran = learn(run_kind, tmp_path, written(tmp_path, text), **params)

    assert (ran.error, ran.hint) == (message, hint)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "length,color,kind\n1,red,a\n",
            "test.csv has no column 'colour'",
            "did you mean 'color'?",
        ),
        (
            HEAD + "1,red,a\n2,green,b\n",
            "test.csv, line 3: column 'colour': 'green' was never seen in training, which knew "
            "blue, red",
            "it knew blue, red; `unknown: ignore` lets the model answer without it",
        ),
        (
            HEAD + "1,red,a\n2,red,c\n",
            "test.csv, line 3: label 'c' in column 'kind' was never seen in training, which knew "
            "a, b",
            "it knew a, b",
        ),
        (
            HEAD + "1,red,a\nlong,red,b\n",
            "test.csv, line 3: column 'length' holds numbers, but here stands 'long'",
            "correct it, add it to `missing_values`, or say `types: {length: category}`",
        ),
    ],
)
def test_a_test_table_that_differs_from_the_learnt_one_is_told(
    run_kind, tmp_path, text, message, hint
):
    learnt, asked = written(tmp_path, GOOD), written(tmp_path, text, "test.csv")

    ran = learn(run_kind, tmp_path, learnt, asked)

    assert (ran.error, ran.hint) == (message, hint)


def test_an_unknown_category_is_ignored_where_that_is_said(run_kind, tmp_path):
    learnt = written(tmp_path, GOOD)
    asked = written(tmp_path, HEAD + "1,green,a\n", "test.csv")

    ran = learn(run_kind, tmp_path, learnt, asked, unknown="ignore")

    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["n"] == 1


def test_equal_groups_stay_on_one_side(run_kind, tmp_path):
    # The label is the patient's: who has seen the patient knows it, who has not does not.
    lines = ["value,patient,kind"]
    random = np.random.default_rng(0)
    for patient in range(20):
        kind = "ab"[random.integers(2)]
        lines += [f"{patient + random.normal() / 100:.4f},p{patient},{kind}" for _ in range(6)]
    table = written(tmp_path, "\n".join(lines) + "\n")

    together = learn(run_kind, tmp_path, table, group="patient", folds=5)
    apart = learn(run_kind, tmp_path, table, exclude=["patient"], folds=5)

    assert apart.metrics["accuracy"]["value"] == 1.0
    assert together.metrics["accuracy"]["value"] < 0.8
