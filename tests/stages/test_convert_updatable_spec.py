"""What convert/updatable and train/on-device refuse before anything runs."""

import pytest

pytest.importorskip("pydantic")
from mlbuild.stages.convert.updatable.spec import KIND, UpdatableParams
from mlbuild.stages.train.on_device.spec import OnDeviceParams
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"momentum": 0.5, "optimizer": "adam"}, "momentum: is for sgd; adam has beta1 and beta2"),
        ({"beta1": 0.5}, "beta1, beta2, eps: are for adam"),
        ({"learning_rate": 3.0}, "a plain number is between 0 and 1; say {default, min, max}"),
        ({"learning_rate": {"default": 3.0}}, "3 is not between 0 and 1"),
        ({"epochs": {"default": 3, "allowed": [1, 2]}}, "3 is not among the allowed numbers"),
        ({"mini_batch": {"default": 0}}, "greater than or equal to 1"),
        ({"mini_batch": {"default": 9, "max": 4}}, "9 is not between 1 and 4"),
        ({"epochs": 0}, "a plain number is from 1 to 1000"),
        ({"label_output": "image"}, "two features are called 'image'"),
        ({"train": {"layers": 0}}, "greater than or equal to 1"),
        ({"target": "iOS17"}, "'iOS13' or 'iOS14'"),
    ],
)
def test_a_wrong_parameter_is_told(params, message):
    with pytest.raises(ValidationError) as told:
        UpdatableParams(**params)
    assert message in str(told.value)


def test_ranges_and_numbers_are_taken():
    given = UpdatableParams(learning_rate={"default": 2.0, "max": 5.0}, epochs=3)
    assert (given.learning_rate.max, given.epochs) == (5.0, 3)
    assert OnDeviceParams(limit=3).limit == 3


def test_the_type_of_the_model_chooses_the_toolchain():
    assert KIND.toolchain.of("TorchModel") == "torch"
    assert KIND.toolchain.of("SklearnModel") == "classical"
    assert KIND.toolchain.of("OnnxModel") is None
