import pytest

from tests.built_in import kind_of as kind

pydantic = pytest.importorskip("pydantic")


@pytest.mark.parametrize(
    ("folder", "given", "complaint"),
    [
        ("data/scenes", {"objects": [3, 1]}, "objects: least and most, the most at least 1"),
        ("data/scenes", {"scale": [0.5, 0.2]}, "scale: least and greatest, above 0 and up to 1"),
        ("train/autoencoder", {"image_size": 30}, "image_size: 30 is no multiple of 4"),
        ("train/autoencoder", {"channels": [0]}, "channels: each must be 1 to 1024"),
        (
            "train/distill",
            {"student": "same"},
            "student: same without compress would learn what it knows already",
        ),
        (
            "train/distill",
            {"compress": "prune", "patience": 2},
            "patience: weights that are compressed step by step have no best epoch",
        ),
        ("train/distill", {"compress": "palette", "bits": 5}, "Input should be 1, 2, 3, 4, 6 or 8"),
        ("train/distill", {"channels": [0]}, "channels: each must be 1 to 2048"),
        (
            "train/drawing_classifier",
            {"image_size": 16, "channels": [1] * 6},
            "List should have at most 5 items",
        ),
        ("train/drawing_classifier", {"channels": [0]}, "channels: each must be 1 to 1024"),
        (
            "train/image_similarity",
            {"resize": "pad", "crop": 0.8},
            "crop: resize: pad does not crop",
        ),
        (
            "train/object_detector",
            {"backbone": "efficientnet-lite0", "grayscale": True},
            "grayscale: efficientnet-lite0 was trained on three channels",
        ),
        (
            "train/object_detector",
            {"image_size": 100},
            "image_size: 100 is no multiple of 16, the coarsest grid's step",
        ),
        ("train/object_detector", {"channels": [8, 8], "levels": 3}, "levels: 3 of 2 stages"),
        (
            "train/object_detector",
            {"train_backbone": False},
            "train_backbone: a network from scratch is trained as a whole",
        ),
        ("train/object_detector", {"labels": ["a", "a"]}, "labels: a label stands twice"),
        ("train/segmentation", {"image_size": 100}, "image_size: 100 is no multiple of 8"),
        (
            "train/segmentation",
            {"labels": ["a", "b"], "colours": {"a": [0, 0, 0]}},
            "labels and colours: colours name the labels already",
        ),
        (
            "train/segmentation",
            {"colours": {"sky": [0, 0]}},
            "colours: 'sky' needs red, green, blue, 0 to 255",
        ),
        ("train/style_transfer", {"image_size": 100}, "image_size: 100 is no multiple of 32"),
        ("train/style_transfer", {"style_size": 65}, "style_size: 65 is no multiple of 32"),
        ("train/style_transfer", {"styl_weight": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_go_together_is_told(folder, given, complaint):
    with pytest.raises(pydantic.ValidationError) as caught:
        kind(folder).params(**given)

    assert complaint in str(caught.value)


def test_thresholds_of_boxes_need_the_suppression_that_uses_them():
    with pytest.raises(pydantic.ValidationError) as caught:
        kind("convert/coreml").params(suppression=False, iou_threshold=0.5)

    assert "suppression: false leaves no use for thresholds" in str(caught.value)
