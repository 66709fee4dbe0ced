import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
np = pytest.importorskip("numpy")
pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' own
]

KIND = "quantize/palettize"
KMEANS = Path(__file__).parents[3] / "stages" / "quantize" / "palettize" / "kmeans.py"


@pytest.fixture(scope="module")
def palette():
    spec = importlib.util.spec_from_file_location("kmeans", KMEANS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.palette


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_weights_become_indices_of_the_bits_asked(run_kind, networks, layers, tmp_path, bits):
    ran = run_kind(
        KIND, params={"bits": bits}, inputs={"model": networks("iOS16")}, tmp_path=tmp_path
    )

    assert ran.ok, ran.error
    assert layers(ran)["large"]["after"]["stored"] == "palette"
    assert layers(ran)["large"]["after"]["bits"] == bits


def test_mixed_bits_by_override(run_kind, networks, layers, tmp_path):
    keep = [{"match": {key: True}, "set": {"bits": 8}} for key in ("depthwise", "first", "last")]
    ran = run_kind(
        KIND,
        params={"bits": 4, "weight_threshold": 100, "overrides": keep},
        inputs={"model": networks("iOS17")},
        tmp_path=tmp_path,
    )

    assert ran.ok, ran.error
    bits = {name: row["after"]["bits"] for name, row in layers(ran).items()}
    assert bits == {"stem": 8, "depth": 8, "point": 4, "wide": 4, "large": 4, "head": 8}


@pytest.mark.parametrize(
    ("params", "bits"),
    [
        ({"bits": 3}, 3),
        ({"bits": 4, "granularity": "per_grouped_channel", "group_size": 4}, 4),
        ({"bits": 4, "granularity": "per_grouped_channel", "group_size": 4, "cluster_dim": 2}, 2),
        ({"bits": 4, "solver": "coremltools"}, 4),
        ({"bits": 4, "mode": "uniform"}, 4),
        ({"bits": 6, "enable_per_channel_scale": True}, 6),
    ],
)
def test_every_sort_of_palette_is_reached(run_kind, networks, layers, tmp_path, params, bits):
    ran = run_kind(KIND, params=params, inputs={"model": networks("iOS18")}, tmp_path=tmp_path)

    assert ran.ok, ran.error
    assert layers(ran)["wide"]["after"]["stored"].startswith("palette")
    assert layers(ran)["wide"]["after"]["bits"] == bits


@pytest.mark.parametrize(
    ("params", "option"),
    [
        ({"bits": 3}, "bits: 3"),
        ({"granularity": "per_grouped_channel"}, "granularity: per_grouped_channel"),
        ({"cluster_dim": 2}, "cluster_dim: 2"),
        ({"enable_per_channel_scale": True}, "enable_per_channel_scale: true"),
    ],
)
def test_what_only_ios18_knows_is_refused_by_name(run_kind, networks, tmp_path, params, option):
    ran = run_kind(KIND, params=params, inputs={"model": networks("iOS16")}, tmp_path=tmp_path)

    assert ran.kind == "failure"
    assert ran.error.startswith(f"`{option}` needs iOS18 and the model's target is iOS16 (weight ")


def test_too_many_distinct_values_for_unique_are_told(run_kind, networks, tmp_path):
    ran = run_kind(
        KIND, params={"mode": "unique"}, inputs={"model": networks("iOS17")}, tmp_path=tmp_path
    )

    assert ran.error == (
        "no weight would be compressed: coremltools: Can't perform palettization:Unique values in "
        "weight cannot be represented by 8 bits palettization.; not above weight_threshold "
        "(2048 elements)"
    )


@pytest.mark.parametrize(
    ("target", "values", "bits"),
    [("iOS17", 4, 2), ("iOS17", 7, 4), ("iOS18", 7, 3), ("iOS17", 200, 8)],
)
def test_unique_finds_the_values_of_weights_that_have_few(
    run_kind, layers, tmp_path, target, values, bits
):
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb  # noqa: N813

    weight = np.random.default_rng(1).integers(0, values, (64, 64)).astype(np.float32)

    @mb.program(
        input_specs=[mb.TensorSpec(shape=(1, 64))], opset_version=getattr(ct.target, target)
    )
    def program(x):
        return mb.linear(x=x, weight=weight, name="large")

    model = ct.convert(program, minimum_deployment_target=getattr(ct.target, target))
    model.save(str(tmp_path / "Net.mlpackage"))
    ran = run_kind(
        KIND,
        params={"mode": "unique"},
        inputs={"model": tmp_path / "Net.mlpackage"},
        tmp_path=tmp_path,
    )

    assert ran.ok, ran.error
    assert layers(ran)["large"]["after"]["bits"] == bits


def test_equal_inputs_give_equal_bytes(run_kind, networks, tree, tmp_path):
    first = run_kind(KIND, inputs={"model": networks("iOS17")}, tmp_path=tmp_path)
    again = run_kind(KIND, inputs={"model": networks("iOS17")}, tmp_path=tmp_path)

    assert tree(first.outputs["model"]) == tree(again.outputs["model"])


def test_pruned_weights_are_palettized_jointly(run_kind, networks, layers, tmp_path):
    pruned = run_kind("quantize/prune", inputs={"model": networks("iOS18")}, tmp_path=tmp_path)
    ran = run_kind(
        KIND,
        params={"joint": True, "bits": 4},
        inputs={"model": pruned.outputs["model"]},
        tmp_path=tmp_path,
    )

    assert ran.ok, ran.error
    assert layers(ran)["large"]["after"]["stored"] == "sparse+palette"
    assert ran.metrics["size_mb"] < pruned.metrics["size_mb"]


@pytest.mark.parametrize("spread", ["normal", "heavy"])
@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_own_kmeans_is_as_good_as_the_exact_one(palette, spread, bits):
    from coremltools._deps import _kmeans1d

    random = np.random.default_rng(bits)
    draw = random.standard_normal if spread == "normal" else (lambda n: random.standard_t(3, n))
    weights = draw(20_000).astype(np.float16)
    table, indices = palette(weights, bits)

    values, counts = np.unique(weights.astype(np.float64), return_counts=True)
    exact = _kmeans1d.cluster(values, 1 << bits, weights=counts)
    best = (counts * (values - np.array(exact.centroids)[exact.clusters]) ** 2).sum()
    own = ((weights.astype(np.float64) - table[indices].astype(np.float64)) ** 2).sum()
    # 0.2 % above the optimum is what was measured; the table is rounded to float16 besides.
    assert own < best * 1.01


def test_a_palette_of_few_values_is_exact(palette):
    weights = np.array([[0.5, -1, 0.5], [2, 2, -1]], np.float16)
    table, indices = palette(weights, 2)

    assert table.tolist() == [-1, 0.5, 2, 0]
    assert (table[indices].reshape(2, 3) == weights).all()
