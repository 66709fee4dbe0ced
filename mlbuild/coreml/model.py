"""Loading and running models."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .body import PRECISIONS, Body, OperatorUse, Options, open_body
from .description import Description, Feature, describe
from .errors import CoreMLError, ExecutionError, InputError, ModelFileError
from .features import decode_output, encode_inputs
from .guard import Guard
from .images import load_for
from .limits import is_exhaustion
from .package import open_model

_MOST_SHAPES = 1000  # sets of input shapes that are remembered as harmless


@dataclass(frozen=True, slots=True)
class Run:
    """Outputs by name, and the values between that were asked for.

    ``outputs`` are as Core ML gives them, ``values`` are arrays: float32 for all real types.
    """

    outputs: dict[str, Any]
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """What a model that can learn was made from."""

    spec: Any
    folder: Path
    options: Options


@dataclass(frozen=True, slots=True)
class Update:
    """What a training gave.

    Attributes:
        model: The model that has learnt; the one before stays as it was.
        epoch_losses: The mean loss of each epoch; empty for models of neighbours.
        step_losses: The mean loss of each mini-batch, before its step.
    """

    model: Model
    epoch_losses: tuple[float, ...]
    step_losses: tuple[float, ...]
    _spec: Any

    def save(self, path: str | Path) -> None:
        """Write the model that has learnt as an ``.mlmodel``."""
        path = Path(path)
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.write_bytes(self._spec.SerializeToString(deterministic=True))
        unfinished.replace(path)


class Model:
    """A Core ML model, ready to predict. Made by ``load``."""

    def __init__(self, description: Description, body: Body, source: Source | None = None) -> None:
        self.description = description
        self.body = body
        self._seen: set[Any] = set()
        self._source = source

    @property
    def scores_value(self) -> str | None:
        """The name of the value whose elements a classifier's labels belong to, if it is one."""
        return self.body.scores_value

    def predict(self, inputs: Mapping[str, Any], state: Any = None) -> dict[str, Any]:
        """Predict as Core ML does.

        Args:
            inputs: By name: pictures (PIL, path, or array [height, width, channels]) for image
                inputs, anything that numpy takes for multi-arrays.
            state: What ``make_state`` gave; the prediction reads and changes it.

        Returns:
            By name: arrays, PIL pictures, the class label, labels with their probabilities.
        """
        return self.run(inputs, state=state).outputs

    def predict_many(self, batch: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Predict one after the other, as Core ML's batches; an error names the item."""
        results = []
        for number, inputs in enumerate(batch):
            try:
                results.append(self.predict(inputs))
            except CoreMLError as error:
                error.args = (f"item {number} of the batch: {error}",)
                raise
        return results

    def trace(self, inputs: Mapping[str, Any], state: Any = None) -> Run:
        """Predict and hand out every value that is computed on the way (no constants)."""
        return self.run(inputs, keep=self.body.values(), state=state)

    def run(self, inputs: Mapping[str, Any], keep: Collection[str] = (), state: Any = None) -> Run:
        """Predict and hand out the values named in ``keep``."""
        values = encode_inputs(self.description, inputs)
        with _told_as(ExecutionError, "the model cannot be run"), self._guarded(values):
            ran = self.body.run(values, keep, state)
        outputs = {
            f.name: decode_output(f, ran.outputs[f.name])
            for f in self.description.outputs
            if f.name in ran.outputs
        }
        values = {n: v.detach().numpy() if hasattr(v, "numpy") else v for n, v in ran.kept.items()}
        return Run(outputs, values)

    def _guarded(self, values: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """A look at all sizes in the first run for these shapes."""
        shapes = frozenset((name, getattr(v, "shape", ())) for name, v in values.items())
        if shapes in self._seen:
            return nullcontext()
        if len(self._seen) < _MOST_SHAPES:
            self._seen.add(shapes)
        return Guard()

    def make_state(self) -> Any:
        """Fresh state for ``predict``, as Core ML's ``makeState``.

        Raises:
            InputError: The model has no state.
        """
        state = self.body.make_state()
        if state is None:
            raise InputError("the model has no state")
        return state

    def update(
        self,
        batches: Iterable[Any],
        *,
        parameters: Mapping[str, Any] | None = None,
        progress: Callable[[int, int, float], None] | None = None,
    ) -> Update:
        """Train an updatable model as Core ML's MLUpdateTask does, on the device's samples.

        Args:
            batches: Samples by the names of the model's training inputs, or lists of such.
            parameters: Values over the model's defaults, named as in MLParameterKey: epochs,
                miniBatchSize, learningRate, momentum, beta1, beta2, eps, shuffle, seed.
            progress: Called after each mini-batch with its number, their number and its loss.

        Raises:
            InputError: The model is not updatable, or a sample or parameter does not fit it.
            ModelFileError: Core ML would not accept the model for training; tells why.
        """
        from .training.update import learn  # training is for few: its modules are not loaded here

        if self._source is None:
            raise InputError(
                "the model is not updatable",
                hint="coremltools' NeuralNetworkBuilder.make_updatable marks layers for training",
            )
        source = self._source
        learned = learn(
            source.spec, source.folder, source.options, batches, parameters or {}, progress
        )
        return Update(
            load_spec(learned.spec, source.folder, source.options),
            tuple(math.fsum(epoch) / len(epoch) for epoch in learned.losses),
            tuple(loss for epoch in learned.losses for loss in epoch),
            learned.spec,
        )

    def operators(self) -> tuple[OperatorUse, ...]:
        """Every operation but plain constants, in order; nested ones behind their holder."""
        return self.body.operators()

    def image_input(self) -> Feature:
        """The only image input, or an error that says what there is."""
        images = [f for f in self.description.inputs if f.image is not None]
        if len(images) != 1:
            raise InputError(
                "the model has not exactly one image input",
                got=", ".join(f"{f.name}: {f}" for f in self.description.inputs),
            )
        return images[0]

    def load_image(self, path: str | Path, scaling: str = "scaleFill", name: str = "") -> Any:
        """Load a picture in the size and colours of an image input (the only one by default)."""
        named = [f for f in self.description.inputs if f.name == name]
        return load_for(named[0] if named else self.image_input(), path, scaling)


def load(
    path: str | Path | bytes,
    *,
    precision: str = "declared",
    function: str | None = None,
    seed: int | None = None,
) -> Model:
    """Load a model.

    Args:
        path: An ``.mlpackage`` or ``.mlmodel`` of any type, or the bytes of the latter.
        precision: ``declared`` rounds each value to its declared type; ``float32`` rounds none,
            so that the difference shows what float16 costs.
        function: Which function of a multi-function model.
        seed: Where random operators begin; without it each run draws anew, as on a device.

    Raises:
        ModelFileError: The files are missing or malformed.
        UnsupportedError: The model is of a type, or has an operator, that cannot be run.
    """
    if precision not in PRECISIONS:
        raise InputError("unknown precision", got=precision, allowed=PRECISIONS)
    files = open_model(path)
    try:
        return load_spec(files.spec, files.folder, Options(precision, function, seed))
    except CoreMLError as error:
        error.args = (f"{files.path}: {error}",)
        raise


def load_spec(spec: Any, folder: str | Path | None = None, options: Options | None = None) -> Model:
    """Load a specification that was read already; its weight files lie in ``folder``."""
    folder = Path(os.devnull if folder is None else folder)  # no weight file lies in the former
    options = options or Options()
    with _told_as(ModelFileError, "the model is malformed"):
        body = open_body(spec, folder, options)
        source = Source(spec, folder, options) if spec.isUpdatable else None
        return Model(describe(spec, options.function, body.labels), body, source)


@contextmanager
def _told_as(kind: type[CoreMLError], message: str) -> Iterator[None]:
    """The last net: what a file makes happen that no check foresaw is still told as an error."""
    try:
        yield
    except CoreMLError:
        raise
    except Exception as error:
        if is_exhaustion(error):
            raise ExecutionError("there is not enough memory for the model") from error
        text = str(error).split("\n")[0]
        raise kind(message, got=f"{type(error).__name__}: {text}") from error


def top_labels(
    model: Model, outputs: Mapping[str, Any], count: int = 5
) -> list[tuple[str | int, float]]:
    """The best labels of a classifier's prediction with their scores, best first."""
    name = model.description.predicted_probabilities
    scores = outputs.get(name) if name else None
    if not isinstance(scores, dict):
        raise InputError("the model is no classifier with scores", got=", ".join(outputs))
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    return [(label, float(score)) for label, score in ranked[:count]]
