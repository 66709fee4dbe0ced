import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' own
]

KIND = "quantize/prune"


@pytest.mark.parametrize(
    ("params", "least"),
    [
        ({"sparsity": 0.7}, 0.7),
        ({"method": "threshold", "threshold": 0.1, "minimum_sparsity": 0.2}, 0.6),
        ({"method": "n_m", "n_m": (3, 4)}, 0.7),
        ({"method": "block", "block_size": 4, "sparsity": 0.6}, 0.59),
    ],
)
def test_the_sparsity_asked_for_is_reached(run_kind, networks, layers, tmp_path, params, least):
    ran = run_kind(KIND, params=params, inputs={"model": networks("iOS17")}, tmp_path=tmp_path)

    assert ran.ok, ran.error
    # 90,000 float16 elements: the size at which numpy's percentile gives NaN.
    assert layers(ran)["large"]["elements"] == 90_000
    assert least - 0.01 < layers(ran)["large"]["after"]["sparsity"] < least + 0.1
    assert least - 0.01 < ran.metrics["sparsity"] < least + 0.1


def test_layers_without_enough_zeros_are_named_with_the_reason(run_kind, networks, tmp_path):
    ran = run_kind(
        KIND,
        params={
            "method": "threshold",
            "threshold": 1e-3,
            "overrides": [{"match": {"name": "large*"}, "set": {"threshold": 1.0}}],
        },
        inputs={"model": networks("iOS17")},
        tmp_path=tmp_path,
    )

    assert ran.ok, ran.error
    skipped = {
        row["op_name"].split("_cast")[0]: row["skipped"] for row in ran.json("report")["layers"]
    }
    assert skipped["large"] is None
    assert skipped["wide"].startswith("coremltools: weight value has sparsity of 0.0")


def test_structure_is_for_wide_layers_only(run_kind, networks, layers, tmp_path):
    ran = run_kind(
        KIND,
        params={"method": "n_m", "weight_threshold": 100},
        inputs={"model": networks("iOS17")},
        tmp_path=tmp_path,
    )

    assert layers(ran)["depth"]["skipped"] == (
        "`method: n_m` of 4 takes more than half of its 1 channels"
    )


def test_an_impossible_ratio_is_told(run_kind, networks, tmp_path):
    ran = run_kind(
        KIND,
        params={"method": "n_m", "n_m": (5, 4)},
        inputs={"model": networks("iOS17")},
        tmp_path=tmp_path,
    )

    assert ran.error == ("`n_m: [5, 4]`: n of every m weights become zero, so 0 < n <= m must hold")


def test_pruned_weights_are_quantized_jointly(run_kind, networks, layers, tmp_path):
    pruned = run_kind(KIND, inputs={"model": networks("iOS18")}, tmp_path=tmp_path)
    ran = run_kind(
        "quantize/linear",
        params={"joint": True},
        inputs={"model": pruned.outputs["model"]},
        tmp_path=tmp_path,
    )

    assert ran.ok, ran.error
    row = layers(ran)["large"]["after"]
    assert (row["stored"], row["bits"]) == ("sparse+linear", 8)
    assert row["sparsity"] == pytest.approx(0.5, abs=0.01)


def test_joint_compression_needs_ios18(run_kind, networks, tmp_path):
    pruned = run_kind(KIND, inputs={"model": networks("iOS17")}, tmp_path=tmp_path)
    ran = run_kind(
        "quantize/palettize",
        params={"joint": True},
        inputs={"model": pruned.outputs["model"]},
        tmp_path=tmp_path,
    )

    assert ran.error.startswith("`joint: true` needs iOS18 and the model's target is iOS17")


def test_a_palette_is_pruned_jointly(run_kind, networks, layers, tmp_path):
    palettized = run_kind(
        "quantize/palettize",
        params={"bits": 6},
        inputs={"model": networks("iOS18")},
        tmp_path=tmp_path,
    )
    ran = run_kind(
        KIND,
        params={"joint": True, "sparsity": 0.4},
        inputs={"model": palettized.outputs["model"]},
        tmp_path=tmp_path,
    )

    assert ran.ok, ran.error
    assert layers(ran)["large"]["after"]["stored"] == "sparse+palette"
