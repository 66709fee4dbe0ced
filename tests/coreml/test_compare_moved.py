"""What compression costs, seen by moving weights; and weights that are none of the reference's."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mlbuild.coreml.compare import TorchReference, compare  # noqa: E402
from mlbuild.coreml.compare.matching import Index  # noqa: E402
from mlbuild.coreml.compare.misplaced import misplaced  # noqa: E402
from mlbuild.coreml.compare.moved import Moved  # noqa: E402
from mlbuild.coreml.compare.rounding import Originals  # noqa: E402
from mlbuild.coreml.compare.stepping import Steps  # noqa: E402
from mlbuild.coreml.compare.walk import Walk  # noqa: E402
from mlbuild.coreml.model import load  # noqa: E402

pytestmark = pytest.mark.toolchain

BITS = 4


class Net(torch.nn.Module):
    """Two layers of one shape, so that either's weight could be the other's."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = torch.nn.Linear(24, 24), torch.nn.Linear(24, 24)

    def forward(self, x):
        return torch.tanh(self.other(torch.sin(self.one(x))))


@pytest.fixture
def compressed(ct, tmp_path):
    """A module's conversion with weights of a table each; without ``bits`` as they are."""

    def save(module, bits=BITS):
        from coremltools.optimize import coreml as opt

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = ct.convert(
                torch.jit.trace(module.eval(), torch.zeros(8, 24)),
                inputs=[ct.TensorType("x", shape=(8, 24))],
                minimum_deployment_target=ct.target.iOS17,
                compute_precision=ct.precision.FLOAT32,
                skip_model_load=True,
            )
            if bits:
                config = opt.OpPalettizerConfig(mode="kmeans", nbits=bits, weight_threshold=100)
                model = opt.palettize_weights(model, opt.OptimizationConfig(config))
            path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mlpackage"
            model.save(str(path))
        return path

    return save


def samples(count=3):
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((8, 24)).astype(np.float32)} for _ in range(count)]


def of(model, given):
    (answer,) = model.predict(given).values()
    return answer


def test_moving_weights_costs_about_what_compressing_them_did(compressed):
    net = Net()
    model = load(compressed(net), precision="float32")
    moved = Moved(model)
    given = samples(1)[0]
    with torch.no_grad():
        source = net(torch.from_numpy(given["x"])).numpy()
    cost = np.sqrt(np.mean((of(model, given) - source) ** 2))
    found = np.sqrt(np.mean((of(moved, given) - of(model, given)) ** 2))

    assert moved.moves
    assert 0.5 < found / cost < 2.5  # parity grants 8 dB, which is 2.5


def test_each_answer_is_of_other_weights_and_a_seed_gives_the_same_ones_again(compressed):
    model = load(compressed(Net()), precision="float32")
    given = samples(1)[0]
    moved, again, other = Moved(model), Moved(model), Moved(model, seed=1)
    first, second = of(moved, given), of(moved, given)

    assert np.array_equal(first, of(again, given))
    assert np.array_equal(second, of(again, given))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, of(other, given))


def test_a_model_of_whole_weights_stays_where_it_is(compressed):
    model = load(compressed(Net(), bits=0), precision="float32")
    moved, given = Moved(model), samples(1)[0]

    assert not moved.moves
    np.testing.assert_allclose(of(moved, given), of(model, given), rtol=1e-6)


def test_values_on_the_way_are_kept_as_a_model_keeps_them(compressed):
    model = load(compressed(Net()), precision="float32")
    (name,) = model.description.outputs[0].name, *()
    ran = Moved(model).run(samples(1)[0], keep=[name])

    assert np.array_equal(ran.values[name], ran.outputs[name])


def test_a_model_with_a_state_is_moved_on_the_state_that_it_is_given(save_stateful):
    moved = Moved(load(save_stateful, precision="float32"))
    state, given = moved.make_state(), {"x": np.array([1.0, 2.0], np.float16)}
    (first,), (second,) = (moved.run(given, state=state).outputs.values() for _ in "ab")
    (fresh,) = moved.run(given).outputs.values()

    assert first.tolist() == fresh.tolist() == [1.0, 2.0]
    assert second.tolist() == [2.0, 4.0]


@pytest.fixture
def save_stateful(ct, tmp_path):
    """A sum over predictions."""

    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("total", torch.zeros(2))

        def forward(self, x):
            self.total.add_(x)
            return self.total * 1

    kinds = [ct.TensorType("x", shape=(2,), dtype=np.float16)]
    state = ct.StateType(ct.TensorType(shape=(2,), dtype=np.float16), name="total")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ct.convert(
            torch.jit.trace(Sum().eval(), torch.zeros(2)),
            inputs=kinds,
            states=[state],
            minimum_deployment_target=ct.target.iOS18,
            skip_model_load=True,
        )
        model.save(str(tmp_path / "state.mlpackage"))
    return tmp_path / "state.mlpackage"


def suspects(net, path):
    """Whom ``misplaced`` alone accuses."""
    reference, given = TorchReference(net), samples()
    index = Index([reference.record(sample) for sample in given])
    walk = Walk(
        Steps(load(path, precision="float32")), index, Originals(reference.weights()), given
    )
    walk.start()
    return list(misplaced(walk))


def test_weights_that_were_compressed_are_not_misplaced(compressed):
    net = Net()
    path = compressed(net)

    assert suspects(net, path) == []
    assert compare(TorchReference(net), path, samples()).guilty is None


CHANGES = {
    "rows backwards": lambda w: w.flip(0),
    "columns rolled": lambda w: w.roll(1, 1),
    "another scale": lambda w: w * 0.8,
    "transposed": lambda w: w.mT.contiguous(),
}


def damaged(layer, change):
    wrong = Net()
    with torch.no_grad():
        weight = getattr(wrong, layer).weight
        weight.copy_(CHANGES[change](weight.clone()))
    return wrong


@pytest.mark.parametrize("change", ["rows backwards", "columns rolled"])
@pytest.mark.parametrize("layer", ["one", "other"])
def test_a_compressed_weight_that_is_none_of_the_references_is_misplaced(compressed, layer, change):
    (guilty,) = suspects(Net(), compressed(damaged(layer, change)))

    assert guilty.operator.type == "linear"
    assert guilty.scope == f"{layer} (Linear)"
    assert "half steps from that weight" in guilty.why
    assert guilty.local > 0.1


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_weight_is_named_behind_its_compression(compressed, change):
    guilty = compare(TorchReference(Net()), compressed(damaged("other", change)), samples()).guilty

    assert guilty.operator.type == "linear"
    assert guilty.scope == "other (Linear)"
