import hashlib
import json
import shutil
import zipfile

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

KIND = "package/mlpackage"


def test_the_archive_unpacks_to_the_same_package(run_kind, classifier, tree, tmp_path):
    ran = run_kind(KIND, inputs={"model": classifier}, tmp_path=tmp_path)

    assert ran.ok, ran.error
    archive = ran.outputs["archive"]
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "out")
        assert packed.namelist() == sorted(packed.namelist())
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in packed.infolist()} == {0o100644}
    assert tree(tmp_path / "out" / archive.name.removesuffix(".zip")) == tree(classifier)


def test_the_manifest_tells_digests_description_and_figures(
    run_kind, classifier, nasty_labels, report, tmp_path
):
    ran = run_kind(
        KIND,
        inputs={"model": classifier, "reports": [report]},
        axes={"reports": [{"bits": 6}]},
        tmp_path=tmp_path,
    )
    manifest = ran.json("manifest")

    data = ran.outputs["archive"].read_bytes()
    assert manifest["archive"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert manifest["archive"]["size_bytes"] == len(data)
    assert manifest["model"]["labels"] == nasty_labels
    assert manifest["model"]["target"] == "iOS17"
    assert manifest["model"]["spec_version"] == 8
    assert [f["name"] for f in manifest["model"]["inputs"]] == ["in"]
    assert manifest["accepted_with"] == [
        {
            "kind": "validate/parity",
            "axes": {"bits": 6},
            "metrics": {
                "psnr_db": 41.25,
                "agreement_top1": {"value": 0.9, "n": 20, "low": 0.7, "high": 0.97},
            },
        }
    ]
    for file in manifest["files"]:
        data = (classifier / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("compression", ["store", "deflate"])
def test_equal_models_are_equal_archives(run_kind, classifier, tmp_path, compression):
    copy = shutil.copytree(classifier, tmp_path / "Other.mlpackage", copy_function=shutil.copyfile)
    runs = [
        run_kind(KIND, params={"compression": compression}, inputs={"model": m}, tmp_path=tmp_path)
        for m in (classifier, copy)
    ]

    assert runs[0].outputs["archive"].read_bytes() == runs[1].outputs["archive"].read_bytes()
    assert runs[0].text("manifest") == runs[1].text("manifest")


def test_a_truncated_weight_file_is_told(run_kind, classifier, tmp_path):
    cut = shutil.copytree(classifier, tmp_path / "Cut.mlpackage")
    weights = next(cut.rglob("weight.bin"))
    weights.write_bytes(weights.read_bytes()[:-100])
    ran = run_kind(KIND, inputs={"model": cut}, tmp_path=tmp_path)

    assert ran.kind == "failure"
    assert ran.error.startswith("the model cannot be packaged: ")


def test_reports_about_other_models_are_left_out(run_kind, classifier, report, tmp_path):
    other = tmp_path / "other.json"
    other.write_text('{"psnr_db": 21.5, "model_sha256": "00"}')
    ran = run_kind(
        KIND, inputs={"model": classifier, "reports": [other, report]}, tmp_path=tmp_path
    )
    none = run_kind(KIND, inputs={"model": classifier, "reports": [other]}, tmp_path=tmp_path)

    (entry,) = ran.json("manifest")["accepted_with"]
    assert entry["metrics"]["psnr_db"] == 41.25
    assert none.error == "none of the 1 reports is about this model"


def test_a_selection_tells_the_figures_of_the_chosen_model(run_kind, classifier, tmp_path):
    selection = tmp_path / "selection.json"
    figures = {
        "psnr_db": 41.5,
        "agreement_top1": 0.9,
        "agreement_top1.value": 0.9,
        "agreement_top1.n": 20.0,
        "agreement_top1.low": 0.7,
        "agreement_top1.high": 0.97,
    }
    candidates = [
        {"axes": {"bits": 8}, "chosen": False, "figures": {"psnr_db": 47.0}},
        {"axes": {"bits": 6}, "chosen": True, "figures": figures},
    ]
    selection.write_text(json.dumps({"by": "size_mb", "candidates": candidates}))
    ran = run_kind(KIND, inputs={"model": classifier, "reports": [selection]}, tmp_path=tmp_path)

    assert ran.ok, ran.error
    assert ran.json("manifest")["accepted_with"] == [
        {
            "kind": "select/best",
            "axes": {"bits": 6},
            "metrics": {
                "psnr_db": 41.5,
                "agreement_top1": {"value": 0.9, "n": 20, "low": 0.7, "high": 0.97},
            },
        }
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[]", "notes.json is no report: it holds no metrics"),
        ('{"kind": "x", "version": 1}', "notes.json is no report: it holds no metrics"),
        ("{", "report notes.json cannot be read: "),
    ],
)
def test_a_file_that_is_no_report_is_told(run_kind, classifier, tmp_path, text, error):
    (tmp_path / "notes.json").write_text(text)
    ran = run_kind(
        KIND,
        inputs={"model": classifier, "reports": [tmp_path / "notes.json"]},
        tmp_path=tmp_path,
    )

    assert ran.kind == "failure"
    assert ran.error.startswith(error)
