"""Rows of a table as models take them that want maps, and models that answer with labels alone."""

import json
from importlib import import_module

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from coremltools.proto import Model_pb2  # noqa: E402

from mlbuild.coreml import load  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


def predictions(folder, labels):
    folder.mkdir()
    facts = {
        "version": 1, "model": folder.name, "format": "Turi Create", "size": 1, "sha256": "",
        "labels": ["no", "yes"], "gives": {"sold": "label"}, "preprocessing": None, "task": "",
        "bits": None, "half": False, "reading": None, "samples": ["line 2", "line 3", "line 4"],
        "outputs": {"sold": {"dtype": "<U3", "shape": []}},
    }  # fmt: skip
    (folder / "predictions.json").write_text(json.dumps(facts))
    np.savez(folder / "arrays.npz", sold=np.array(labels))
    return folder


@pytest.fixture
def compare(run_kind, tmp_path):
    (tmp_path / "rows.csv").write_text("length\n1\n2\n3\n")

    def go(reference, candidate):
        one, other = (
            predictions(tmp_path / name, labels)
            for name, labels in (("one", reference), ("other", candidate))
        )
        inputs = {"reference": one, "candidate": other, "samples": tmp_path / "rows.csv"}
        return run_kind("validate/parity", inputs=inputs, tmp_path=tmp_path)

    return go


def test_labels_alone_are_compared(compare):
    ran = compare(["yes", "no", "no"], ["yes", "no", "no"])

    assert ran.ok, ran.error
    assert ran.metrics["agreement.sold"]["value"] == 1.0
    assert ran.metrics["margin_db"] == 200


def test_another_label_is_a_fault(compare):
    ran = compare(["yes", "no", "no"], ["yes", "no", "yes"])

    assert ran.ok, ran.error
    assert ran.metrics["agreement.sold"]["value"] == pytest.approx(2 / 3)
    assert ran.metrics["margin_db"] == -200


@pytest.fixture
def side(compare, tmp_path):
    """``side(words=True)``: asks a model that puts some words of a map into an array."""
    assert compare(["yes", "no", "no"], ["yes", "no", "no"]).ok
    rows = import_module("_mlbuild_stages._shared.parity.rows")

    def make(words):
        spec = Model_pb2.Model(specificationVersion=4)
        given = spec.description.input.add(name="message")
        given.type.dictionaryType.stringKeyType.SetInParent()
        found = spec.description.output.add(name="found")
        found.type.multiArrayType.shape.append(2)
        found.type.multiArrayType.dataType = 65600  # float64
        spec.dictVectorizer.stringToIndex.vector.extend(["cash", "win"])
        described = {"inputs": [{"name": "message", **({"words": "turicreate"} if words else {})}]}
        spec.description.metadata.userDefined["mlbuild.description"] = json.dumps(described)
        path = tmp_path / "words.mlmodel"
        path.write_bytes(spec.SerializeToString())
        return rows.RowSide(load(path))

    return make


def test_text_becomes_words_where_the_model_says_so(side):
    found = side(words=True).ask({"message": "Win CASH, win-win!"})["found"]
    np.testing.assert_array_equal(found, [1, 3])


def test_a_map_stands_in_a_cell_as_json(side):
    found = side(words=False).ask({"message": '{"cash": 2.5, "other": 1}'})["found"]
    np.testing.assert_array_equal(found, [2.5, 0])
    with pytest.raises(Exception, match="'win' is no map of numbers, which 'message' needs"):
        side(words=False).ask({"message": "win"})
