"""The course that all compressing kinds share: read, choose, compress, write, read back, report."""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..coreml_package.canonical import PackageError, save, size_of
from ..digests.tree import model_sha256
from . import report
from .inner import open_program
from .plan import Choice, Obstacle, OverrideError, choose
from .weights import IOS15, IOS18, TARGETS, ModelError, Weight, WeightFileError, read_weights

_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Method:
    """What one kind adds to the course."""

    kind: str
    defaults: Mapping[str, Any]
    obstacle: Obstacle
    run: Callable[[Any, Sequence[Choice]], Any]  # (MLModel, choices) -> MLModel
    check: Callable[[Choice, Weight], str | None]  # what the result lacks, if anything
    ios18: Callable[[Mapping[str, Any]], str | None]  # an option in use that iOS18 brought


def compress(job: Any, method: Method) -> list[dict[str, Any]]:
    """Compress ``job.inputs["model"]`` into its outputs.

    Returns:
        The rows of the report, for the kind's own metrics.
    """
    source = job.inputs["model"]
    job.progress(0, 3, "reading weights")
    version, weights = _read(job, source)
    _guard_target(job, version)
    choices = _choose(job, method, weights)
    _guard_options(job, method, choices, version)
    job.progress(1, 3, f"compressing {sum(c.options is not None for c in choices)} weights")
    compressed, choices = _run(job, source, method, choices)
    job.progress(2, 3, "checking what was reached")
    layers = _publish(job, method, source, choices, compressed)
    job.progress(3, 3, "done")
    return layers


def _read(job: Any, package: Path) -> tuple[int, list[Weight]]:
    try:
        version, weights = read_weights(package)
    except (ModelError, WeightFileError, PackageError) as error:
        job.fail(f"the model cannot be compressed: {error}")
    if not weights:
        job.fail("the model has no weights in its weight file: there is nothing to compress")
    return version, weights


def _guard_target(job: Any, version: int) -> None:
    """An iOS15 model would be raised to iOS16 without a word: it is said here, or refused."""
    if version > IOS15:
        return
    if not job.params.raise_target:
        target = TARGETS.get(version, f"older (specification {version})")
        job.fail(
            f"compressed weights need iOS16 and the model's target is {target}",
            hint="convert it with `target: iOS16`, or give up iOS15 by `raise_target: true`",
        )
    job.log("the compressed model needs iOS16 (specification 7), the original ran on iOS15")


def _guard_options(job: Any, method: Method, choices: Sequence[Choice], version: int) -> None:
    if version >= IOS18:
        return
    for choice in choices:
        option = method.ios18(choice.options) if choice.options is not None else None
        if option:
            job.fail(
                f"`{option}` needs iOS18 and the model's target is {TARGETS.get(version, version)} "
                f"(weight {choice.weight.name})",
                hint="convert the model with `target: iOS18`",
            )


def _choose(job: Any, method: Method, weights: Sequence[Weight]) -> list[Choice]:
    try:
        choices = choose(weights, method.defaults, job.params.overrides or [], method.obstacle)
    except OverrideError as error:
        job.fail(str(error), hint=error.hint)
    _some(job, choices)
    return choices


def _run(
    job: Any, source: Path, method: Method, choices: Sequence[Choice]
) -> tuple[Any, list[Choice]]:
    with _listening() as warnings:
        model, put_back = open_program(source)
        try:
            compressed = method.run(model, [c for c in choices if c.options is not None])
        except (ValueError, NotImplementedError) as error:
            job.fail(f"coremltools refuses: {error}")
    followed = [_told(choice, warnings) for choice in choices]
    _some(job, followed)
    return put_back(compressed), followed


def _some(job: Any, choices: Sequence[Choice]) -> None:
    if all(choice.options is None for choice in choices):
        layers = [c for c in choices if len(c.weight.shape) > 1] or choices
        reasons = sorted({choice.skipped for choice in layers if choice.skipped})
        job.fail("no weight would be compressed: " + "; ".join(reasons[:_SHOWN]))


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    """Collects coremltools' warnings, which tell skipped weights, and mutes its progress bars."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("coremltools")
    logger.addHandler(handler)
    propagate, others, logger.propagate = logger.propagate, logger.handlers[:-1], False
    level = logger.level
    logger.setLevel(logging.WARNING)  # whoever muted it, these warnings are read, not shown
    for other in others:
        logger.removeHandler(other)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
        logger.setLevel(level)
        for other in others:
            logger.addHandler(other)


def _told(choice: Choice, warnings: Sequence[str]) -> Choice:
    """A choice that coremltools did not follow and said so becomes a skipped one."""
    if choice.options is None:
        return choice
    name = choice.weight.name
    named = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
    for place, message in enumerate(warnings):
        if named.search(message) and re.search(
            r"skip|not supported|cannot", message, re.IGNORECASE
        ):
            if place and re.search("Can't perform|has sparsity of", warnings[place - 1]):
                message = warnings[place - 1]  # the detail comes first, without a name
            reason = " ".join(message.replace(name, "it").replace("Skipped this op.", "").split())
            return replace(choice, options=None, skipped=f"coremltools: {reason}")
    return choice


def _publish(
    job: Any, method: Method, source: Path, choices: Sequence[Choice], compressed: Any
) -> list[dict[str, Any]]:
    target = save(compressed, job.outputs["model"])
    version, after = _read(job, target)
    wrong = _shortfalls(method, choices, after)
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        job.fail("the result is not what was asked: " + "; ".join(wrong[:_SHOWN]) + more)
    layers = report.rows(choices, after)
    sums = report.totals(layers, size_of(source), size_of(target))
    sums["target"] = TARGETS.get(version, f"specification {version}")
    sums["model_sha256"] = model_sha256(target)
    report.write(job.outputs["report"], method.kind, layers, sums)
    for name in ("size_mb", "size_before_mb", "ratio", "bits_mean", "compressed", "skipped"):
        job.metric(name, sums[name])
    _log_skipped(job, choices)
    return layers


def _shortfalls(method: Method, choices: Sequence[Choice], after: Sequence[Weight]) -> list[str]:
    found = {weight.use: weight for weight in after}
    wrong = []
    for choice in choices:
        reached = found.get(choice.weight.use)
        if reached is None:
            wrong.append(f"{choice.weight.name} is missing")
        elif choice.options is None and reached.stored != choice.weight.stored:
            wrong.append(f"{choice.weight.name} was to be left alone and is now {reached.stored}")
        elif choice.options is not None:
            lacking = method.check(choice, reached)
            if lacking:
                wrong.append(f"{choice.weight.name}: {lacking}")
    return wrong


def _log_skipped(job: Any, choices: Sequence[Choice]) -> None:
    """One line for each sort of reason; the report has them all."""
    sorts: dict[str, list[Choice]] = {}
    for choice in choices:
        if choice.skipped:
            sorts.setdefault(re.sub(r"[\d.]+", "", choice.skipped), []).append(choice)
    for _, alike in sorted(sorts.items()):
        names = ", ".join(choice.weight.name for choice in alike[:_SHOWN])
        more = ", ..." if len(alike) > _SHOWN else ""
        job.log(f"{len(alike)} weights stay as they are ({alike[0].skipped}): {names}{more}")


def common_obstacle(weight: Weight, options: Mapping[str, Any], joint: bool) -> str | None:
    """Why no method takes this weight, if so."""
    if len(weight.shape) <= 1:
        return "one dimension only"
    if weight.elements <= options["weight_threshold"]:
        return f"not above weight_threshold ({options['weight_threshold']} elements)"
    compressed = weight.stored not in ("float16", "float32")
    if compressed and not weight.stored.startswith(("sparse", "palette", "linear")):
        return f"stored as {weight.stored}, not as floats"
    if compressed and not joint:
        return f"already compressed ({weight.stored}); `joint: true` compresses further"
    if joint and not compressed:
        return "not compressed before, and `joint: true` takes only those that are"
    return None


__all__ = ["Method", "common_obstacle", "compress"]
