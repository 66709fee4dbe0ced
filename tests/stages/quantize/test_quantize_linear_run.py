import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' own
]

KIND = "quantize/linear"


def test_weights_become_integers_and_the_report_says_so(run_kind, networks, layers, tmp_path):
    ran = run_kind(KIND, inputs={"model": networks("iOS17")}, tmp_path=tmp_path)

    assert ran.ok, ran.error
    found = {
        name: (row["after"]["stored"], row["after"]["bits"]) for name, row in layers(ran).items()
    }
    assert found == {
        "stem": ("linear", 8),
        "depth": ("float16", 16),
        "point": ("float16", 16),
        "wide": ("linear", 8),
        "large": ("linear", 8),
        "head": ("linear", 8),
    }
    assert layers(ran)["depth"]["skipped"] == "not above weight_threshold (2048 elements)"
    assert ran.metrics["compressed"] == 4
    assert ran.metrics["ratio"] == pytest.approx(
        ran.metrics["size_before_mb"] / ran.metrics["size_mb"]
    )
    assert 8 < ran.metrics["bits_mean"] < 9


def test_equal_inputs_give_equal_bytes(run_kind, networks, tree, tmp_path):
    first = run_kind(KIND, inputs={"model": networks("iOS17")}, tmp_path=tmp_path)
    again = run_kind(KIND, inputs={"model": networks("iOS17")}, tmp_path=tmp_path)

    assert tree(first.outputs["model"]) == tree(again.outputs["model"])
    assert first.text("report") == again.text("report")


def test_four_bits_in_blocks_leave_out_what_does_not_divide(run_kind, networks, layers, tmp_path):
    ran = run_kind(
        KIND,
        params={"dtype": "int4", "granularity": "per_block", "block_size": 32},
        inputs={"model": networks("iOS18")},
        tmp_path=tmp_path,
    )

    assert ran.ok, ran.error
    assert layers(ran)["wide"]["after"]["bits"] == 4
    assert layers(ran)["head"]["skipped"] == (
        "its 300 input channels do not divide into blocks of block_size 32"
    )


def test_overrides_apply_in_order_and_a_later_one_wins(run_kind, networks, layers, tmp_path):
    ran = run_kind(
        KIND,
        params={
            "dtype": "int4",
            "weight_threshold": 100,
            "overrides": [
                {"match": {"op": "linear"}, "skip": True},
                {"match": {"name": "large*"}, "set": {"dtype": "uint8", "mode": "asymmetric"}},
                {"match": {"depthwise": True}, "set": {"dtype": "int8"}},
                {"match": {"shape": [64, "*", 1, 1]}, "set": {"dtype": "int8"}},
            ],
        },
        inputs={"model": networks("iOS18")},
        tmp_path=tmp_path,
    )

    assert ran.ok, ran.error
    bits = {name: row["after"]["bits"] for name, row in layers(ran).items()}
    assert bits == {"stem": 4, "depth": 8, "point": 8, "wide": 16, "large": 8, "head": 16}
    assert layers(ran)["wide"]["skipped"] == "skipped by override 1"
    assert layers(ran)["large"]["overrides"] == [1, 2]


@pytest.mark.parametrize(
    ("override", "error", "hint"),
    [
        (
            {"match": {"name": "hed*"}, "skip": True},
            "override 1 matches no weight: name: hed*",
            "nearest names: head, head_weight_0_to_fp16",
        ),
        (
            {"match": {"op": "matmul"}, "skip": True},
            "override 1 matches no weight: op: matmul",
            "operators with weights: conv, linear",
        ),
        (
            {"match": {"shape": [12, 301]}, "skip": True},
            "override 1 matches no weight: shape: [12, 301]",
            "shapes in the model: [12, 300], [300, 64], [300, 300], [32, 1, 3, 3], [32, 8, 3, 3]",
        ),
        (
            {"match": {"min_elements": 10**6}, "skip": True},
            "override 1 matches no weight: min_elements: 1000000",
            "the model has 6 weights of two or more dimensions",
        ),
        (
            {"match": {"first": True}},
            "override 1 changes nothing",
            "give it `set: {...}` or `skip: true`",
        ),
    ],
)
def test_an_override_that_does_nothing_is_an_error(
    run_kind, networks, tmp_path, override, error, hint
):
    ran = run_kind(
        KIND,
        params={"overrides": [override]},
        inputs={"model": networks("iOS17")},
        tmp_path=tmp_path,
    )

    assert (ran.kind, ran.error) == ("failure", error)
    if "name" not in override["match"]:
        assert ran.hint == hint
    else:
        assert ran.hint.startswith("nearest names: ")
        assert "head" in ran.hint


@pytest.mark.parametrize(
    ("params", "option"),
    [
        ({"dtype": "int4"}, "dtype: int4"),
        ({"granularity": "per_block"}, "granularity: per_block"),
        (
            {"overrides": [{"match": {"name": "large*"}, "set": {"dtype": "uint4"}}]},
            "dtype: uint4",
        ),
    ],
)
def test_what_only_ios18_knows_is_refused_by_name(run_kind, networks, tmp_path, params, option):
    ran = run_kind(KIND, params=params, inputs={"model": networks("iOS17")}, tmp_path=tmp_path)

    assert ran.kind == "failure"
    assert ran.error.startswith(f"`{option}` needs iOS18 and the model's target is iOS17 (weight ")
    assert ran.hint == "convert the model with `target: iOS18`"


def test_an_ios15_model_is_raised_only_when_asked(run_kind, networks, tmp_path):
    refused = run_kind(KIND, inputs={"model": networks("iOS15")}, tmp_path=tmp_path)
    raised = run_kind(
        KIND,
        params={"raise_target": True},
        inputs={"model": networks("iOS15")},
        tmp_path=tmp_path,
    )

    assert refused.error == "compressed weights need iOS16 and the model's target is iOS15"
    assert refused.hint == (
        "convert it with `target: iOS16`, or give up iOS15 by `raise_target: true`"
    )
    assert raised.ok, raised.error
    assert raised.json("report")["target"] == "iOS16"
    assert "the compressed model needs iOS16" in raised.log


def test_a_compressed_model_is_not_compressed_again_by_accident(run_kind, networks, tmp_path):
    once = run_kind(KIND, inputs={"model": networks("iOS17")}, tmp_path=tmp_path)
    twice = run_kind(KIND, inputs={"model": once.outputs["model"]}, tmp_path=tmp_path)

    assert twice.error == (
        "no weight would be compressed: already compressed (linear); `joint: true` compresses "
        "further; not above weight_threshold (2048 elements)"
    )


def test_a_palette_is_quantized_jointly(run_kind, networks, layers, tmp_path):
    palettized = run_kind(
        "quantize/palettize",
        params={"bits": 4},
        inputs={"model": networks("iOS18")},
        tmp_path=tmp_path,
    )
    ran = run_kind(
        KIND,
        params={"joint": True, "granularity": "per_tensor"},
        inputs={"model": palettized.outputs["model"]},
        tmp_path=tmp_path,
    )

    assert ran.ok, ran.error
    assert layers(ran)["large"]["after"]["stored"] == "palette+linear"


def test_a_truncated_weight_file_is_told(run_kind, truncated, tmp_path):
    ran = run_kind(KIND, inputs={"model": truncated}, tmp_path=tmp_path)

    assert ran.kind == "failure"
    assert ran.error.startswith(
        "the model cannot be compressed: weight.bin is cut off: a weight should start at byte "
    )
    assert not ran.outputs["model"].exists()


def test_a_missing_weight_file_is_told(run_kind, truncated, tmp_path):
    next(truncated.rglob("weight.bin")).unlink()
    ran = run_kind(KIND, inputs={"model": truncated}, tmp_path=tmp_path)

    assert ran.error == "the model cannot be compressed: weight.bin is missing from the package"


def test_a_damaged_model_file_is_told(run_kind, truncated, tmp_path):
    next(truncated.rglob("*.mlmodel")).write_bytes(b"\xff" * 100)
    ran = run_kind(KIND, inputs={"model": truncated}, tmp_path=tmp_path)

    assert ran.kind == "failure"
    assert ran.error.startswith("the model cannot be compressed: model.mlmodel is no Core ML model")


def test_what_is_no_package_is_told(run_kind, tmp_path):
    (tmp_path / "No.mlpackage").mkdir()
    ran = run_kind(KIND, inputs={"model": tmp_path / "No.mlpackage"}, tmp_path=tmp_path)

    assert ran.error == (
        "the model cannot be compressed: No.mlpackage is not an .mlpackage with one model in it"
    )
