from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.toolchain


def trained(run_kind: Any, params: dict, tmp_path: Path, **inputs: Path) -> Any:
    ran = run_kind("train/turicreate", params=params, inputs=inputs, tmp_path=tmp_path)
    assert ran.ok, ran.error
    return ran


def converted(run_kind: Any, model: Path, tmp_path: Path, **params: Any) -> Any:
    return run_kind("convert/coreml", params=params, inputs={"model": model}, tmp_path=tmp_path)


def spec_of(package: Path) -> Any:
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    spec.ParseFromString((package / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    return spec


def test_equal_trees_are_equal_bytes_and_so_are_their_packages(
    run_kind: Any, mixed: Path, tmp_path: Path
) -> None:
    params = {
        "toolkit": {"name": "boosted-trees-classifier", "row_subsample": 0.7},
        "target": "sold",
        "exclude": ["price"],
        "seed": 5,
    }
    once, again = (trained(run_kind, params, tmp_path, data=mixed) for _ in range(2))
    assert tree(once.outputs["model"]) == tree(again.outputs["model"])
    first, second = (converted(run_kind, r.outputs["model"], tmp_path) for r in (once, again))
    assert first.ok, first.error
    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    report = first.json("report")
    assert report["models"][0] == "pipelineClassifier"
    assert [feature["name"] for feature in report["inputs"]] == ["length", "weight", "colour"]


def test_indices_of_columns_keep_nothing_that_nobody_wrote(
    run_kind: Any, mixed: Path, tmp_path: Path
) -> None:
    """Blocks of 48 bytes, the last six of which are what lay in memory before."""
    params = {"toolkit": {"name": "nearest-neighbors"}, "include": ["length", "weight"]}
    model = trained(run_kind, params, tmp_path, data=mixed).outputs["model"]
    parts = sorted(model.glob("m_*.0000"))
    assert parts
    for part in parts:
        data = part.read_bytes()
        if len(data) > 100:
            assert data[-14:-8] == bytes(6)
    assert not [p for p in model.glob("m_*") if not p.name[2:6].isdigit()]


def tree(folder: Path) -> dict:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_a_classifiers_outputs_take_the_names_that_are_asked_for(
    run_kind: Any, mixed: Path, tmp_path: Path
) -> None:
    params = {"toolkit": {"name": "logistic-classifier"}, "target": "sold", "exclude": ["price"]}
    model = trained(run_kind, params, tmp_path, data=mixed).outputs["model"]
    names = {"label_output": "verdict", "score_output": "scores"}
    ran = converted(run_kind, model, tmp_path, **names)
    assert ran.ok, ran.error
    spec = spec_of(ran.outputs["model"])
    assert [f.name for f in spec.description.output] == ["verdict", "scores"]
    last = spec.pipelineClassifier.pipeline.models[-1].description
    assert (last.predictedFeatureName, last.predictedProbabilitiesName) == ("verdict", "scores")


def test_what_has_no_export_is_refused_with_what_has_one(
    run_kind: Any, mixed: Path, tmp_path: Path
) -> None:
    params = {"toolkit": {"name": "kmeans", "num_clusters": 2}, "include": ["length", "weight"]}
    model = trained(run_kind, params, tmp_path, data=mixed).outputs["model"]
    ran = converted(run_kind, model, tmp_path)
    assert not ran.ok
    assert ran.error == "Turi Create has no Core ML export for kmeans"
    assert ran.hint is not None and "boosted-trees-classifier" in ran.hint


def test_parameters_that_do_nothing_are_told(run_kind: Any, mixed: Path, tmp_path: Path) -> None:
    params = {"toolkit": {"name": "linear-regression"}, "target": "price", "exclude": ["sold"]}
    model = trained(run_kind, params, tmp_path, data=mixed).outputs["model"]
    ran = converted(run_kind, model, tmp_path, softmax="add")
    assert ran.error == (
        "softmax: does nothing for Turi Create's linear-regression, which brings it itself"
    )


def test_a_recommender_becomes_core_mls_own(run_kind: Any, table: Any, tmp_path: Path) -> None:
    random = np.random.RandomState(0)
    pairs = sorted({(f"u{random.randint(12)}", f"i{random.randint(9)}") for _ in range(90)})
    data = table("pairs.csv", {"user_id": [u for u, _ in pairs], "item_id": [i for _, i in pairs]})
    params = {"toolkit": {"name": "item-similarity-recommender", "user": "user_id",
                          "item": "item_id", "recommend": 3}}  # fmt: skip
    ran = trained(run_kind, params, tmp_path, data=data)
    result = converted(run_kind, ran.outputs["model"], tmp_path)
    assert result.ok, result.error
    made = spec_of(result.outputs["model"]).itemSimilarityRecommender
    assert list(made.itemStringIds.vector) == sorted({item for _, item in pairs})

    asked = {"model": ran.outputs["model"], "samples": ran.outputs["samples"] / "samples.csv"}
    answers = run_kind("predict/outputs", inputs=asked, tmp_path=tmp_path)
    assert answers.ok, answers.error
    assert answers.metrics["samples"] == len({user for user, _ in pairs})


def test_a_pearson_recommender_is_refused(run_kind: Any, table: Any, tmp_path: Path) -> None:
    random = np.random.RandomState(0)
    pairs = sorted({(f"u{random.randint(12)}", f"i{random.randint(9)}") for _ in range(90)})
    columns = {"user_id": [u for u, _ in pairs], "item_id": [i for _, i in pairs]}
    data = table("pairs.csv", {**columns, "stars": random.randint(1, 6, len(pairs))})
    toolkit = {"name": "item-similarity-recommender", "user": "user_id", "item": "item_id",
               "recommend": 3, "similarity_type": "pearson"}  # fmt: skip
    params = {"toolkit": toolkit, "target": "stars"}
    ran = trained(run_kind, params, tmp_path, data=data)
    result = converted(run_kind, ran.outputs["model"], tmp_path)
    assert result.error == (
        "pearson: Core ML's recommender knows sums of similarities, not means of ratings"
    )


def test_answers_to_a_table_are_those_of_turi_create(
    run_kind: Any, mixed: Path, tmp_path: Path
) -> None:
    import turicreate

    params = {
        "toolkit": {"name": "random-forest-classifier"},
        "target": "sold",
        "exclude": ["price"],
    }
    ran = trained(run_kind, params, tmp_path, data=mixed)
    asked = {"model": ran.outputs["model"], "samples": mixed}
    answers = run_kind("predict/outputs", params={"limit": 7}, inputs=asked, tmp_path=tmp_path)
    assert answers.ok, answers.error
    folder = answers.outputs["predictions"]
    model = turicreate.load_model(str(ran.outputs["model"]))
    frame = turicreate.SFrame.read_csv(str(mixed), verbose=False)
    for name in ("length", "weight"):
        frame[name] = frame[name].astype(float)
    said = np.array([list(v) for v in model.predict(frame, output_type="probability_vector")])
    with np.load(folder / "arrays.npz") as data:
        chosen = np.linspace(0, 149, 7).round().astype(int)
        np.testing.assert_array_equal(data["soldProbability"], said[chosen])


def test_a_folder_that_is_no_model_is_told(run_kind: Any, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    ran = converted(run_kind, tmp_path / "net", tmp_path)
    assert ran.error == "net is no model of Turi Create: it has no dir_archive.ini"
