import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite_pytorch")
pytestmark = pytest.mark.toolchain

KIND = "adapt/imagenet-classifier"


def test_the_dogs_are_118_breeds_in_the_order_of_imagenet(run_kind, tmp_path):
    ran = run_kind(KIND, tmp_path=tmp_path)

    assert ran.ok, ran.error
    model = json.loads((ran.outputs["model"] / "model.json").read_text())
    assert len(model["labels"]) == 118
    assert model["labels"][:3] == ["Chihuahua", "Japanese Chin", "Maltese"]
    assert model["labels"][-1] == "Mexican Hairless"
    assert ran.metrics["labels"] == 118
    assert sorted(p.name for p in ran.outputs["model"].iterdir()) == [
        "model.json",
        "model.safetensors",
    ]


def test_names_numbers_and_own_labels_choose_the_same_outputs(run_kind, tmp_path):
    by_name = run_kind(KIND, tmp_path=tmp_path, params={"labels": ["Beagle", "basset hound"]})
    by_number = run_kind(KIND, tmp_path=tmp_path, params={"labels": [162, 161]})
    own = run_kind(KIND, tmp_path=tmp_path, params={"labels": {"b": "beagle", "h": 161}})

    weights = [
        (ran.outputs["model"] / "model.safetensors").read_bytes()
        for ran in (by_name, by_number, own)
    ]
    assert weights[0] == weights[1] == weights[2]
    assert json.loads((own.outputs["model"] / "model.json").read_text())["labels"] == ["b", "h"]


@pytest.mark.parametrize(
    ("labels", "message", "hint"),
    [
        (
            ["golden_retreiver", 3],
            "ImageNet has no class 'golden_retreiver'",
            "did you mean 'Golden Retriever'?",
        ),
        (
            ["Beagle", 162],
            "labels 'Beagle' and 'Beagle' are one class: 162 Beagle",
            None,
        ),
        (
            ["crane", 3],
            "ImageNet class 'crane' means several: 134 crane (bird), 517 crane (machine)",
            "give a number",
        ),
    ],
)
def test_a_wrong_class_is_told(run_kind, tmp_path, labels, message, hint):
    ran = run_kind(KIND, tmp_path=tmp_path, params={"labels": labels})

    assert (ran.kind, ran.error, ran.hint) == ("failure", message, hint)
