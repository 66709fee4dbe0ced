"""Recordings as windows of one length, and random changes of windows while training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..._shared.problem.problem import Problem
from ..._shared.sequence_training.rows import Rows, fingerprints, indices, starts
from .waves import Recording, find, read

_SHOWN = 5  # names in a message


@dataclass
class Windows:
    """All windows of a set of recordings."""

    rows: Rows
    recording: np.ndarray  # [N]: which of ``names`` a window is of
    names: list[str]
    seconds: float
    unreadable: list[str] = field(default_factory=list)


def load(job: Any, role: str, labels: tuple[str, ...] | None) -> tuple[Windows, tuple[str, ...]]:
    """Read an input, cut it into windows.

    Args:
        job: the stage's.
        role: of the input.
        labels: those that were learnt; None: all that occur.

    Raises:
        Problem: nothing can be read, or a label is unknown.
    """
    params = job.params
    found, unreadable = [], []
    recordings = find(job.inputs[role], params)
    for done, recording in enumerate(recordings, 1):
        try:
            found.append((recording, read(recording.path, params.sample_rate)))
        except (OSError, ValueError) as error:
            if params.unreadable == "fail":
                raise Problem(
                    f"{recording.name} cannot be read: {error}",
                    hint="repair or remove it, or set `unreadable: skip`",
                ) from error
            unreadable.append(recording.name)
        if done % 50 == 0 or done == len(recordings):
            job.progress(done, len(recordings), f"reading {role}")
    if unreadable:
        told = ", ".join(unreadable[:_SHOWN]) + (", ..." if len(unreadable) > _SHOWN else "")
        job.log(f"left out, because they cannot be read: {told}")
    if not found:
        raise Problem(f"{role}: none of {len(recordings)} files can be read")
    labels = labels or tuple(sorted({recording.label for recording, _ in found}))
    return _cut(found, labels, params, role, unreadable), labels


def _cut(
    found: list[tuple[Recording, np.ndarray]],
    labels: tuple[str, ...],
    params: Any,
    role: str,
    unreadable: list[str],
) -> Windows:
    size = window_size(params)
    pieces = [cut(samples, size, params.overlap) for _, samples in found]
    owner = np.repeat(np.arange(len(found)), [len(piece) for piece in pieces])
    truth = indices([recording.label for recording, _ in found], labels, role)
    # The same recording under two names is one group, and so are all of one speaker.
    contents = fingerprints([np.concatenate(pieces)], owner)
    groups = [
        recording.group or contents[np.flatnonzero(owner == place)[0]]
        for place, (recording, _) in enumerate(found)
    ]
    names = [recording.name for recording, _ in found]
    counts = [np.count_nonzero(owner[:place] == which) for place, which in enumerate(owner)]
    rows = Rows(
        inputs=(np.concatenate(pieces),),
        truth=truth[owner],
        groups=tuple(groups[place] for place in owner),
        names=tuple(f"{names[p]}#{n}" for p, n in zip(owner, counts, strict=True)),
    )
    seconds = sum(len(samples) for _, samples in found) / params.sample_rate
    return Windows(rows, owner, names, seconds, unreadable)


def window_size(params: Any) -> int:
    """Samples of a window."""
    return round(params.window_seconds * params.sample_rate)


def cut(samples: np.ndarray, size: int, overlap: float) -> np.ndarray:
    """Windows of a recording, float32 [n, size]; the last one is filled with silence.

    A rest shorter than half a window is left out, unless there is nothing else.
    """
    step = max(1, round(size * (1 - overlap)))
    begins = starts(len(samples), size, step)
    windows = np.zeros((len(begins), size), np.float32)
    for row, start in enumerate(begins):
        piece = samples[start : start + size]
        windows[row, : len(piece)] = piece
    return windows


def changes(params: Any) -> Any:
    """Random shifts, loudness and noise, as ``augment`` says; None for none."""
    how = params.augment
    if not (how["shift"] or how["gain_db"] or how["noise"]):
        return None

    def change(
        batch: tuple[torch.Tensor, ...], generator: torch.Generator
    ) -> tuple[torch.Tensor, ...]:
        (audio,) = batch
        count, size = audio.shape

        def random() -> torch.Tensor:
            return torch.rand(count, 1, generator=generator)

        if how["shift"]:
            most = int(how["shift"] * size)
            moved = torch.randint(-most, most + 1, (count, 1), generator=generator)
            places = torch.arange(size)[None, :] - moved
            inside = (places >= 0) & (places < size)
            audio = audio.gather(1, places.clamp(0, size - 1)) * inside
        if how["gain_db"]:
            audio = audio * 10 ** ((random() * 2 - 1) * how["gain_db"] / 20)
        if how["noise"]:
            loud = audio.abs().amax(dim=1, keepdim=True) * random() * how["noise"]
            audio = audio + loud * torch.randn(count, size, generator=generator)
        return (audio,)

    return change


def by_recording(values: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over each recording's windows, [R, K], and which recordings those are."""
    there = np.unique(owner)
    means = np.stack([values[owner == place].mean(axis=0) for place in there])
    return means, there
