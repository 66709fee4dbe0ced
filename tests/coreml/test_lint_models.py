"""What `lint` finds, each finding on a model that has just that."""

import gc
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mlbuild.coreml import InputError  # noqa: E402
from mlbuild.coreml.lint import lint  # noqa: E402

pytestmark = pytest.mark.toolchain


def rules(findings):
    return [finding.rule for finding in findings]


def ramp(count=64, high=3.0):
    return {"x": np.linspace(-high, high, count, dtype=np.float32).reshape(1, count)}


class Module(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_a_sound_model_has_no_findings(save_torch):
    path = save_torch(torch.nn.Linear(64, 8), torch.zeros(1, 64))
    assert lint(path, [ramp()]) == []


def test_overflow_that_samples_reach_is_told_with_counts(save_torch):
    path = save_torch(Module(lambda x: torch.sqrt((x * 300.0) ** 2 + 1)), torch.zeros(1, 64))
    first, *_ = [f for f in lint(path, [ramp()]) if f.rule == "float16-overflow"]
    assert first.severity == "error"
    assert "of 64 elements lie beyond 65504, up to 8.1e+05" in first.what


def test_overflow_that_no_sample_reaches_is_not_invented(save_torch):
    path = save_torch(Module(lambda x: torch.sqrt((x * 300.0) ** 2 + 1)), torch.zeros(1, 64))
    assert "float16-overflow" not in rules(lint(path, [ramp(high=0.5)]))
    assert lint(path) == []


def test_underflow_is_told_where_many_elements_vanish(save_torch):
    path = save_torch(Module(lambda x: (x * 1e-4) ** 2 + x), torch.zeros(1, 64))
    found = [f for f in lint(path, [ramp()]) if f.rule == "float16-underflow"]
    assert found
    assert "become zero" in found[0].what


def test_the_first_operator_that_makes_nan_is_named(save_torch):
    path = save_torch(Module(lambda x: torch.log(x) * 2 + 1), torch.zeros(1, 64))
    (found,) = [f for f in lint(path, [ramp()]) if f.rule == "nan-source"]
    assert "iOS17.log" in found.place
    assert found.what == "makes 32 NaN elements of finite inputs"


def test_a_weight_that_float16_cannot_hold_is_told(save_torch):
    module = torch.nn.Linear(64, 8)
    torch.nn.init.constant_(module.weight[0], 1e6)
    found = lint(save_torch(module, torch.zeros(1, 64)))
    assert rules(found) == ["constant-outside-float16", "float32-compute"]
    assert found[0].severity == "note"  # the converter kept the operator in float32
    assert found[0].what == "64 of 512 elements lie beyond 65504, up to 1e+06"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, []),
        ("iOS17", []),
        ("iOS18", []),
        ("iOS16", ["opset-newer-than-target", "specification-newer-than-target"]),
    ],
)
def test_a_model_for_newer_systems_than_meant_is_told(save_torch, target, expected):
    path = save_torch(torch.nn.Linear(64, 8), torch.zeros(1, 64), target="iOS17")
    assert rules(lint(path, target=target)) == expected


def test_an_unknown_target_is_refused(save_torch):
    path = save_torch(torch.nn.Linear(64, 8), torch.zeros(1, 64))
    with pytest.raises(InputError) as caught:
        lint(path, target="iOS3")
    assert str(caught.value) == (
        "unknown target\n  got: iOS3\n  allowed: iOS15, iOS16, iOS17, iOS18, iOS26"
    )


def test_float32_work_is_a_note(save_torch):
    path = save_torch(torch.nn.Linear(64, 8), torch.zeros(1, 64), precision="float32")
    found = lint(path)
    assert rules(found) == ["float32-compute"]
    assert found[0].severity == "note"


@pytest.fixture
def compressed(ct, save_torch):
    def save(weight, compress):
        import coremltools.optimize.coreml as opt

        module = torch.nn.Linear(64, 64)
        with torch.no_grad():
            module.weight.copy_(weight)
        path = save_torch(module, torch.zeros(1, 64))
        with warnings.catch_warnings():  # of temporary folders that coremltools leaves to gc
            warnings.simplefilter("ignore")
            compress(opt, ct.models.MLModel(str(path), skip_model_load=True)).save(
                str(path.with_name("compressed.mlpackage"))
            )
            gc.collect()
        return path.with_name("compressed.mlpackage")

    return save


def test_pruning_that_pruned_nothing_is_told(compressed):
    def prune(opt, model):
        config = opt.OpThresholdPrunerConfig(
            threshold=1e-3, minimum_sparsity_percentile=0.0, weight_threshold=10
        )
        return opt.prune_weights(model, opt.OptimizationConfig(global_config=config))

    found = lint(compressed(torch.rand(64, 64) + 1, prune))
    assert rules(found) == ["compression-grows", "pruned-not-sparse"]


def test_a_palette_with_more_entries_than_values_is_told(compressed):
    def palettize(opt, model):
        config = opt.OpPalettizerConfig(mode="uniform", nbits=4, weight_threshold=10)
        return opt.palettize_weights(model, opt.OptimizationConfig(global_config=config))

    weight = torch.where(torch.rand(64, 64) < 0.5, -1.0, 1.0)
    found = lint(compressed(weight, palettize))
    assert rules(found) == ["palette-not-used"]
    assert "2 of the 16 entries are used" in found[0].what
