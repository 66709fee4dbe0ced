"""What jax.export serialized: read, asked, with the description that may follow it.

The file is a flatbuffer, which readers take from its beginning: a zip archive behind it, as in
TFLite files, holds ``mlbuild.description``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax import export

from ..description.description import Description, appended
from ..problem.problem import Problem


@dataclass(frozen=True)
class JaxProgram:
    """An exported function of arrays that returns arrays."""

    exported: Any
    description: Description
    inputs: tuple[tuple[str, tuple[int | None, ...], str], ...]  # name, shape, dtype
    outputs: tuple[str, ...]


def read(path: Path) -> JaxProgram:
    """Read a file.

    Raises:
        Problem: it is no such file, or its function takes something else than arrays.
    """
    try:
        exported = export.deserialize(bytearray(path.read_bytes()))
    except Exception as error:  # flatbuffers and jax have a class for each damage
        raise Problem(
            f"{path.name} is nothing that jax.export serialized: {_first(error)}",
            hint="write it with jax.export.export(jax.jit(f))(...).serialize()",
        ) from error
    if "cpu" not in exported.platforms:
        raise Problem(
            f"{path.name} was exported for {', '.join(exported.platforms)}",
            hint='export it with platforms=["cpu"], beside others',
        )
    description = appended(path)
    said = [i["name"] for i in description.get("inputs") or ()]
    names = _names(exported, said, path.name)
    inputs = tuple(
        (name, _shape(aval), str(aval.dtype))
        for name, aval in zip(names, exported.in_avals, strict=True)
    )
    told = [o["name"] for o in description.get("outputs") or ()]
    count = len(exported.out_avals)
    if len(told) != count:
        told = _output_names(exported, count)
    return JaxProgram(exported, description, inputs, tuple(told))


def flat(exported: Any) -> Callable[..., list[Any]]:
    """The function, from arrays in order to a list of arrays."""

    def call(*arrays: Any) -> list[Any]:
        args, kwargs = jax.tree_util.tree_unflatten(exported.in_tree, arrays)
        return jax.tree_util.tree_leaves(exported.call(*args, **kwargs))

    return call


def again(function: Callable[..., Any], named: Sequence[tuple[str, Any]]) -> Any:
    """Export a function whose inputs have names.

    Args:
        function: takes arrays in order.
        named: a name and a ``jax.ShapeDtypeStruct`` for each.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD

    def call(*arrays: Any) -> Any:
        return function(*arrays)

    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name, _ in named]
    )
    return export.export(jax.jit(call), platforms=["cpu"])(*(struct for _, struct in named))


def stablehlo(exported: Any) -> Any:
    """The function as a StableHLO module."""
    from jax._src.interpreters import mlir  # there is no public door to a context with all dialects
    from jax._src.lib.mlir import ir

    return ir.Module.parse(exported.mlir_module(), context=mlir.make_ir_context())


def _names(exported: Any, said: Sequence[str], file: str) -> list[str]:
    count = len(exported.in_avals)
    if said:
        if len(said) != count:
            raise Problem(f"{file}: its description names {len(said)} inputs, it takes {count}")
        return list(said)
    indices = list(range(count))
    args, kwargs = jax.tree_util.tree_unflatten(exported.in_tree, indices)
    if list(args) == indices[: len(args)] and list(kwargs.values()) == indices[len(args) :]:
        return [f"input_{i}" if i else "input" for i in range(len(args))] + list(kwargs)
    # Lists and maps of arrays: the path to each is its name.
    paths = jax.tree_util.tree_leaves_with_path((args, kwargs))
    return ["_".join(str(getattr(k, "key", getattr(k, "idx", k))) for k in p[1:]) for p, _ in paths]


def _output_names(exported: Any, count: int) -> list[str]:
    found = jax.tree_util.tree_unflatten(exported.out_tree, range(count))
    if isinstance(found, dict) and list(found.values()) == list(range(count)):
        return [str(name) for name in found]
    return [f"output_{i}" if i else "output" for i in range(count)]


def _shape(aval: Any) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in aval.shape)


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
