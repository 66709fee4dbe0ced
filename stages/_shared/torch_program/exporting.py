"""From a program to an ExportedProgram, which the exporters of other formats read."""

from __future__ import annotations

import inspect
import traceback
import warnings
from typing import Any

import torch

from ..problem.problem import Problem
from .program import SCRIPT, Program, outputs_of


def exported(program: Program, log: Any, free: dict[str, dict[int, str]] | None = None) -> Any:
    """The program as torch.export sees it.

    Args:
        program: what was read.
        log: takes a line of text.
        free: axes without a fixed size, by input: ``{"image": {0: "N"}}``.

    Raises:
        Problem: torch.export cannot follow it.
    """
    if program.exported is not None and not free:
        return program.exported
    examples = program.examples(free)
    if program.form == SCRIPT and free:
        raise Problem(
            "axes of a TorchScript cannot be set free: it was traced for fixed sizes",
            hint="export the network itself, with torch.export or as a torch model",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations inside torch
            if program.form == SCRIPT:
                return _of_script(program.net, examples)
            shapes = _dynamic(program, free) if free else None
            return torch.export.export(program.net, examples, dynamic_shapes=shapes)
    except Exception as error:  # torch.export raises whatever the network's code leads to
        log(traceback.format_exc())
        if free and "marked" in str(error):
            names = ", ".join(sorted({n for axes in free.values() for n in axes.values()}))
            raise Problem(
                f"dynamic: the network fixes the size of an axis that shall be free: {names}",
                hint="leave that axis out; the log says where the network does so",
            ) from error
        raise refused("torch.export cannot follow this network", error) from error


def refused(what: str, error: BaseException) -> Problem:
    """An exporter's error as one line; the log has the rest."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines)[:400] or type(error).__name__
    return Problem(f"{what}: {text}", hint="the whole traceback is in the stage's log")


def check_free(program: Program, free: dict[str, dict[int, str]]) -> None:
    """Refuse axes that are not there.

    Raises:
        Problem: an input or an axis is unknown.
    """
    sizes = {given.name: len(given.shape) for given in program.inputs}
    for name, axes in free.items():
        if name not in sizes:
            raise Problem(f"dynamic: the model has no input '{name}', it has {', '.join(sizes)}")
        wrong = [axis for axis in axes if axis >= sizes[name]]
        if wrong:
            raise Problem(f"dynamic: {name} has {sizes[name]} axes, {wrong[0]} is none of them")


def difference(program: Program, found: tuple[torch.Tensor, ...]) -> float:
    """How far another runtime's answer to the program's examples is from torch's own.

    Returns:
        The largest difference as a share of the greatest absolute value.

    Raises:
        Problem: the number or the shapes of outputs differ.
    """
    wanted = outputs_of(program.net, program.examples())
    if [tuple(w.shape) for w in wanted] != [tuple(f.shape) for f in found]:
        ours, theirs = (", ".join(str(list(t.shape)) for t in side) for side in (wanted, found))
        raise Problem(f"the written model gives {theirs}, the network gives {ours}")
    worst = 0.0
    for ours, theirs in zip(wanted, found, strict=True):
        off = (ours.double() - theirs.double()).abs().max() if ours.numel() else 0.0
        worst = max(worst, float(off) / max(float(ours.double().abs().max()), 1e-6))
    return worst


def _dynamic(program: Program, free: dict[str, dict[int, str]]) -> tuple[Any, ...]:
    # The same name is the same size, wherever it stands.
    named = {name: torch.export.Dim(name) for axes in free.values() for name in axes.values()}
    shapes = tuple(
        {axis: named[name] for axis, name in free.get(given.name, {}).items()}
        for given in program.inputs
    )
    taken = inspect.signature(program.net.forward).parameters.values()
    # Of forward(*inputs), all together are one argument.
    return (shapes,) if any(p.kind is p.VAR_POSITIONAL for p in taken) else shapes


def _of_script(net: Any, examples: tuple[torch.Tensor, ...]) -> Any:
    from torch._export.converter import TS2EPConverter  # only this format needs it

    # What was put behind a TorchScript is Python: traced once more, it is one again.
    script = net if isinstance(net, torch.jit.ScriptModule) else torch.jit.trace(net, examples)
    found = TS2EPConverter(script, examples).convert()
    # That one leaves sizes open which the trace has fixed.
    return torch.export.export(found.module(), examples)
