import pytest

from tests.built_in import kind_of as kind

pydantic = pytest.importorskip("pydantic")


@pytest.mark.parametrize(
    ("folder", "given", "complaint"),
    [
        ("train/image_classifier", {"grayscale": True}, "was trained on three channels"),
        ("train/image_classifier", {"image_size": 32}, "needs at least 64"),
        (
            "train/image_classifier",
            {"backbone": "none", "fine_tune_blocks": 2},
            "a network from scratch is trained as a whole",
        ),
        (
            "train/image_classifier",
            {"backbone": "small-cnn", "head": "unit-linear"},
            "unit-linear needs a pretrained backbone",
        ),
        (
            "train/image_classifier",
            {"evaluate": "kfold", "refit": False},
            "k folds leave k networks",
        ),
        ("train/image_classifier", {"views": ["flip"]}, "it must be there"),
        ("train/image_classifier", {"strengths": [0.0]}, "each must be above 0"),
        ("train/image_classifier", {"channels": [0]}, "each must be 1 to 2048"),
        ("train/image_classifier", {"augment": {"spin": 1}}, "Extra inputs are not permitted"),
        ("train/image_classifier", {"folds": 1}, "greater than or equal to 2"),
        ("data/split", {"validation": 0.5, "test": 0.5}, "must leave something to train on"),
        ("data/split", {"validation": 0, "test": 0}, "there is nothing to split"),
        ("data/split", {"group_pattern": "("}, "not a regular expression"),
        ("data/split", {"group_pattern": "a", "group_column": "b"}, "exclude each other"),
        ("data/sort", {"pattern": "(?P<name>x)"}, "needs a group called label"),
        ("data/sort", {"pattern": "("}, "not a regular expression"),
        ("data/pixels", {"width": 3}, "width and height go together"),
        ("select/best", {"where": {"psnr_db": {}}}, "a limit needs min or max"),
        ("select/best", {"where": {"psnr_db": {"min": 2, "max": 1}}}, "min 2 is above max 1"),
        ("select/best", {"mode": "least"}, "Input should be 'min', 'max' or 'auto'"),
    ],
)
def test_what_does_not_fit_is_found_before_anything_runs(folder, given, complaint):
    with pytest.raises(pydantic.ValidationError, match=complaint):
        kind(folder).params(**given)
