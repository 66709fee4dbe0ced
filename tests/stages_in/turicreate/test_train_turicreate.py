from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.toolchain
KIND = "train/turicreate"


def tool(name: str, **own: Any) -> dict:
    return {"name": name, **own}


@pytest.mark.parametrize(
    "name",
    [
        "classifier",
        "logistic-classifier",
        "svm-classifier",
        "boosted-trees-classifier",
        "random-forest-classifier",
        "decision-tree-classifier",
        "nearest-neighbor-classifier",
    ],
)
def test_a_classifier_of_a_table_is_judged_on_held_out_rows(
    run_kind: Any, mixed: Path, tmp_path: Path, name: str
) -> None:
    params = {"toolkit": tool(name), "target": "sold", "exclude": ["price"]}
    ran = run_kind(KIND, params=params, inputs={"data": mixed}, tmp_path=tmp_path)
    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["n"] == 30
    assert ran.metrics["accuracy"]["value"] > 0.75
    assert ran.json("report")["rows"] == 150  # learnt once more on everything


@pytest.mark.parametrize(
    "name",
    [
        "regression",
        "linear-regression",
        "boosted-trees-regression",
        "random-forest-regression",
        "decision-tree-regression",
    ],
)
def test_a_regression_is_judged_by_its_errors(
    run_kind: Any, mixed: Path, tmp_path: Path, name: str
) -> None:
    params = {"toolkit": tool(name), "target": "price", "exclude": ["sold"]}
    ran = run_kind(KIND, params=params, inputs={"data": mixed}, tmp_path=tmp_path)
    assert ran.ok, ran.error
    assert ran.metrics["r2"] > 0.7
    assert ran.metrics["rmse"] >= ran.metrics["mae"] > 0


def test_text_is_classified_by_its_words(run_kind: Any, table: Any, tmp_path: Path) -> None:
    words = {"ham": "lunch home later love day", "spam": "win cash prize claim now"}
    random = np.random.RandomState(0)
    labels = random.choice(["ham", "spam"], 80).tolist()
    texts = [" ".join(random.choice(words[label].split(), 6)) for label in labels]
    data = table("texts.csv", {"kind": labels, "message": texts})
    params = {"toolkit": tool("text-classifier"), "target": "kind"}
    ran = run_kind(KIND, params=params, inputs={"data": data}, tmp_path=tmp_path)
    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["value"] == 1.0
    assert (ran.outputs["samples"] / "samples.csv").read_text().startswith("message\n")


def interactions(table: Any) -> Path:
    random = np.random.RandomState(1)
    users = [f"u{n}" for n in random.randint(25, size=400)]
    places = random.randint(8, size=400)
    pairs = sorted({(u, f"i{(int(u[1:]) % 2) * 8 + places[at]}") for at, u in enumerate(users)})
    rated = [4.0 if i in ("i1", "i9") else 2.0 for _, i in pairs]
    columns = {"user": [u for u, _ in pairs], "item": [i for _, i in pairs], "stars": rated}
    return table("pairs.csv", columns)


@pytest.mark.parametrize(
    "name",
    [
        "item-similarity-recommender",
        "item-content-recommender",
        "factorization-recommender",
        "ranking-factorization-recommender",
        "popularity-recommender",
    ],
)
def test_a_recommender_finds_what_users_kept(
    run_kind: Any, table: Any, tmp_path: Path, name: str
) -> None:
    inputs = {"data": interactions(table)}
    toolkit = tool(name, user="user", item="item", recommend=8)
    target = (
        None if name in ("item-similarity-recommender", "item-content-recommender") else "stars"
    )
    if name == "item-content-recommender":
        items = [f"i{n}" for n in range(16)]
        half = ["odd" if n > 7 else "even" for n in range(16)]
        inputs["items"] = table("items.csv", {"item": items, "half": half})
    ran = run_kind(
        KIND, params={"toolkit": toolkit, "target": target}, inputs=inputs, tmp_path=tmp_path
    )
    assert ran.ok, ran.error
    # Users have items of one half alone; by chance 8 of 16 items would hold half of them.
    assert ran.metrics["recall_at_k"] > (
        0.85 if name in ("item-similarity-recommender", "item-content-recommender") else 0.3
    )
    assert ("rmse" in ran.metrics) == ("factorization" in name)


@pytest.mark.parametrize("own", [tool("kmeans", num_clusters=3), tool("dbscan", radius=0.7)])
def test_groups_are_found_without_a_target(
    run_kind: Any, mixed: Path, tmp_path: Path, own: dict
) -> None:
    params = {"toolkit": own, "include": ["length", "weight"]}
    ran = run_kind(KIND, params=params, inputs={"data": mixed}, tmp_path=tmp_path)
    assert ran.ok, ran.error
    assert ran.metrics["clusters"] >= 1
    assert ("inertia" in ran.metrics) == (own["name"] == "kmeans")


def test_topics_and_neighbours_are_learnt(
    run_kind: Any, mixed: Path, table: Any, tmp_path: Path
) -> None:
    texts = ["cat dog mouse cat", "stock price market", "dog cat", "market stock stock"] * 6
    data = table("texts.csv", {"message": texts})
    params = {"toolkit": tool("topic-model", num_topics=2)}
    ran = run_kind(KIND, params=params, inputs={"data": data}, tmp_path=tmp_path)
    assert ran.ok, ran.error
    assert ran.metrics["perplexity"] > 0
    assert len(ran.json("report")["topics"]) == 2
    params = {"toolkit": tool("nearest-neighbors"), "include": ["length", "weight"]}
    assert run_kind(KIND, params=params, inputs={"data": mixed}, tmp_path=tmp_path).ok


def movement(table: Any) -> Path:
    random = np.random.RandomState(2)
    session, label, x, y = [], [], [], []
    for number in range(12):
        for moment in range(60):
            session.append(f"s{number}")
            label.append("walk" if number % 2 else "rest")
            x.append((number % 2) * np.sin(moment / 2) + random.randn() / 20)
            y.append(random.randn() / 20)
    return table("moves.csv", {"session": session, "x": x, "y": y, "activity": label})


def test_an_activity_classifier_is_judged_on_whole_recordings(
    run_kind: Any, table: Any, tmp_path: Path
) -> None:
    toolkit = tool("activity-classifier", session="session", prediction_window=20, max_iterations=4)
    params = {"toolkit": toolkit, "target": "activity", "refit": False}
    ran = run_kind(KIND, params=params, inputs={"data": movement(table)}, tmp_path=tmp_path)
    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["n"] == 6  # two recordings of three windows
    windows = sorted((ran.outputs["samples"]).glob("*.npz"))
    assert np.load(windows[0])["x"].shape == (20,)


def test_a_drawing_classifier_starts_from_nothing(run_kind: Any, tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.RandomState(4)
    for number in range(24):
        pixels = np.zeros((28, 28), np.uint8)
        place = 4 + random.randint(20)
        if number % 2:
            pixels[:, place - 2 : place + 2] = 255
        else:
            pixels[place - 2 : place + 2, :] = 255
        folder = tmp_path / "drawn" / ("tall" if number % 2 else "wide")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    toolkit = tool("drawing-classifier", max_iterations=10, batch_size=8, feature="drawing")
    inputs = {"data": tmp_path / "drawn"}
    ran = run_kind(KIND, params={"toolkit": toolkit}, inputs=inputs, tmp_path=tmp_path)
    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["n"] == 4


def test_strokes_of_both_forms_are_drawings(run_kind: Any, tmp_path: Path) -> None:
    import json

    random, lines = np.random.RandomState(5), []
    for number in range(16):
        at, tall = int(random.randint(40, 200)), bool(number % 2)
        line = [[at, at], [10, 240]] if tall else [[10, 240], [at, at]]
        points = [{"x": x, "y": y} for x, y in zip(*line)]  # noqa: B905
        entry = {"drawing": [points], "label": "tall" if tall else "wide"}
        if number % 4 == 3:  # as Quick, Draw! has them
            entry = {"drawing": [line], "word": "tall"}
        lines.append(json.dumps(entry))
    (tmp_path / "drawn.ndjson").write_text("\n".join(lines), encoding="utf-8")
    toolkit = tool("drawing-classifier", max_iterations=2, batch_size=8, feature="drawing")
    params = {"toolkit": toolkit, "evaluate": "none"}
    ran = run_kind(
        KIND, params=params, inputs={"data": tmp_path / "drawn.ndjson"}, tmp_path=tmp_path
    )
    assert ran.ok, ran.error
    from PIL import Image

    first = np.asarray(Image.open(sorted((ran.outputs["samples"] / "tall").glob("*.png"))[0]))
    rows, columns = np.nonzero(first > 100)
    assert first.shape == (28, 28)
    assert np.ptp(rows) > 15 > np.ptp(columns)


@pytest.mark.parametrize(
    ("toolkit", "file"),
    [
        (tool("image-classifier", model="resnet-50"), "resnet-50-TuriCreate-6.0.h5"),
        (tool("image-similarity", model="squeezenet_v1.1"), "squeezenet_v1.1-TuriCreate-6.0.h5"),
        (tool("one-shot-object-detector"), "one_shot_backgrounds.sarray.tar"),
        (tool("style-transfer"), "resnet-16.mlmodel"),
    ],
)
def test_what_apple_learnt_and_nobody_gave_is_told_with_its_address(
    run_kind: Any, tmp_path: Path, toolkit: dict, file: str
) -> None:
    from PIL import Image

    for part in ("style", "content"):
        (tmp_path / "photos" / part).mkdir(parents=True)
        for number in range(3):
            shade = (40 * number, 90, 200)
            Image.new("RGB", (64, 64), shade).save(tmp_path / "photos" / part / f"{number}.png")
    params = {"toolkit": toolkit, "evaluate": "none"}
    ran = run_kind(KIND, params=params, inputs={"data": tmp_path / "photos"}, tmp_path=tmp_path)
    assert ran.kind == "failure"
    assert ran.error == (
        f"this toolkit begins with what Apple has learnt, {file}, which is not there"
    )
    folder = "data" if file.endswith(".tar") else "models"
    address = f"https://docs-assets.developer.apple.com/turicreate/{folder}/{file}"
    assert ran.hint is not None and ran.hint.startswith(f"fetch {address} ")


def test_a_network_that_is_given_is_looked_at(run_kind: Any, tmp_path: Path) -> None:
    from PIL import Image

    for label in ("a", "b"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(tmp_path / "photos" / label / "0.png")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet-50-TuriCreate-6.0.h5").write_bytes(b"no network")
    inputs = {"data": tmp_path / "photos", "weights": tmp_path / "weights"}
    params = {"toolkit": tool("image-classifier", model="resnet-50"), "evaluate": "none"}
    ran = run_kind(KIND, params=params, inputs=inputs, tmp_path=tmp_path)
    assert ran.error is not None and ran.error.startswith(
        "weights: resnet-50-TuriCreate-6.0.h5 is not the file that Turi Create knows: https://"
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"target": "gone"}, "mixed.csv has no column 'gone'"),
        ({"target": "sold", "evaluate": "test"}, "evaluate: test, but the input 'test' is missing"),
        ({"target": "price", "exclude": ["s*"], "types": {"colour": "number"}},
         "mixed.csv, line 2: column 'colour' holds numbers, but here stands 'COLOUR'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_table_is_told(
    run_kind: Any, mixed: Path, tmp_path: Path, params: dict, message: str
) -> None:
    name = "linear-regression" if params["target"] == "price" else "logistic-classifier"
    given = {"toolkit": tool(name), **params}
    ran = run_kind(KIND, params=given, inputs={"data": mixed}, tmp_path=tmp_path)
    colour = mixed.read_text(encoding="utf-8").split("\n")[1].split(",")[2]
    assert ran.error == message.replace("COLOUR", colour)


def test_a_label_that_was_never_learnt_is_told(
    run_kind: Any, mixed: Path, table: Any, tmp_path: Path
) -> None:
    rows = {"length": [1.0, 2.0], "weight": [0.0, 0.0], "colour": ["red", "blue"]}
    test = table("test.csv", {**rows, "price": [1.0, 1.0], "sold": ["no", "maybe"]})
    params = {"toolkit": tool("decision-tree-classifier"), "target": "sold", "exclude": ["price"]}
    inputs = {"data": mixed, "test": test}
    ran = run_kind(KIND, params=params, inputs=inputs, tmp_path=tmp_path)
    assert ran.error == "label 'maybe' is to be judged, but was not learnt"


def test_a_column_that_kmeans_needs_for_itself_is_told(
    run_kind: Any, table: Any, tmp_path: Path
) -> None:
    data = table("sizes.csv", {"size": [1.0, 2.0, 9.0], "weight": [1.0, 2.0, 3.0]})
    params = {"toolkit": tool("kmeans", num_clusters=2)}
    ran = run_kind(KIND, params=params, inputs={"data": data}, tmp_path=tmp_path)
    assert ran.error == "kmeans has a column 'size' of its own: rename yours"
    assert ran.hint == "data/table does: rename: {size: ...}"


def test_words_are_counted_as_turi_create_counts_them() -> None:
    import turicreate

    from stages._shared.turi.words import count_words

    texts = [
        'Hello, World! it\'s \u00c4\u00d6 stra\u00dfe na\u00efve_x 3.5% a-b "q" <b>x</b> $5',
        "",
        "tab\there~z|{a} ^x^y`z\\w a\u00a0b \x1b[0m don\u2019t",
    ]
    found = turicreate.text_analytics.count_words(turicreate.SArray(texts))
    assert [dict(bag) for bag in found] == [count_words(text) for text in texts]
