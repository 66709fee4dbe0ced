"""A torch module as reference: every tensor operation of its forward pass is recorded.

Operations are noted where torch dispatches them, below modules and functions, so that traced and
exported programs and plain modules are all seen alike. Operations that torch itself can express
in simpler ones (normalization, activations) are also recorded piece by piece, since a converter
may write them so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import InputError
from .recording import Recorded, Recording, Sample, real

Prepare = Callable[[Sample], Sequence[torch.Tensor] | torch.Tensor]

# What is worth seeing in pieces; everything else is one step in any converter.
_TAKEN_APART = (
    "native_layer_norm", "native_group_norm", "_native_batch_norm_legit_no_training",
    "native_batch_norm", "gelu", "silu", "hardswish", "hardsigmoid", "hardtanh", "mish",
    "softplus", "elu", "leaky_relu", "_softmax", "_log_softmax", "addmm", "baddbmm", "addcmul",
    "addcdiv", "var", "std", "logsumexp", "rsub", "glu", "prelu", "celu", "selu",
)  # fmt: skip


class TorchReference:
    """Records what a torch module computes.

    Args:
        module: Anything that can be called on tensors: a module, a traced or exported program.
        prepare: From a sample (by the candidate's input names) to the module's arguments; by
            default the sample's arrays in their order, reals as float32. Where the candidate
            takes pictures this is the place of the scaling that it has inside.
        labels: A classifier's labels in the order of its outputs.
        output_names: Names of the outputs, if the candidate's are called so.
    """

    def __init__(
        self,
        module: Callable[..., Any],
        prepare: Prepare | None = None,
        labels: Iterable[str] = (),
        output_names: Sequence[str] = (),
    ) -> None:
        self._module, self._prepare = module, prepare or arrays_in_order
        self._labels, self._names = tuple(str(label) for label in labels), tuple(output_names)
        self._computed: dict[str, torch.Tensor] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """As given."""
        return self._labels

    def record(self, sample: Sample) -> Recording:
        """One forward pass in evaluation mode."""
        given = self._prepare(sample)
        arguments = [given] if isinstance(given, torch.Tensor) else list(given)
        recorder = _Recorder()
        recorder.pictures(sample)
        for number, argument in enumerate(arguments):
            recorder.given(f"input {number}", argument)
        with torch.no_grad(), _plainly(self._module), _scopes(self._module, recorder), recorder:
            outputs = _answer(self._module, arguments)
        self._computed = recorder.constants
        flat = list(_tensors(outputs))
        names = self._names if len(self._names) == len(flat) else _output_names(outputs, flat)
        places = [(n, recorder.place(t)) for n, t in zip(names, flat, strict=True)]
        return Recording(
            tuple(recorder.frozen()), tuple((n, p) for n, p in places if p is not None)
        )

    def weights(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers, and what the last run computed from them alone."""
        state: dict[str, Any] = getattr(self._module, "state_dict", dict)()
        found = {n: real(v) for n, v in state.items() if isinstance(v, torch.Tensor)}
        return {**found, **self._computed}


def arrays_in_order(sample: Sample) -> list[torch.Tensor]:
    """A sample's arrays as tensors, in the order in which it names them."""
    return [real(torch.as_tensor(value)) for value in sample.values()]


def _answer(module: Callable[..., Any], arguments: list[torch.Tensor]) -> Any:
    try:
        return module(*arguments)
    except Exception as error:  # anything that a module's code may raise
        # A traced module tells its own traceback first, what went wrong in the last line.
        text = str(error).strip().split("\n")
        told = text[-1] if isinstance(error, torch.jit.Error) else text[0]
        shapes = ", ".join(str(list(argument.shape)) for argument in arguments)
        raise InputError(
            f"the reference fails on a sample: {told or type(error).__name__}", got=shapes
        ) from error


class _Recorder(TorchDispatchMode):  # type: ignore[misc]  # the engine's mypy sees no torch
    """Sees each operation; keeps what depends on an input."""

    def __init__(self) -> None:
        super().__init__()
        self.scope: list[str] = []
        self.constants: dict[str, torch.Tensor] = {}
        self._values: list[Recorded] = []
        self._places: dict[int, int] = {}
        self._alive: list[torch.Tensor] = []  # an id is a name only while its tensor lives
        self._stored: dict[int, list[int]] = {}
        self._inside = 0

    def given(self, name: str, tensor: torch.Tensor) -> None:
        """Note an input."""
        self._note(name, "input", tensor, ())

    def pictures(self, sample: Sample) -> None:
        """Arrays that a sample holds are values too, as they are before any preparation."""
        for name, value in sample.items():
            if hasattr(value, "shape") and not isinstance(value, torch.Tensor):
                self._note(f"sample {name}", "input", torch.as_tensor(value), ())

    def place(self, tensor: torch.Tensor) -> int | None:
        """Where a tensor stands in the recording."""
        return self._places.get(id(tensor))

    def frozen(self) -> list[Recorded]:
        """The values, reals in float32."""
        return [replace(v, value=real(v.value)) for v in self._values]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        taken = list(_tensors((args, kwargs)))
        if func._schema.is_mutable:
            self._save_before(func, args)
        result = func(*args, **kwargs)
        sources = tuple(sorted({self._places[id(t)] for t in taken if id(t) in self._places}))
        kind = func._schema.name.split("::")[-1].rstrip("_")
        made = list(_tensors(result))
        if sources:
            for number, tensor in enumerate(made):
                end = f".{number}" if len(made) > 1 else ""
                self._note(f"{len(self._values)}{end}", kind, tensor, sources)
            self._take_apart(func, kind, args, kwargs)
        else:
            for tensor in made:
                self._keep_constant(kind, tensor)
        return result

    def _note(self, name: str, kind: str, tensor: torch.Tensor, sources: tuple[int, ...]) -> None:
        place = len(self._values)
        self._values.append(
            Recorded(
                name,
                kind,
                self.scope[-1] if self.scope else "",
                tensor.detach(),
                sources,
                self._inside > 0,
            )
        )
        self._places[id(tensor)] = place
        self._alive.append(tensor)
        self._stored.setdefault(tensor.untyped_storage().data_ptr(), []).append(place)

    def _keep_constant(self, kind: str, tensor: torch.Tensor) -> None:
        if tensor.is_floating_point() and tensor.numel() > 1 and not self._inside:
            self.constants[f"{kind} {len(self.constants)}"] = real(tensor).clone()

    def _save_before(self, func: Any, args: Any) -> None:
        """What an operation writes over was a value: keep a copy of it as it was."""
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.is_write and isinstance(value, torch.Tensor):
                for place in self._stored.pop(value.untyped_storage().data_ptr(), ()):
                    old = self._values[place]
                    self._values[place] = replace(old, value=old.value.clone())

    def _take_apart(self, func: Any, kind: str, args: Any, kwargs: Any) -> None:
        from torch._decomp import decomposition_table  # slow to import, needed while recording

        if kind not in _TAKEN_APART or func not in decomposition_table or self._inside > 1:
            return
        if func._schema.is_mutable:
            return
        self._inside += 1
        try:
            with self:
                decomposition_table[func](*args, **kwargs)
        except (RuntimeError, TypeError, NotImplementedError):
            pass  # the pieces are a help, the whole is recorded already
        finally:
            self._inside -= 1


@contextmanager
def _plainly(module: Any) -> Iterator[None]:
    """In evaluation mode, attention in the steps that its definition has."""
    training = getattr(module, "training", False)
    fast = torch.backends.mha.get_fastpath_enabled()
    if training:
        try:
            module.eval()
        except NotImplementedError:  # an exported program: its mode is part of it
            training = False
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        if training:
            module.train()


@contextmanager
def _scopes(module: Any, recorder: _Recorder) -> Iterator[None]:
    """Tell the recorder in which submodule an operation stands."""
    if not isinstance(module, torch.nn.Module):
        yield
        return
    hooks: list[Any] = []
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            continue  # they take no hooks while they run as one
        label = f"{path} ({type(part).__name__})" if path else type(part).__name__
        hooks.append(part.register_forward_pre_hook(_entering(recorder, label)))
        hooks.append(part.register_forward_hook(_leaving(recorder)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _entering(recorder: _Recorder, label: str) -> Callable[..., None]:
    def enter(*_: Any) -> None:
        recorder.scope.append(label)

    return enter


def _leaving(recorder: _Recorder) -> Callable[..., None]:
    def leave(*_: Any) -> None:
        recorder.scope.pop()

    return leave


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for item in tree.values():
            yield from _tensors(item)
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from _tensors(item)


def _output_names(outputs: Any, flat: list[torch.Tensor]) -> list[str]:
    if isinstance(outputs, Mapping) and len(outputs) == len(flat):
        return [str(name) for name in outputs]
    return [""] * len(flat)
