"""Broken files and models that cannot be run: a clear error, never a crash."""

import contextlib
import json
import random
import re
import shutil
import struct
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 16, 3)

    def forward(self, x):
        return torch.relu(self.conv(x))


X = {"x": np.ones((1, 3, 8, 8), np.float32)}


@pytest.fixture(scope="module")
def saved(ct, tmp_path_factory):
    import warnings

    path = tmp_path_factory.mktemp("models") / "net.mlpackage"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Net().eval(), torch.ones(1, 3, 8, 8))
        ct.convert(
            traced,
            inputs=[ct.TensorType(name="x", shape=(1, 3, 8, 8))],
            minimum_deployment_target=ct.target.iOS16,
            skip_model_load=True,
        ).save(str(path))
    return path


@pytest.fixture
def package(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "net.mlpackage")


def inside(package, name):
    return package / "Data" / "com.apple.CoreML" / name


def weights(package):
    return inside(package, "weights") / "weight.bin"


def edit(package, change):
    """Change the specification of a package."""
    from mlbuild.coreml.protos import model_proto

    file = inside(package, "model.mlmodel")
    spec = model_proto().Model()
    spec.ParseFromString(file.read_bytes())
    (function,) = spec.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    change(spec, block)
    file.write_bytes(spec.SerializeToString())


def failure(package):
    """The message with which loading or running fails."""
    from mlbuild.coreml import CoreMLError, load

    with pytest.raises(CoreMLError) as error:
        load(package).predict(X)
    return str(error.value)


def operation(block, kind):
    return next(o for o in block.operations if o.type == kind)


def test_a_model_that_is_not_there(tmp_path):
    assert failure(tmp_path / "a.mlpackage") == f"{tmp_path}/a.mlpackage: there is no such model"


def test_a_package_without_a_manifest(package):
    (package / "Manifest.json").unlink()
    assert failure(package) == f"{package}: Manifest.json is missing from the package"


@pytest.mark.parametrize("text", ["{", "[]", "{}", "[" * 100_000, "\xff"])
def test_a_manifest_that_is_garbage(package, text):
    (package / "Manifest.json").write_text(text, "latin-1")
    message = f"{package / 'Manifest.json'}: the manifest does not name a root model"
    assert failure(package) == message


def test_a_manifest_that_points_outside(package):
    manifest = json.loads((package / "Manifest.json").read_text())
    manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = "../../secret"
    (package / "Manifest.json").write_text(json.dumps(manifest))
    assert failure(package) == (
        f"{package / 'Manifest.json'}: the manifest points outside of the package\n"
        "  got: ../../secret"
    )


def test_a_package_without_its_specification(package):
    inside(package, "model.mlmodel").unlink()
    assert failure(package) == (
        f"{package}: the manifest names a file that is missing\n"
        "  got: com.apple.CoreML/model.mlmodel"
    )


def test_a_specification_that_is_garbage(package):
    inside(package, "model.mlmodel").write_bytes(b"\xff" * 100)
    place = inside(package, "model.mlmodel")
    assert failure(package).startswith(f"{place}: not a Core ML specification, or cut off: ")


def test_an_empty_specification(package):
    inside(package, "model.mlmodel").write_bytes(b"")
    place = inside(package, "model.mlmodel")
    assert failure(package) == f"{place}: not a Core ML specification: it holds no model"


def test_a_package_without_its_weights(package):
    weights(package).unlink()
    assert failure(package) == (
        f"{package}: @model_path/weights/weight.bin: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize("size", [0, 10, 100, 200])
def test_weights_that_are_cut_off(package, size):
    weights(package).write_bytes(weights(package).read_bytes()[:size])
    assert failure(package).startswith(f"{package}: @model_path/weights/weight.bin")
    assert "the weight file is cut off: " in failure(package)


def test_weights_of_another_version(package):
    data = bytearray(weights(package).read_bytes())
    data[4:8] = struct.pack("<I", 9)
    weights(package).write_bytes(data)
    assert failure(package) == (
        f"{package}: @model_path/weights/weight.bin: a weight file of unknown version\n"
        "  got: 9\n  allowed: 2"
    )


def blob(change):
    def apply(_, block):
        for o in block.operations:
            if "val" in o.attributes and o.attributes["val"].HasField("blobFileValue"):
                change(o.attributes["val"])
                return

    return apply


@pytest.mark.parametrize(
    ("offset", "message"),
    [(65, "the weight file is corrupt: no blob begins here"),
     (2**63, "the weight file is cut off: a blob lies behind its end")],
)  # fmt: skip
def test_a_wrong_offset(package, offset, message):
    edit(package, blob(lambda value: setattr(value.blobFileValue, "offset", offset)))
    assert f"weight.bin at {offset}: {message}" in failure(package)


def test_a_weight_file_outside_of_the_package(package):
    name = "@model_path/../../../../etc/passwd"
    edit(package, blob(lambda value: setattr(value.blobFileValue, "fileName", name)))
    assert failure(package) == f"{package}: {name}: a weight file lies outside of the package"


def test_a_shape_that_does_not_fit_its_blob(package):
    def change(value):
        value.type.tensorType.dimensions[0].constant.size = 17

    edit(package, blob(change))
    assert "a blob's size does not fit the declared shape\n  got: 864 bytes, 918 needed" in failure(
        package
    )


def test_an_absurd_shape_is_refused_before_anything_is_allocated(package):
    def change(value):
        value.type.tensorType.dimensions[0].constant.size = 2**40

    edit(package, blob(change))
    assert "a tensor's shape is absurd\n  got: fp16[1099511627776, 3, 3, 3]" in failure(package)


def test_a_value_that_is_used_before_it_is_made(package):
    def change(_, block):
        relu, conv = operation(block, "relu"), operation(block, "conv")
        conv.inputs["x"].arguments[0].name = relu.outputs[0].name  # a circle

    edit(package, change)
    assert re.search(
        r"operation \d+ of main, conv: the value '\w+' is used before it is made$", failure(package)
    )


def test_a_result_that_is_never_made(package):
    edit(package, lambda _, block: block.outputs.append("ghost"))
    assert failure(package) == f"{package}: main: the result 'ghost' is never made"


def test_an_operation_without_a_required_input(package):
    edit(package, lambda _, block: operation(block, "conv").inputs.pop("weight"))
    assert re.search(
        r"operation \d+ of main, iOS16\.conv \(makes \w+\): "
        r"the operation lacks a required input: weight$",
        failure(package),
    )


def test_an_unknown_operator_is_refused_by_name_opset_and_place(package):
    edit(package, lambda _, block: setattr(operation(block, "relu"), "type", "warp"))
    assert re.search(
        r"operation \d+ of main, iOS16\.warp \(makes \w+\): "
        r"the operator iOS16\.warp is not supported$",
        failure(package),
    )


def test_an_operator_newer_than_the_opset_is_refused(package):
    def change(_, block):
        operation(block, "relu").type = "quantize"

    edit(package, change)
    assert (
        "the operator iOS16.quantize is not supported\n  hint: it exists from iOS17 on"
        in failure(package)
    )


def test_an_unknown_input_of_an_operator_is_refused(package):
    def change(_, block):
        relu = operation(block, "relu")
        relu.inputs["slope"].CopyFrom(relu.inputs["x"])

    edit(package, change)
    assert failure(package).endswith(
        "the operator has an input that this runtime does not know: slope\n  allowed: x"
    )


def test_shapes_that_do_not_go_together_name_the_operation(package):
    def change(spec, _):
        spec.description.input[0].type.multiArrayType.shape[1] = 4

    edit(package, change)
    from mlbuild.coreml import ExecutionError, load

    with pytest.raises(ExecutionError) as error:
        load(package).predict({"x": np.ones((1, 4, 8, 8))})
    assert re.match(r"operation \d+ of main, iOS16\.conv \(makes \w+\): ", str(error.value))


def test_an_opset_of_the_future_is_refused(package):
    def change(spec, block):
        function = spec.mlProgram.functions["main"]
        function.block_specializations["CoreML99"].CopyFrom(block)
        function.opset = "CoreML99"
        del function.block_specializations["CoreML6"]

    edit(package, change)
    assert "an opset that this runtime does not know\n  got: CoreML99" in failure(package)


def test_a_compiled_model_is_refused(tmp_path):
    (tmp_path / "net.mlmodelc").mkdir()
    assert failure(tmp_path / "net.mlmodelc") == (
        f"{tmp_path}/net.mlmodelc: a compiled model can only be run by Core ML itself\n"
        "  hint: give the .mlpackage or .mlmodel it was compiled from"
    )


@pytest.mark.slow
def test_random_damage_never_does_more_than_raise_an_error(package):
    """Bytes changed and files cut at random: an answer or a CoreMLError."""
    from mlbuild.coreml import CoreMLError, load, summarize

    whole = {f: f.read_bytes() for f in (inside(package, "model.mlmodel"), weights(package))}
    end, rnd = time.monotonic() + 20, random.Random(7)
    for _ in range(400):
        for file, data in whole.items():
            damaged = bytearray(data)
            for _ in range(rnd.randint(0, 3)):
                damaged[rnd.randrange(len(damaged))] = rnd.randrange(256)
            if rnd.random() < 0.1:
                del damaged[rnd.randrange(len(damaged)) :]
            file.write_bytes(damaged)
        for action in (lambda: load(package).predict(X), lambda: summarize(package)):
            with contextlib.suppress(CoreMLError):
                action()
        if time.monotonic() > end:  # a busy machine tries fewer
            break


# Operators that make much out of little; n is the size in each of two dimensions.
GROWERS = {
    "fill": lambda mb, x, n: mb.fill(shape=[n, n], value=1.0),
    "tile": lambda mb, x, n: mb.tile(x=x, reps=[n, n]),
    "pad": lambda mb, x, n: mb.pad(x=x, pad=[0, n, 0, n]),
    "one_hot": lambda mb, x, n: mb.one_hot(
        indices=mb.cast(x=x, dtype="int32"), one_hot_vector_size=n
    ),
}


@pytest.mark.parametrize("kind", GROWERS)
def test_a_value_that_no_machine_can_hold_is_refused_before_it_is_made(save_program, kind):
    from mlbuild.coreml import ExecutionError, load

    size = 2**38 if kind == "one_hot" else 2**20
    x = {"x": np.zeros((2, 2), np.float32)}
    path = save_program(lambda mb, x: GROWERS[kind](mb, x, 2), x, "iOS16")
    edit(path, lambda _, block: enlarge(block, size))
    begun = time.monotonic()
    with pytest.raises(ExecutionError) as error:
        load(path).predict(x)
    assert time.monotonic() - begun < 5
    assert re.match(
        rf"operation \d+ of main, iOS16\.{kind} \(makes \w+\): "
        r"a value of a size that this machine cannot hold\n  got: \d{12,} bytes\n"
        r"  allowed: at most \d+ bytes\n  hint: MLBUILD_COREML_MEMORY=BYTES sets another limit$",
        str(error.value),
    )


def enlarge(block, size):
    """Every constant 2 of the program becomes ``size``; what is declared stays small."""
    for o in block.operations:
        if o.type == "const" and o.attributes["val"].immediateValue.HasField("tensor"):
            tensor = o.attributes["val"].immediateValue.tensor
            values = getattr(tensor, tensor.WhichOneof("value")).values
            if tensor.WhichOneof("value") == "ints":
                if size >= 2**31:  # an int32 field cannot hold it
                    values_of = list(values)
                    tensor.longInts.values.extend(size if v == 2 else v for v in values_of)
                    o.attributes["val"].type.tensorType.dataType = 24
                    o.outputs[0].type.tensorType.dataType = 24
                else:
                    values[:] = [size if v == 2 else v for v in values]


def test_a_broadcast_that_no_machine_can_hold_is_refused(save_program):
    from mlbuild.coreml import ExecutionError, load

    x = {"x": np.zeros((2**21,), np.float32)}

    def build(mb, x):
        small = mb.slice_by_index(x=x, begin=[0], end=[2])
        return mb.add(x=mb.expand_dims(x=small, axes=[0]), y=mb.expand_dims(x=small, axes=[1]))

    path = save_program(build, x)
    model = load(path)
    assert next(iter(model.predict(x).values())).shape == (2, 2)
    edit(path, lambda _, block: enlarge(block, 2**21))
    with pytest.raises(ExecutionError, match=r"iOS15\.add .*: a value of a size that this machine"):
        load(path).predict(x)


def test_the_limit_of_memory_can_be_set(save_program, monkeypatch):
    from mlbuild.coreml import ExecutionError, limits, load

    x = {"x": np.zeros((100, 100), np.float32)}
    path = save_program(lambda mb, x: mb.tile(x=x, reps=[2, 2]), x)
    load(path).predict(x)
    monkeypatch.setenv("MLBUILD_COREML_MEMORY", "100000")
    limits.limit.cache_clear()
    try:
        with pytest.raises(ExecutionError, match="got: 320000 bytes\n  allowed: at most 100000"):
            load(path).predict(x)
    finally:
        limits.limit.cache_clear()


def test_a_loop_that_does_not_end_is_an_error(save_program, monkeypatch):
    from mlbuild.coreml import ExecutionError, limits, load

    def build(mb, x):
        return mb.while_loop(
            _cond=lambda i: mb.less(x=mb.reduce_min(x=i, axes=[0]), y=1.0),
            _body=lambda i: mb.mul(x=i, y=0.5),
            loop_vars=(x,),
        )

    path = save_program(build, {"x": np.zeros(1, np.float32)})
    monkeypatch.setenv("MLBUILD_COREML_LOOPS", "1000")
    limits.most_turns.cache_clear()
    try:
        assert load(path).predict({"x": np.ones(1)})  # its condition is false at once
        with pytest.raises(ExecutionError) as error:
            load(path).predict({"x": np.zeros(1)})
    finally:
        limits.most_turns.cache_clear()
    assert re.match(
        r"operation \d+ of main, iOS15\.while_loop \(makes \w+\): a loop does not end\n"
        r"  got: more than 1000 turns\n  hint: MLBUILD_COREML_LOOPS=NUMBER sets another limit$",
        str(error.value),
    )


def test_weights_at_an_odd_place_are_read_all_the_same(package):
    """A blob that begins between two elements must not be handed to code that expects neither."""
    from mlbuild.coreml import load

    (expected,) = load(package).predict(X).values()
    data = bytearray(weights(package).read_bytes())
    moved = []

    def change(value):
        place = value.blobFileValue.offset
        sentinel, kind, size, start, unused = struct.unpack_from("<IIQQQ", data, place)
        odd = len(data) + 1
        data.extend(b"\0" + data[start : start + size])
        struct.pack_into("<IIQQQ", data, place, sentinel, kind, size, odd, unused)
        moved.append(odd)

    edit(package, blob(change))
    weights(package).write_bytes(data)
    (actual,) = load(package).predict(X).values()
    assert moved
    assert moved[0] % 2
    np.testing.assert_array_equal(actual, expected)


def test_bytes_that_are_no_specification():
    assert failure(b"\xff" * 9).startswith("<bytes>: not a Core ML specification, or cut off: ")


def test_a_specification_from_bytes_has_no_weight_files(package):
    data = inside(package, "model.mlmodel").read_bytes()
    assert failure(data) == (
        "<bytes>: @model_path/weights/weight.bin: cannot be read: Not a directory"
    )


def test_a_manifest_that_names_what_no_file_can_be(package):
    manifest = json.loads((package / "Manifest.json").read_text())
    manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = "a\0b"
    (package / "Manifest.json").write_text(json.dumps(manifest))
    assert failure(package) == (
        f"{package / 'Manifest.json'}: the manifest names a file that cannot be\n  got: a\0b"
    )


def test_a_limit_that_is_no_number_is_an_error(monkeypatch):
    from mlbuild.coreml import ExecutionError, limits

    monkeypatch.setenv("MLBUILD_COREML_MEMORY", "8 GB")
    limits.limit.cache_clear()
    try:
        with pytest.raises(ExecutionError) as error:
            limits.demand(1)
    finally:
        limits.limit.cache_clear()
    assert str(error.value) == (
        "environment variable MLBUILD_COREML_MEMORY: not a number\n  got: 8 GB"
    )


def branch(mb, x):
    return mb.cond(
        pred=mb.greater(x=mb.reduce_max(x=x, axes=[0]), y=0.0),
        _true_fn=lambda: mb.add(x=x, y=1.0),
        _false_fn=lambda: mb.sub(x=x, y=1.0),
    )


def nest(block, depth):
    """Put the branch of a program into its own first block, again and again."""
    inner = operation(block, "cond")
    whole = [type(o).FromString(o.SerializeToString()) for o in block.operations]
    names = {o.name for op in whole for o in op.outputs}
    for level in range(depth):
        inside = inner.blocks[0]
        del inside.operations[:]
        for o in whole:
            copied = inside.operations.add()
            copied.CopyFrom(o)
            for made in copied.outputs:
                made.name += f"_{level}"
            for argument in copied.inputs.values():
                for binding in argument.arguments:
                    if binding.name in names:
                        binding.name += f"_{level}"
        inside.outputs[:] = [f"{block.outputs[0]}_{level}"]
        inner = operation(inside, "cond")


@pytest.mark.parametrize(("depth", "runs"), [(1, True), (40, True), (60, False), (2000, False)])
def test_blocks_in_blocks_run_or_are_refused(save_program, depth, runs):
    from mlbuild.coreml import ModelFileError, load

    x = {"x": np.ones(2, np.float32)}
    path = save_program(branch, x)
    edit(path, lambda _, block: nest(block, depth))
    if runs:
        (result,) = load(path).predict(x).values()
        np.testing.assert_array_equal(result, [2, 2])
    else:  # protobuf reads at most a hundred messages in each other
        with pytest.raises(ModelFileError, match="not a Core ML specification, or cut off"):
            load(path)
