"""A torch network on its way to another format, whichever of three formats it lies in.

What it takes and gives is said by itself (a torch model always does, a TorchScript or exported
program where one of our kinds wrote it), or by the stage's parameters.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..description.description import MEMBER, from_text
from ..problem.problem import Problem
from ..torch_model.model_file import Description, is_torch_model, load

_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "int64": torch.int64,
    "int32": torch.int32,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
MODULE, SCRIPT, EXPORTED = "torch model", "TorchScript", "exported program"


@dataclass(frozen=True)
class Given:
    """One input."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    preprocessing: dict[str, Any] | None = None  # of a picture

    @property
    def layout(self) -> str | None:
        return "NCHW" if self.preprocessing else None

    def example(self, generator: torch.Generator, free: Container[int] = ()) -> torch.Tensor:
        """Values as one may meet: normal ones, and zeros where they may be indices."""
        # torch.export takes a size of 1 for fixed.
        shape = [max(size, 2) if axis in free else size for axis, size in enumerate(self.shape)]
        if self.dtype.startswith("float"):
            return torch.randn(shape, generator=generator).to(_DTYPES[self.dtype])
        return torch.zeros(shape, dtype=_DTYPES[self.dtype])


@dataclass(frozen=True)
class Program:
    """A network in eval mode, with everything that the other format shall say of it."""

    net: Any  # called with tensors in the order of ``inputs``
    form: str
    inputs: tuple[Given, ...]
    outputs: tuple[tuple[str, str], ...]  # name, what it gives
    labels: tuple[str, ...] = ()
    task: str = ""
    exported: Any = None  # the ExportedProgram that it was read from

    def examples(self, free: Mapping[str, Container[int]] | None = None) -> tuple[Any, ...]:
        """One set of inputs, always the same.

        Args:
            free: axes that shall be larger than 1, by input.
        """
        generator = torch.Generator().manual_seed(0)
        return tuple(g.example(generator, (free or {}).get(g.name, ())) for g in self.inputs)

    def describe(self, free: dict[str, dict[int, str]] | None = None) -> dict[str, Any]:
        """The text ``mlbuild.description``.

        Args:
            free: axes without a fixed size, by input.
        """
        return {
            "inputs": [
                {
                    "name": g.name,
                    "kind": "image" if g.preprocessing else "tensor",
                    "layout": g.layout,
                    "shape": [
                        None if axis in (free or {}).get(g.name, {}) else size
                        for axis, size in enumerate(g.shape)
                    ],
                    "dtype": g.dtype,
                    "preprocessing": g.preprocessing,
                }
                for g in self.inputs
            ],
            "outputs": [{"name": name, "gives": gives} for name, gives in self.outputs],
            "labels": list(self.labels) or None,
            "task": self.task,
        }


class _Softmax(nn.Module):
    """A network that gives logits, made to give probabilities."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.net(*inputs), dim=-1)


def read(job: Any) -> Program:
    """The job's model, by what the file and the parameters say.

    Raises:
        Problem: the file is of another kind, damaged, not trusted, or says too little.
    """
    path, params = job.inputs["model"], job.params
    program = _torch_model(path, params) if is_torch_model(path) else _program(job, path)
    if params.input_name:
        if len(program.inputs) != 1:
            raise Problem(f"input_name: the model has {len(program.inputs)} inputs")
        program = replace(program, inputs=(replace(program.inputs[0], name=params.input_name),))
    return _returning(program, params)


def _returning(program: Program, params: Any) -> Program:
    """With the outputs that the parameters want."""
    if params.output != "auto":
        program = _scores(program, params.output)
    if params.output_names:
        if len(params.output_names) != len(program.outputs):
            raise Problem(
                f"output_names: {len(params.output_names)} names, "
                f"the model has {len(program.outputs)} outputs"
            )
        named = zip(params.output_names, program.outputs, strict=True)
        program = replace(program, outputs=tuple((name, gives) for name, (_, gives) in named))
    return program


def _scores(program: Program, wanted: str) -> Program:
    gives = program.outputs[0][1] if len(program.outputs) == 1 else ""
    if gives == wanted:
        return program
    if gives == "logits":
        made = ((wanted, wanted),)
        return replace(program, net=_Softmax(program.net).eval(), outputs=made, exported=None)
    if gives == "probabilities":
        raise Problem("output: logits, but the model gives probabilities")
    raise Problem(
        f"output: {wanted}, but the model does not say that it gives scores of classes",
        hint="if it does, say which: gives: logits",
    )


def _torch_model(path: Path, params: Any) -> Program:
    given = [name for name in ("inputs", "gives", "labels") if getattr(params, name)]
    if given:
        raise Problem(f"{given[0]}: this model describes itself", hint=f"leave out {given[0]}")
    model = load(path)
    described = model.description
    if described.states:
        names = ", ".join(state.name for state in described.states)
        raise Problem(
            f"the model keeps {names} between calls, which this format does not",
            hint="convert/coreml makes states of it",
        )
    if described.outputs:
        outputs = tuple((o.name, o.gives) for o in described.outputs)
    else:
        outputs = ((described.output, described.output),)
    return Program(
        net=model.net,
        form=MODULE,
        inputs=_inputs(described),
        outputs=outputs,
        labels=described.labels,
        task=described.task,
    )


def _inputs(described: Description) -> tuple[Given, ...]:
    how = described.preprocessing
    if how is not None:
        return (Given("image", how.shape, "float32", how.to_json()),)
    return tuple(Given(i.name, tuple(i.shape), i.dtype) for i in described.inputs)


def _program(job: Any, path: Path) -> Program:
    """A TorchScript or exported program."""
    form = _form(path)
    if form == EXPORTED and not job.trust("model"):
        raise Problem(
            f"{path.name} is an exported program, which may hold pickled objects",
            hint="if you trust its origin, write the input as {from: ..., trust: true}",
        )
    loaded, text = _load(path, form)
    described = from_text(text, path.name)
    inputs = _said(described) or _listed(job.params, path.name)
    net = loaded.module() if form == EXPORTED else loaded
    program = Program(
        net=net,
        form=form,
        inputs=inputs,
        outputs=(),
        labels=tuple(job.params.labels or described.get("labels") or ()),
        task=described.get("task") or "",
        exported=loaded if form == EXPORTED else None,
    )
    said = tuple((o["name"], o.get("gives") or "") for o in described.get("outputs") or ())
    return replace(program, outputs=_outputs(program, said, job.params.gives, path.name))


def _said(described: dict[str, Any]) -> tuple[Given, ...]:
    return tuple(
        Given(
            name=i["name"],
            shape=tuple(size or 1 for size in i["shape"]),
            dtype=i.get("dtype") or "float32",
            preprocessing=i.get("preprocessing"),
        )
        for i in described.get("inputs") or ()
    )


def _listed(params: Any, name: str) -> tuple[Given, ...]:
    if not params.inputs:
        raise Problem(
            f"{name} does not describe its inputs",
            hint="name them: inputs: {image: {shape: [1, 3, 224, 224]}}",
        )
    return tuple(
        Given(i["name"], tuple(i["shape"]), i.get("dtype") or "float32") for i in params.inputs
    )


def _outputs(
    program: Program, said: tuple[tuple[str, str], ...], gives: str | None, name: str
) -> tuple[tuple[str, str], ...]:
    """Names of what it gives, found by asking it once."""
    try:
        found = outputs_of(program.net, program.examples())
    except Exception as error:  # whatever the program's own code raises
        taken = ", ".join(f"{g.name} {g.dtype}{list(g.shape)}" for g in program.inputs)
        raise Problem(
            f"{name} does not run on {taken}: {str(error).strip().splitlines()[-1]}",
            hint="name its inputs in the order in which it takes them, with their shapes",
        ) from error
    if len(said) == len(found):
        return said
    names = tuple(f"output_{i}" if i else "output" for i in range(len(found)))
    return tuple((n, gives or "" if len(found) == 1 else "") for n in names)


def outputs_of(net: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The network's answer as a flat tuple of tensors.

    Raises:
        Problem: it gives something else.
    """
    with torch.no_grad():
        found = net(*inputs)
    values = tuple(found.values()) if isinstance(found, dict) else found
    values = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    if not all(isinstance(value, torch.Tensor) for value in values):
        raise Problem("the model gives something that is no tensor", hint="return tensors only")
    return values


def _form(path: Path) -> str:
    if path.is_dir():
        raise Problem(f"{path.name} is a folder without model.json: not a torch model")
    if not zipfile.is_zipfile(path):
        raise Problem(
            f"{path.name} is neither a torch model, TorchScript nor an exported program",
            hint="write it with torch.jit.save or torch.export.save",
        )
    with zipfile.ZipFile(path) as archive:
        inside = {name.partition("/")[2] for name in archive.namelist()} | set(archive.namelist())
    if "archive_format" in inside or "serialized_exported_program.json" in inside:
        return EXPORTED
    if "constants.pkl" in inside:
        return SCRIPT
    raise Problem(
        f"{path.name} is a pickled checkpoint: it names no architecture and may run code",
        hint="write it with torch.jit.save or torch.export.save",
    )


def _load(path: Path, form: str) -> tuple[Any, str]:
    extra: dict[str, Any] = {MEMBER: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside torch; the files are still around
            if form == EXPORTED:
                loaded = torch.export.load(str(path), extra_files=extra)
            else:
                loaded = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
    except Exception as error:  # torch has no common class for files that it cannot read
        first = str(error).strip().splitlines()[:1]
        raise Problem(f"{path.name} cannot be read: {''.join(first)}") from error
    text = extra[MEMBER]
    return loaded, text.decode("utf-8", "replace") if isinstance(text, bytes) else text
