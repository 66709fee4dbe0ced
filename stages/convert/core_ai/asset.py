"""A written asset: made canonical, read back, checked."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from ..._shared.problem.problem import Problem
from ..._shared.torch_program.program import Program

_PROGRAM, _DIGEST, _METADATA = "main.mlirb", "main.hash", "metadata.json"
# "NDArray (Float32, 1 \u00d7 3)": a type and sizes.
_TYPE = re.compile(r"NDArray \((\w+), ([^)]*)\)")
_DTYPES = {
    "Float32": "float32",
    "Float16": "float16",
    "Int64": "int64",
    "Int32": "int32",
    "UInt8": "uint8",
    "Bool": "bool",
}


_RESOURCE = re.compile(r"\bresource_\d+\b")


def settled(program: Any) -> Any:
    """The same program with its blobs of weights named by their order.

    MLIR names them by a hash that is another in each process, which a program's text shows.
    """
    module = program._module._mlir_module
    text = module.operation.get_asm(enable_debug_info=True)
    names = {name: f"weights_{i}" for i, name in enumerate(dict.fromkeys(_RESOURCE.findall(text)))}
    if not names:
        return program
    with module.context:
        plain = type(module).parse(_RESOURCE.sub(lambda found: names[found[0]], text))
    return type(program)._from_mlir_module(plain)


def settle(folder: Path) -> None:
    """Metadata in one order, without the date of writing."""
    file = folder / _METADATA
    metadata = json.loads(file.read_text(encoding="utf-8"))
    metadata.pop("creationDate", None)
    text = json.dumps(metadata, indent=2, sort_keys=True, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def facts(folder: Path) -> dict[str, Any]:
    """What an asset holds, by Core AI's own reader.

    Raises:
        Problem: a file is missing or damaged.
    """
    from coreai.authoring import AIModelAsset  # heavy

    digests = {p.name: _sha256(p) for p in sorted(folder.iterdir())}
    lacking = [name for name in (_PROGRAM, _DIGEST, _METADATA) if name not in digests]
    if lacking:
        raise Problem(f"the asset lacks {lacking[0]}")
    if (folder / _DIGEST).read_bytes().hex() != digests[_PROGRAM]:
        raise Problem(f"{_DIGEST} is not the digest of {_PROGRAM}")
    try:
        summary = AIModelAsset.load(folder).summary(include_statistics=True)
        (name,) = summary.function_names
        inputs, outputs = summary.function_inputs(name), summary.function_outputs(name)
        operators = dict(summary.operation_distribution)
    except Exception as error:  # what its native reader raises
        raise Problem(f"the asset cannot be read back: {error}") from error
    return {
        "function": name,
        "inputs": [_feature(*given) for given in inputs],
        "outputs": [_feature(*given) for given in outputs],
        "operators": {k: v for k, v in sorted(operators.items()) if k != "constant"},
        "files": digests,
        "needs": "OS 27",
    }


def check(found: dict[str, Any], program: Program) -> None:
    """Compare the asset with what was asked for.

    Raises:
        Problem: the converter made something else.
    """
    asked = [{"name": g.name, "dtype": g.dtype, "shape": list(g.shape)} for g in program.inputs]
    if found["inputs"] != asked:
        raise Problem(f"the asset takes {_told(found['inputs'])}, asked was {_told(asked)}")
    names = [name for name, _ in program.outputs]
    if [o["name"] for o in found["outputs"]] != names:
        raise Problem(f"the asset gives {_told(found['outputs'])}, asked was {', '.join(names)}")


def _feature(name: str, text: str) -> dict[str, Any]:
    held = _TYPE.fullmatch(text)
    if held is None:
        return {"name": name, "dtype": text, "shape": None}
    sizes = [int(size) for size in re.findall(r"\d+", held[2])]
    return {"name": name, "dtype": _DTYPES.get(held[1], held[1]), "shape": sizes}


def _told(features: list[dict[str, Any]]) -> str:
    return ", ".join(f"{f['name']} {f['dtype']}{f['shape']}" for f in features)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
