"""What makes a model the same model, whatever its type."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

ENDS = ({"x": "float64[2]"}, {"label": "string", "scores": "string->double"})


@pytest.fixture
def saved(tmp_path):
    def save(spec):
        path = tmp_path / "Model.mlmodel"
        path.write_bytes(spec.SerializeToString())
        return path

    return save


@pytest.fixture
def classifier(make_spec):
    def make(names=("no", "yes")):
        def fill(params, spec):
            params.weights.add(value=[1.0, 1.0])
            params.offset.append(0.0)
            params.stringClassLabels.vector.extend(names)

        return make_spec("glmClassifier", *ENDS, fill, "label", "scores")

    return make


def test_a_classical_classifier_has_the_labels_that_it_declares(classifier, saved):
    from mlbuild.coreml.identity import labels_of

    assert labels_of(saved(classifier())) == ["no", "yes"]


def test_whole_numbers_are_labels_too(make_spec, saved):
    from mlbuild.coreml.identity import labels_of

    def fill(params, spec):
        params.int64ClassLabels.vector.extend([3, 5])

    spec = make_spec("glmClassifier", {"x": "float64[2]"}, {"label": "int64"}, fill, "label", "")
    assert labels_of(saved(spec)) == ["3", "5"]


def test_a_pipeline_has_the_labels_of_its_last_classifier(make_spec, classifier, saved):
    from mlbuild.coreml.identity import labels_of

    def fill(params, spec):
        params.pipeline.models.append(classifier(("a", "b")))
        params.pipeline.models.append(classifier(("c", "d")))
        params.pipeline.models.append(make_spec("scaler", {"y": "float64[2]"}, {"z": "float64[2]"}))

    spec = make_spec("pipelineClassifier", *ENDS, fill, "label", "scores")
    assert labels_of(saved(spec)) == ["c", "d"]


def test_a_model_that_is_no_classifier_has_no_labels(make_spec, saved):
    from mlbuild.coreml.identity import labels_of

    assert labels_of(saved(make_spec("scaler", {"x": "float64[2]"}, {"y": "float64[2]"}))) == []


def test_metadata_are_no_content_and_labels_are(classifier, saved):
    from mlbuild.coreml.identity import content_of

    plain = content_of(saved(classifier()))
    told = classifier()
    told.description.metadata.author = "ann"
    assert content_of(saved(told)) == plain
    assert content_of(saved(classifier(("no", "maybe")))) != plain
