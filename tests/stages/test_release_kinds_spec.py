"""Specs of the kinds around a release: comparison, self-test, what only a Mac can do."""

import pytest

pydantic = pytest.importorskip("pydantic")

from mlbuild.registry import Registry  # noqa: E402 - after the look at pydantic

KINDS = [
    "validate/release",
    "validate/core-ml",
    "validate/device",
    "package/selftest",
    "package/compiled",
    "package/encrypted",
]


@pytest.fixture(scope="module")
def kind_of():
    registry = Registry.load(None, trusted=False)
    return lambda name: registry.get(name).kind


@pytest.mark.parametrize("name", KINDS)
def test_the_example_is_valid_and_every_parameter_is_described(kind_of, name):
    kind = kind_of(name)

    kind.params(**kind.example)
    assert all(f.description for f in kind.params.model_fields.values())
    assert all(metric.help for metric in kind.metrics.values())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("validate/release", {"interval": "wald"}),
        ("validate/release", {"resamples": 10}),
        ("validate/release", {"noise": 1}),
        ("validate/core-ml", {"units": ["NPU"]}),
        ("validate/device", {"max_ms": 0}),
        ("validate/device", {"units": []}),
        ("validate/device", {"device": "Test phone"}),
        ("validate/device", {"device": "Test phone", "team": "me"}),
        ("package/selftest", {"units": ["ALL", "ALL"]}),
        ("package/selftest", {"name": "../Dogs"}),
        ("package/compiled", {"name": "my dogs"}),
        ("package/compiled", {"deployment_target": "iOS17"}),
        ("package/compiled", {"platform": "--encrypt"}),
        ("package/encrypted", {"key_env": "my key"}),
    ],
)
def test_wrong_values_are_refused(kind_of, name, wrong):
    with pytest.raises(pydantic.ValidationError):
        kind_of(name).params(**wrong)


def test_losses_have_intervals_and_answers_are_shares(kind_of):
    metrics = kind_of("validate/release").metrics

    assert {name for name, m in metrics.items() if m.interval} == {"drop", "rise"}
    assert {name for name, m in metrics.items() if m.share} == {
        "accuracy",
        "accuracy_new",
        "agreement_top1",
        "better",
        "released_accuracy",
        "worse",
    }


@pytest.mark.parametrize("name", [name for name in KINDS if name != "validate/release"])
def test_no_time_is_a_metric(kind_of, name):
    assert not [m for m in kind_of(name).metrics.values() if m.unit in ("s", "ms")]


@pytest.mark.parametrize(
    "name", ["validate/core-ml", "validate/device", "package/compiled", "package/encrypted"]
)
def test_what_a_mac_made_is_no_other_platforms(kind_of, name):
    assert not kind_of(name).portable
