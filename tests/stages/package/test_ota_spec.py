"""package/ota as the engine knows it; its bundles are tested in stages_in/release."""

import importlib.util
from pathlib import Path

import pytest

pydantic = pytest.importorskip("pydantic")

FILE = Path(__file__).parents[3] / "stages/package/ota/spec.py"
spec = importlib.util.spec_from_file_location("package_ota_spec", FILE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
KIND = module.KIND


def test_every_parameter_is_described_and_only_the_model_is_needed():
    assert all(f.description for f in KIND.params.model_fields.values())
    assert KIND.params()
    assert not KIND.inputs["model"].optional
    assert KIND.inputs["previous"].optional
    assert KIND.inputs["previous"].many


def test_previous_takes_bundles_and_models_and_nothing_else():
    from mlbuild.api import accepts

    types = KIND.inputs["previous"].types
    assert all(accepts(types, given) for given in ("OTABundle", "CoreMLModel", "CoreMLFile"))
    assert not any(accepts(types, given) for given in ("SwiftPackage", "Folder", "Archive"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "my dogs"},
        {"name": "../Dogs"},
        {"version": "1.0/2"},
        {"version": ""},
        {"sequence": 0},
        {"signing_keys": []},
        {"encryption_key": "MY KEY"},
        {"compression": "zip"},
        {"minimum_app": "2.x"},
        {"rollout": 101},
        {"rollout": -1},
        {"expires": "tomorrow"},
        {"rollback_to": 0},
        {"url": "http://models.example.com/"},
        {"url": 'https://models.example.com/"'},
        {"secret": "x"},
    ],
    ids=str,
)
def test_parameters_that_cannot_be_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        KIND.params(**wrong)
