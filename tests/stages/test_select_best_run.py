import json

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.toolchain

KIND = "select/best"
BITS = (4, 6, 8)


@pytest.fixture
def candidates(tmp_path):
    """Three packages: the fewer bits, the smaller and the worse."""
    models, reports = [], []
    for bits in BITS:
        model = tmp_path / str(bits) / "Dogs.mlpackage"
        model.mkdir(parents=True)
        (model / "Manifest.json").write_bytes(b"x" * bits * 1000)
        report = tmp_path / str(bits) / "report.json"
        figures = {"psnr_db": bits * 6.0, "top1": {"value": bits / 10, "n": 20}}
        report.write_text(json.dumps({**figures, "nested": {"kl": 1 / bits}, "text": "x"}))
        models.append(model)
        reports.append(report)
    axes = [{"bits": bits} for bits in BITS]
    return {"models": models, "reports": reports}, {"models": axes, "reports": axes}


def chosen(ran):
    [row] = [row for row in ran.json("report")["candidates"] if row["chosen"]]
    return row["axes"].get("bits")


@pytest.mark.parametrize(
    ("params", "bits"),
    [
        ({}, 4),
        ({"where": {"psnr_db": {"min": 40}}}, 8),
        ({"where": {"psnr_db": {"min": 30}}}, 6),
        ({"by": "psnr_db"}, 8),
        ({"by": "top1"}, 8),
        ({"by": "top1.value", "mode": "min"}, 4),
        ({"by": "nested.kl"}, 8),
        ({"by": "psnr_db", "where": {"size_mb": {"max": 0.007}}}, 6),
    ],
)
def test_the_best_within_the_limits_is_copied(run_kind, tree, candidates, tmp_path, params, bits):
    inputs, axes = candidates

    ran = run_kind(KIND, tmp_path=tmp_path, inputs=inputs, axes=axes, params=params)

    assert ran.ok, ran.error
    assert chosen(ran) == bits
    assert tree(ran.outputs["model"]) == tree(inputs["models"][BITS.index(bits)])
    assert ran.outputs["model"].name == "Model.mlpackage"
    assert ran.metrics["size_mb"] == bits / 1000
    assert len(ran.json("report")["candidates"]) == 3


def test_reports_are_paired_by_axes_whatever_their_order(run_kind, candidates, tmp_path):
    inputs, axes = candidates
    inputs = {**inputs, "reports": inputs["reports"][::-1]}
    axes = {**axes, "reports": axes["reports"][::-1]}

    ran = run_kind(KIND, tmp_path=tmp_path, inputs=inputs, axes=axes, params={"by": "psnr_db"})

    assert chosen(ran) == 8


def test_a_model_whose_validation_was_excluded_is_out(run_kind, candidates, tmp_path):
    inputs, axes = candidates
    inputs = {**inputs, "reports": inputs["reports"][1:]}
    axes = {**axes, "reports": axes["reports"][1:]}

    ran = run_kind(KIND, tmp_path=tmp_path, inputs=inputs, axes=axes)

    assert chosen(ran) == 6
    assert ran.metrics["candidates"] == 2
    assert ran.json("report")["candidates"][0]["out"] == ["has no report"]


def test_without_reports_the_size_decides(run_kind, candidates, tmp_path):
    inputs, _ = candidates

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"models": inputs["models"]})

    assert ran.metrics["chosen"] == 0


def test_no_candidate_left_is_told_with_reasons(run_kind, candidates, tmp_path):
    inputs, axes = candidates

    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs=inputs,
        axes=axes,
        params={"where": {"psnr_db": {"min": 90}}},
    )

    assert (ran.kind, ran.error, ran.hint) == (
        "failure",
        "no candidate is left: bits=4: psnr_db 24 is below min 90; "
        "bits=6: psnr_db 36 is below min 90; bits=8: psnr_db 48 is below min 90",
        "loosen `where`, or add variants",
    )


def test_an_unknown_metric_is_told_with_the_nearest(run_kind, candidates, tmp_path):
    inputs, axes = candidates

    ran = run_kind(KIND, tmp_path=tmp_path, inputs=inputs, axes=axes, params={"by": "psnr"})

    assert (ran.error, ran.hint) == (
        "no candidate has a metric 'psnr'",
        "did you mean 'psnr_db'?",
    )


def test_lists_that_do_not_pair_are_told(run_kind, candidates, tmp_path):
    inputs, _ = candidates

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={**inputs, "reports": inputs["reports"][:2]})

    assert ran.error == "3 models and 2 reports cannot be paired: they have no axes"


def test_a_damaged_report_is_told(run_kind, candidates, tmp_path):
    inputs, axes = candidates
    inputs["reports"][0].write_text("{")

    ran = run_kind(KIND, tmp_path=tmp_path, inputs=inputs, axes=axes)

    assert ran.kind == "failure"
    assert ran.error.startswith("report report.json cannot be read: ")
