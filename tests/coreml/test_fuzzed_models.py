"""Damaged models, thousands of them: an answer or an error of our own, never a crash or a hang.

Each example is loaded and run in a child process with a bounded address space, watched by a
clock. ``-m campaign`` runs for ten minutes with new seeds (MLBUILD_FUZZ_SECONDS changes that).
"""

import json
import os
import select
import struct
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies
pytestmark = pytest.mark.toolchain

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds for one model, on a busy machine; none needs one


class Child:
    """The process that runs models, started anew when it died."""

    def __init__(self):
        self.process = None

    def run(self, spec, weights=b""):
        """The outcome and its text; a death or silence is a failure of the test."""
        if self.process is None:
            self.process = self.start()
        self.process.stdin.write(struct.pack("<QQ", len(spec), len(weights)) + spec + weights)
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            hung = self.process.poll() is None and not ready
            self.process.kill()
            code, self.process = self.process.wait(), None
            raise AssertionError("it hangs" if hung else f"the process died, code {code}")
        answer = json.loads(line)
        return answer["outcome"], answer["text"]

    def start(self):
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", str(Path(__file__).with_name("fuzzed_child.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
                 "MLBUILD_COREML_MEMORY": str(2**28), "MLBUILD_COREML_LOOPS": "2000"},
        )  # fmt: skip

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()


@pytest.fixture(scope="module")
def child():
    running = Child()
    yield running
    running.stop()


def mil_model(ct, folder):
    """Convolution with a palette, shapes computed while running, a loop and a branch."""
    from coremltools.converters.mil import Builder

    mb = Builder

    weight = np.random.default_rng(0).standard_normal((40, 3, 3, 3)).astype(np.float32)

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 8, 8))], opset_version=ct.target.iOS16)
    def program(x):
        y = mb.conv(x=x, weight=weight, bias=np.ones(40, np.float32), strides=[2, 2])
        ones = np.ones(40, np.float32)
        y = mb.batch_norm(x=y, mean=ones, variance=ones, gamma=ones, beta=ones)
        y = mb.avg_pool(x=mb.relu(x=y), kernel_sizes=[2, 2], strides=[1, 1], pad_type="valid")
        y = mb.resize_bilinear(x=y, target_size_height=4, target_size_width=4)
        y = mb.pad(x=mb.concat(values=[y, y], axis=1), pad=[1, 1, 1, 1])
        y = mb.gather(x=mb.tile(x=y, reps=[1, 1, 2, 1]), indices=[0, 3, 5], axis=2)
        y = mb.slice_by_index(x=y, begin=[0, 0, 0, 1], end=[1, 80, 3, 5])
        y = mb.reshape(x=mb.transpose(x=y, perm=[0, 2, 3, 1]), shape=[12, 80])
        y = mb.linear(x=y, weight=weight.reshape(-1)[:320].reshape(4, 80))
        total = mb.reduce_sum(x=mb.softmax(x=y, axis=-1), axes=[0, 1])
        count = mb.while_loop(
            _cond=lambda n: mb.less(x=n, y=20.0),
            _body=lambda n: mb.add(x=n, y=1.0),
            loop_vars=(total,),
        )
        picked = mb.cond(
            pred=mb.greater(x=count, y=3.0),
            _true_fn=lambda: mb.mul(x=y, y=2.0),
            _false_fn=lambda: mb.sub(x=y, y=1.0),
        )
        values, indices = mb.topk(x=picked, k=2, axis=1)
        return values, mb.one_hot(indices=indices, one_hot_vector_size=4)

    model = ct.convert(
        program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT32, skip_model_load=True,
        pass_pipeline=ct.PassPipeline.EMPTY,
    )  # fmt: skip
    config = ct.optimize.coreml.OptimizationConfig(
        ct.optimize.coreml.OpPalettizerConfig(nbits=4, weight_threshold=100)
    )
    ct.optimize.coreml.palettize_weights(model, config).save(str(folder / "m.mlpackage"))
    inside = folder / "m.mlpackage/Data/com.apple.CoreML"
    return (inside / "model.mlmodel").read_bytes(), (inside / "weights/weight.bin").read_bytes()


def network(ct, folder):
    """A classic network of an image: convolution, pooling, normalization, a dense classifier."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    array = datatypes.Array
    builder = NeuralNetworkBuilder(
        [("image", array(3, 8, 8))], [("scores", array(4))], mode="classifier"
    )
    rng = np.random.default_rng(0)
    builder.add_convolution("conv", 3, 6, 3, 3, 1, 1, "same", 1, rng.random((3, 3, 3, 6)),
                            rng.random(6), True, input_name="image", output_name="a")  # fmt: skip
    builder.add_activation("relu", "RELU", "a", "b")
    builder.add_pooling("pool", 2, 2, 2, 2, "MAX", "VALID", "b", "c")
    builder.add_batchnorm("norm", 6, *(rng.random(6) + 1 for _ in range(4)), "c", "d")
    builder.add_padding("pad", 1, 1, 1, 1, 0.0, "d", "e")
    builder.add_upsample("up", 2, 2, "e", "f")
    builder.add_flatten("flat", 0, "f", "g")
    builder.add_inner_product("dense", rng.random((4, 864)), rng.random(4), 864, 4, True, "g", "h")
    builder.add_softmax("soft", "h", "scores")
    builder.set_class_labels(["a", "b", "c", "d"], "label")
    builder.set_pre_processing_parameters(["image"], is_bgr=True, image_scale=0.5)
    return builder.spec.SerializeToString(), b""


def trees(ct, folder):
    """Boosted trees for three classes."""
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    x = rng.random((60, 4))
    fitted = RandomForestClassifier(3, max_depth=4, random_state=0).fit(
        x, (x.sum(1) * 1.2).astype(int)
    )
    return ct.converters.sklearn.convert(fitted, list("abcd")).get_spec().SerializeToString(), b""


def pipeline(ct, folder):
    """A scaler and a linear regressor, one behind the other."""
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x = rng.random((60, 3))
    fitted = make_pipeline(StandardScaler(), LinearRegression()).fit(x, x.sum(1) * 1.5)
    return ct.converters.sklearn.convert(fitted, list("abc")).get_spec().SerializeToString(), b""


KINDS = {"program": mil_model, "network": network, "trees": trees, "pipeline": pipeline}


@pytest.fixture(scope="module")
def models(ct, tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: make(ct, tmp_path_factory.mktemp(name)) for name, make in KINDS.items()}


# --- damage to bytes: change, insert, remove, cut -------------------------------------------

EDIT = st.tuples(
    st.sampled_from(["change", "change", "insert", "remove", "cut"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 255),
)


def damage(data, edits):
    data = bytearray(data)
    for kind, where, value in edits:
        place = int(where * len(data))
        if kind == "change" and data:
            data[place] = value
        elif kind == "insert":
            data[place:place] = bytes([value]) * (1 + value % 7)
        elif kind == "remove":
            del data[place : place + 1 + value % 7]
        elif kind == "cut" and value < 32:
            del data[place:]
    return bytes(data)


# --- damage to messages: the result is a well-formed file that says nonsense ----------------

EXTREMES = {
    "int": [0, 1, -1, 2, 7, 127, 255, 1000, 2**16, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)],
    "unsigned": [0, 1, 2, 7, 64, 255, 2**16, 2**32 - 1, 2**64 - 1],
    "float": [0.0, -1.0, 1e-45, 3e38, float("nan"), float("inf"), -float("inf")],
}
_SIGNED, _UNSIGNED, _WIDTH = (
    {3, 5, 15, 16, 17, 18},
    {4, 6, 7, 13},
    {5: 32, 15: 32, 17: 32, 13: 32, 7: 32},
)


def scalar(draw, field, names):
    if field.type in (1, 2):
        return draw(st.sampled_from(EXTREMES["float"]))
    if field.type == 8:
        return draw(st.booleans())
    if field.type == 9:
        return draw(st.sampled_from(["", "x" * 300, "@model_path/../../x", *names]))
    if field.type == 12:
        return draw(st.binary(max_size=40))
    if field.type == 14:
        return draw(st.sampled_from([v.number for v in field.enum_type.values]))
    known = EXTREMES["unsigned" if field.type in _UNSIGNED else "int"]
    bits = _WIDTH.get(field.type, 64)
    low, high = (
        (0, 2**bits - 1) if field.type in _UNSIGNED else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    return draw(st.sampled_from([n for n in known if low <= n <= high]))


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def mutate(draw, message, names, depth=0):
    """Change one thing somewhere in a message."""
    if not message.DESCRIPTOR.fields:
        return
    present = [field for field, _ in message.ListFields()]
    anywhere = not present or draw(st.integers(0, 9)) == 0
    field = draw(st.sampled_from(list(message.DESCRIPTOR.fields) if anywhere else present))
    if is_map(field):
        mutate_map(draw, getattr(message, field.name), field, names, depth)
    elif field.is_repeated:
        mutate_list(draw, getattr(message, field.name), field, names, depth)
    elif field.message_type is None:
        setattr(message, field.name, scalar(draw, field, names))
    elif draw(st.integers(0, 11)) == 0 and depth > 1:
        message.ClearField(field.name)
    else:
        part = getattr(message, field.name)
        part.SetInParent()
        mutate(draw, part, names, depth + 1)


def mutate_map(draw, entries, field, names, depth):
    keys = sorted(entries)
    if not keys:
        return
    key, action = draw(st.sampled_from(keys)), draw(st.integers(0, 11))
    if action == 0:
        del entries[key]
    elif field.message_type.fields_by_name["value"].message_type is None:
        entries[key] = scalar(draw, field.message_type.fields_by_name["value"], names)
    elif action == 1:
        entries[key].CopyFrom(entries[draw(st.sampled_from(keys))])
    else:
        mutate(draw, entries[key], names, depth + 1)


def mutate_list(draw, items, field, names, depth):
    if not len(items):
        if field.message_type is None:
            items.append(scalar(draw, field, names))
        else:
            items.add()
        return
    place, action = draw(st.integers(0, len(items) - 1)), draw(st.integers(0, 11))
    if action == 0:
        del items[place]
    elif action == 1:
        items.append(items[place])
    elif field.message_type is None:
        items[place] = scalar(draw, field, names)
    elif action == 2:
        items[place].CopyFrom(items[draw(st.integers(0, len(items) - 1))])
    else:
        mutate(draw, items[place], names, depth + 1)


def names_of(message):
    """Some of the strings of a model, so that mutated references lead somewhere."""
    found = set()

    def walk(part):
        for field, value in part.ListFields():
            values = value.values() if is_map(field) else value if field.is_repeated else [value]
            for item in values:
                if isinstance(item, str):
                    found.add(item)
                elif hasattr(item, "ListFields"):
                    walk(item)

    walk(message)
    return sorted(found)[:60]


def parsed(data):
    from mlbuild.coreml.protos import model_proto

    spec = model_proto().Model()
    spec.ParseFromString(data)
    return spec


QUICK = hypothesis.settings(
    max_examples=60, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)  # fmt: skip


def fuzz_bytes(child, model, settings, seen, seed=None):
    @settings
    @hypothesis.given(st.lists(EDIT, min_size=1, max_size=6), st.lists(EDIT, max_size=4))
    def try_damage(of_spec, of_weights):
        outcome, text = child.run(damage(model[0], of_spec), damage(model[1], of_weights))
        seen[outcome] += 1
        assert outcome in ("ran", "refused", "large"), text

    (hypothesis.seed(seed)(try_damage) if seed is not None else try_damage)()


def fuzz_messages(child, model, settings, seen, seed=None):
    original = parsed(model[0])
    names = names_of(original)

    @settings
    @hypothesis.given(st.data(), st.integers(1, 3))
    def try_mutation(data, count):
        spec = type(original)()
        spec.CopyFrom(original)
        for _ in range(count):
            mutate(data.draw, spec, names)
        outcome, text = child.run(spec.SerializeToString(), model[1])
        seen[outcome] += 1
        assert outcome in ("ran", "refused", "large"), text

    (hypothesis.seed(seed)(try_mutation) if seed is not None else try_mutation)()


@pytest.mark.parametrize("kind", KINDS)
def test_sound_models_run_in_the_child(child, models, kind):
    assert child.run(*models[kind])[0] == "ran"


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes_never_do_more_than_raise_an_error(child, models, kind):
    seen = Counter()
    fuzz_bytes(child, models[kind], QUICK, seen)
    assert seen["refused"] > 5


@pytest.mark.parametrize("kind", KINDS)
def test_well_formed_nonsense_never_does_more_than_raise_an_error(child, models, kind):
    seen = Counter()
    fuzz_messages(child, models[kind], QUICK, seen)
    assert seen["refused"] > 5
    assert seen["ran"] > 5


@pytest.mark.campaign
def test_ten_minutes_of_damage(child, models, capsys):
    end, seen = time.monotonic() + float(os.environ.get("MLBUILD_FUZZ_SECONDS", "600")), Counter()
    many, seed = hypothesis.settings(QUICK, derandomize=False, max_examples=200), time.time_ns()
    while time.monotonic() < end:
        for model in models.values():
            for fuzz in (fuzz_bytes, fuzz_messages):
                seed += 1
                fuzz(child, model, many, seen, seed % 2**32)
    with capsys.disabled():
        print(f"\n{sum(seen.values())} models: {dict(seen)}")
