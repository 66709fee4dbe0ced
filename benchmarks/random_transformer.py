"""Writes a transformer of any size as an .mlpackage without ever holding it.

Decoder-only, pre-normalized, gated feed-forward part, float16, opset of iOS16; weights are random
and streamed matrix by matrix to ``weight.bin`` in the layout of coremltools' blob storage. The
program is written as protobuf messages, operation by operation.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mlbuild.coreml.protos import mil_proto, model_proto

_FP16, _INT32, _BOOL = 10, 23, 1
_ALIGNMENT = 64
_ROWS = 1024  # of a matrix are made at a time
_WEIGHTS = "@model_path/weights/weight.bin"


@dataclass(frozen=True)
class Shape:
    """The sizes of a transformer."""

    layers: int
    width: int
    hidden: int
    words: int
    heads: int
    tokens: int

    @property
    def parameters(self) -> int:
        """Of all matrices and gains."""
        layer = 4 * self.width**2 + 3 * self.width * self.hidden + 2 * self.width
        return self.layers * layer + 2 * self.words * self.width + self.width


@dataclass
class _Writer:
    block: Any
    stream: BinaryIO
    random: np.random.Generator
    blobs: int = 0
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    made: int = 0

    def weight(self, *shape: int) -> str:
        """A matrix of the scale that keeps values in range, or gains of 1, straight to the file."""
        rows, columns = (1, *shape)[-2:]
        start = self._begin_blob(rows * columns * 2)
        for first in range(0, rows, _ROWS):
            size = (min(_ROWS, rows - first), columns)
            values = np.ones(size, np.float32)
            if len(shape) > 1:
                values = self.random.standard_normal(size, np.float32) / np.float32(columns**0.5)
            self.stream.write(values.astype(np.float16).tobytes())
        name = self._const(_FP16, shape)
        value = self.block.operations[-1].attributes["val"]
        value.blobFileValue.fileName, value.blobFileValue.offset = _WEIGHTS, start
        return name

    def constant(self, value: Any, code: int) -> str:
        """A small constant that stands in the program itself."""
        array = np.asarray(value)
        name = self._const(code, array.shape)
        tensor = self.block.operations[-1].attributes["val"].immediateValue.tensor
        if code == _FP16:
            tensor.bytes.values = array.astype(np.float16).tobytes()
        elif code == _INT32:
            tensor.ints.values.extend(array.reshape(-1).tolist())
        else:
            tensor.bools.values.extend(array.reshape(-1).tolist())
        return name

    def op(self, kind: str, made: tuple[int, ...], /, **inputs: Any) -> str:
        """An operation; inputs are names of values, or numbers that become constants."""
        names = {key: self._name(value) for key, value in inputs.items()}
        operation = self.block.operations.add(type=kind)
        for key, name in names.items():
            operation.inputs[key].arguments.add().name = name
        self.made += 1
        output = operation.outputs.add(name=f"{kind}_{self.made}")
        set_type(output.type, _FP16, made)
        return str(output.name)

    def _name(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        kind = np.asarray(value).dtype.kind
        return self.constant(value, {"i": _INT32, "b": _BOOL, "f": _FP16}[kind])

    def _const(self, code: int, shape: tuple[int, ...]) -> str:
        operation = self.block.operations.add(type="const")
        self.made += 1
        output = operation.outputs.add(name=f"const_{self.made}")
        set_type(output.type, code, shape)
        set_type(operation.attributes["val"].type, code, shape)
        return str(output.name)

    def _begin_blob(self, size: int) -> int:
        place = self._align()
        self.stream.write(
            struct.pack("<IIQQQ", 0xDEADBEEF, 1, size, place + 64, 0).ljust(64, b"\0")
        )
        self.blobs += 1
        return place

    def _align(self) -> int:
        place = self.stream.tell()
        self.stream.write(bytes(-place % _ALIGNMENT))
        return self.stream.tell()


def set_type(message: Any, code: int, shape: tuple[int, ...]) -> None:
    """Fill a ValueType with a tensor type."""
    message.tensorType.dataType, message.tensorType.rank = code, len(shape)
    for size in shape:
        message.tensorType.dimensions.add().constant.size = size


def write_transformer(package: Path, shape: Shape, seed: int = 0) -> Path:
    """Write the package; returns it."""
    folder = package / "Data" / "com.apple.CoreML"
    (folder / "weights").mkdir(parents=True)
    spec = model_proto().Model()
    program = mil_proto().Program()
    program.version = 1
    function = program.functions["main"]
    function.opset = "CoreML6"
    given = function.inputs.add(name="tokens")
    set_type(given.type, _INT32, (1, shape.tokens))
    block = function.block_specializations["CoreML6"]
    with (folder / "weights" / "weight.bin").open("wb") as stream:
        stream.write(bytes(64))
        writer = _Writer(block, stream, np.random.default_rng(seed))
        result = _network(writer, shape)
        stream.seek(0)
        stream.write(struct.pack("<II", writer.blobs, 2))
    block.outputs.append(result)
    spec.specificationVersion = 7
    spec.mlProgram.ParseFromString(program.SerializeToString())
    _describe(spec.description, shape, result)
    (folder / "model.mlmodel").write_bytes(spec.SerializeToString())
    _manifest(package)
    return package


def _network(w: _Writer, s: Shape) -> str:
    flat = (1, s.tokens, s.width)
    x = w.op("gather", flat, x=w.weight(s.words, s.width), indices="tokens", axis=np.int32(0))
    for _ in range(s.layers):
        x = w.op("add", flat, x=x, y=_attention(w, s, x))
        x = w.op("add", flat, x=x, y=_feed_forward(w, s, x))
    last = _norm(w, s, x)
    return w.op("linear", (1, s.tokens, s.words), x=last, weight=w.weight(s.words, s.width))


def _norm(w: _Writer, s: Shape, x: str) -> str:
    return w.op(
        "layer_norm", (1, s.tokens, s.width), x=x, axes=np.array([-1], np.int32),
        gamma=w.weight(s.width), epsilon=np.float16(1e-5),
    )  # fmt: skip


def _attention(w: _Writer, s: Shape, x: str) -> str:
    x, each = _norm(w, s, x), s.width // s.heads
    flat, parted = (1, s.tokens, s.width), (1, s.tokens, s.heads, each)
    by_head = (1, s.heads, s.tokens, each)
    parts = []
    for _ in range(3):
        y = w.op("linear", flat, x=x, weight=w.weight(s.width, s.width))
        y = w.op("reshape", parted, x=y, shape=np.array(parted, np.int32))
        parts.append(w.op("transpose", by_head, x=y, perm=np.array([0, 2, 1, 3], np.int32)))
    query, key, value = parts
    square = (1, s.heads, s.tokens, s.tokens)
    scores = w.op("matmul", square, x=query, y=key, transpose_y=np.bool_(True))
    scores = w.op("mul", square, x=scores, y=np.float16(each**-0.5))
    mask = np.triu(np.full((s.tokens, s.tokens), -1e4, np.float16), 1)
    scores = w.op("softmax", square, x=w.op("add", square, x=scores, y=mask), axis=np.int32(-1))
    y = w.op("matmul", by_head, x=scores, y=value)
    y = w.op("transpose", parted, x=y, perm=np.array([0, 2, 1, 3], np.int32))
    y = w.op("reshape", flat, x=y, shape=np.array(flat, np.int32))
    return w.op("linear", flat, x=y, weight=w.weight(s.width, s.width))


def _feed_forward(w: _Writer, s: Shape, x: str) -> str:
    x, wide = _norm(w, s, x), (1, s.tokens, s.hidden)
    gate = w.op("linear", wide, x=x, weight=w.weight(s.hidden, s.width))
    up = w.op("linear", wide, x=x, weight=w.weight(s.hidden, s.width))
    y = w.op("mul", wide, x=w.op("silu", wide, x=gate), y=up)
    return w.op("linear", (1, s.tokens, s.width), x=y, weight=w.weight(s.width, s.hidden))


def _describe(description: Any, shape: Shape, result: str) -> None:
    given = description.input.add(name="tokens").type.multiArrayType
    given.shape.extend([1, shape.tokens])
    given.dataType = 131104
    made = description.output.add(name=result).type.multiArrayType
    made.shape.extend([1, shape.tokens, shape.words])
    made.dataType = 65552


def _manifest(package: Path) -> None:
    items = {"root": {"path": "com.apple.CoreML/model.mlmodel", "name": "model.mlmodel",
                      "author": "com.apple.CoreML", "description": "specification"}}  # fmt: skip
    text = json.dumps({"fileFormatVersion": "1.0.0", "itemInfoEntries": items,
                       "rootModelIdentifier": "root"})  # fmt: skip
    (package / "Manifest.json").write_text(text)
