"""What a model consists of, as plain data.

Needs no picture library, and torch only for what a NeuralNetwork costs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .cost import cost
from .description import Description, Feature, describe
from .labels import class_labels
from .mil.constants import Constants
from .mil.program import OPSETS, Binding, Constant, Function, Operation, Reference
from .mil.reader import read_function
from .mil.weights import WeightFiles
from .outline import NETWORKS, outline
from .package import ModelFiles, open_model

_KINDS = {
    "constexpr_affine_dequantize": "linear",
    "constexpr_blockwise_shift_scale": "linear",
    "constexpr_sparse_blockwise_shift_scale": "linear",
    "constexpr_lut_to_dense": "palette",
    "constexpr_lut_to_sparse": "palette",
    "constexpr_sparse_to_dense": "sparse",
    "constexpr_cast": "cast",
}
_DATA = ("data", "nonzero_data", "indices_nonzero_data", "indices", "quantized_data", "source_val")
_SMALL = 16  # constants of fewer elements are parameters of an operator, not weights


def summarize(path: str | Path, *, measure: bool = True) -> dict[str, Any]:
    """Describe a model of any type; ML Programs down to their weights.

    Args:
        path: An ``.mlpackage`` or ``.mlmodel``.
        measure: Whether to read all weights to find the share of zeros, and to run a
            NeuralNetwork once for what it costs, which needs torch.

    Returns:
        type, spec_version, target, inputs, outputs, labels (their number), metadata, size_bytes,
        and for ML Programs opset, operators (count by type) and weights (one for each constant
        that an operation uses: layer, operator, input, value, shape, dtype, compression from
        the outermost on, bits of each stored element, elements, bytes as stored, sparsity),
        parameters, and what ``cost`` tells; for NeuralNetworks operators, weights, parameters
        and what ``network_cost`` tells; for others what ``outline`` tells.
    """
    files = open_model(path)
    kind = files.spec.WhichOneof("Type")
    if kind != "mlProgram":
        counted = _network_cost(files) if measure and kind in NETWORKS else {}
        return {**_outside(files, describe(files.spec)), **outline(files.spec), **counted}
    name = files.spec.description.defaultFunctionName or None
    function, weights = read_function(files.spec.mlProgram, name), WeightFiles(files.folder)
    described = describe(files.spec, None, class_labels(function, weights))
    inside = _Inside(function, weights)
    found = [inside.weight(*use, measure=measure) for use in inside.uses()]
    return {
        **_outside(files, described),
        "opset": OPSETS.get(function.opset, function.opset),
        "operators": dict(sorted(inside.operators().items())),
        "weights": found,
        "weight_bytes": sum({w["value"]: w["bytes"] for w in found}.values()),
        "parameters": sum({w["value"]: w["elements"] for w in found}.values()),
        **cost(function),
    }


def _network_cost(files: ModelFiles) -> dict[str, Any]:
    from .network_cost import network_cost  # runs the network: torch, which all else does without

    return network_cost(files.spec, files.folder)


def _outside(files: ModelFiles, described: Description) -> dict[str, Any]:
    targets = {6: "iOS15", 7: "iOS16", 8: "iOS17", 9: "iOS18", 10: "iOS26"}
    return {
        "type": described.type,
        "spec_version": described.spec_version,
        "target": targets.get(described.spec_version),
        "inputs": [_feature(f) for f in described.inputs],
        "outputs": [_feature(f) for f in described.outputs],
        "labels": len(described.class_labels),
        "metadata": described.metadata,
        "size_bytes": _size(files.path),
    }


def _feature(feature: Feature) -> dict[str, Any]:
    result: dict[str, Any] = {"name": feature.name, "kind": feature.kind, "type": str(feature)}
    if feature.image is not None:
        result |= {
            "width": feature.image.width,
            "height": feature.image.height,
            "color": feature.image.color,
        }
    if feature.array is not None:
        result |= {"dtype": feature.array.dtype, "shape": list(feature.array.shape)}
    if feature.optional:
        result["optional"] = True
    return result


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


class _Inside:
    """The constants of a program and who uses them."""

    def __init__(self, function: Function, weights: WeightFiles) -> None:
        self._function, self._weights = function, weights
        self._constants = Constants(weights, function.opset)
        self._makers: dict[str, Operation] = {}
        for operation in function.body.walk():
            if _is_constant(operation):
                self._constants.add(operation)
                self._makers |= {made.name: operation for made in operation.outputs}

    def operators(self) -> Counter[str]:
        """How many operations of each type there are; plain constants are not counted."""
        return Counter(o.type for o in self._function.body.walk() if o.type != "const")

    def uses(self) -> Iterator[tuple[Operation, str, Reference]]:
        """Every weight of every operation that runs."""
        for operation in self._function.body.walk():
            if _is_constant(operation):
                continue
            for name, bindings in sorted(operation.inputs.items()):
                for binding in bindings:
                    if isinstance(binding, Reference) and self._is_weight(binding.name):
                        yield operation, name, binding

    def weight(
        self, operation: Operation, name: str, value: Reference, *, measure: bool
    ) -> dict[str, Any]:
        """The facts of one weight."""
        maker = self._makers[value.name]
        declared = next(o.type for o in maker.outputs if o.name == value.name)
        chain = list(self._chain(maker))
        leaves = {id(c): c for link in chain for c in self._leaves(link)}
        return {
            "layer": operation.outputs[0].name if operation.outputs else "",
            "operator": operation.type,
            "input": name,
            "value": value.name,
            "shape": list(declared.shape),
            "dtype": declared.dtype.name if declared.dtype else "",
            "compression": [_KINDS[link.type] for link in chain if link.type in _KINDS],
            "bits": self._bits(chain),
            "elements": declared.size or 0,
            "bytes": sum(_bytes(c) for c in leaves.values()),
            "sparsity": self._sparsity(value) if measure else None,
        }

    def _is_weight(self, name: str) -> bool:
        maker = self._makers.get(name)
        if maker is None:
            return False
        declared = next(o.type for o in maker.outputs if o.name == name)
        if declared.kind != "tensor" or declared.dtype is None or not declared.dtype.torch:
            return False
        return maker.type != "const" or (declared.size or 0) >= _SMALL

    def _chain(self, maker: Operation) -> Iterator[Operation]:
        """The compressions of a weight, from the outermost on, down to what is stored."""
        yield maker
        for binding in _operands(maker, _DATA):
            if isinstance(binding, Reference) and binding.name in self._makers:
                yield from self._chain(self._makers[binding.name])

    def _leaves(self, maker: Operation) -> Iterator[Constant]:
        """The stored constants that a weight is made of."""
        for binding in _operands(maker, None):
            if isinstance(binding, Constant):
                yield binding
            elif binding.name in self._makers:
                yield from self._leaves(self._makers[binding.name])

    def _bits(self, chain: list[Operation]) -> int:
        last = chain[-1]
        if last.type == "constexpr_lut_to_dense" and "lut" in last.attributes:  # iOS16: packed
            return max(((last.attributes["lut"].type.size or 2) - 1).bit_length(), 1)
        stored = next(iter(_operands(last, (*_DATA, "val"))), None)
        if isinstance(stored, Constant) and stored.type.dtype is not None:
            return stored.type.dtype.bits
        return 0

    def _sparsity(self, value: Reference) -> float:
        array = self._constants.get(value, "Array", value.name)
        return round(1.0 - np.count_nonzero(array) / array.size, 6) if array.size else 0.0


def _is_constant(operation: Operation) -> bool:
    return operation.type == "const" or operation.type.startswith("constexpr_")


def _operands(operation: Operation, names: tuple[str, ...] | None) -> Iterator[Binding]:
    """Attributes (iOS16) and inputs (iOS18) of an operation on constants."""
    for name, constant in operation.attributes.items():
        if name != "name" and (names is None or name in names):
            yield constant
    for name, bindings in operation.inputs.items():
        if names is None or name in names:
            yield from bindings


def _bytes(constant: Constant) -> int:
    dtype = constant.type.dtype
    return -(-(constant.type.size or 0) * dtype.bits // 8) if dtype is not None else 0
