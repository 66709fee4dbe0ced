"""What train/keras-image-classifier refuses before anything runs."""

from pathlib import Path

import pytest

pydantic = pytest.importorskip("pydantic")
pytest.importorskip("mlbuild.registry")

from mlbuild.registry import Registry  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def params():
    return Registry.load(ROOT, trusted=True).get("train/keras-image-classifier").kind.params


def test_the_default_is_a_mobile_net(params):
    assert params().backbone == "MobileNetV2"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"backbone": "mobilenet_v2"}, "did you mean MobileNetV2?"),
        ({"backbone": "AlexNet"}, "'AlexNet' is none of tf.keras.applications; allowed: small-cnn"),
        ({"backbone": "Xception", "image_size": 64}, "image_size: Xception needs at least 71"),
        ({"backbone": "Xception", "alpha": 0.5}, "alpha: is of the MobileNets"),
        ({"grayscale": True}, "grayscale: MobileNetV2 takes three channels"),
        (
            {"backbone": "small-cnn", "weights": "imagenet"},
            "weights: small-cnn has none of ImageNet",
        ),
        (
            {"weights": "scratch", "fine_tune_layers": 3},
            "fine_tune_layers: a network from scratch is trained as a whole",
        ),
        ({"evaluate": "kfold", "refit": False}, "the last one needs refit: true"),
        ({"views": ["flip"]}, "it must be there"),
        ({"strengths": [0.0]}, "strengths: each must be above 0"),
        ({"channels": [0]}, "channels: each must be 1 to 2048"),
        ({"augment": {"spin": 1}}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_fit_is_told(params, given, complaint):
    with pytest.raises(pydantic.ValidationError) as refused:
        params(**given)

    assert complaint in str(refused.value)
