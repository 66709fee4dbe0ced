"""WAV files as mono float32 at one rate, with nothing but the standard library and scipy.

Source: Multimedia Programming Interface and Data Specifications 1.0 (RIFF, WAVE), and Microsoft's
WAVEFORMATEXTENSIBLE.
"""

from __future__ import annotations

import csv
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from ..._shared.problem.problem import Problem

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_WIDTHS = {_PCM: (1, 2, 3, 4), _FLOAT: (4, 8)}


@dataclass(frozen=True)
class Recording:
    """A labelled file; recordings of one group are never on both sides of a split."""

    name: str
    path: Path
    label: str
    group: str | None


def find(source: Path, params: Any) -> list[Recording]:
    """All WAV files: a folder for each label, or a table of paths and labels.

    Raises:
        Problem: there are none, or the table lacks a column.
    """
    found = _listed(source, params) if source.is_file() else _below(source)
    if not found:
        raise Problem(
            f"{source.name} holds no .wav files in folders",
            hint="put the recordings of each label into a folder of its name",
        )
    pattern = re.compile(params.group_pattern) if params.group_pattern else None
    return [
        Recording(name, path, label, _group(pattern, path.name))
        for name, path, label in sorted(found, key=lambda item: item[0])
    ]


def _below(source: Path) -> list[tuple[str, Path, str]]:
    files = (p for p in source.rglob("*") if p.suffix.lower() in (".wav", ".wave"))
    return [
        (p.relative_to(source).as_posix(), p, p.relative_to(source).parts[0])
        for p in files
        if p.parent != source and not p.name.startswith(".")
    ]


def _listed(source: Path, params: Any) -> list[tuple[str, Path, str]]:
    with source.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text, delimiter="\t" if source.suffix == ".tsv" else ",")
        for column in (params.path_column, params.label_column):
            if column not in (reader.fieldnames or ()):
                there = ", ".join(reader.fieldnames or ()) or "nothing"
                raise Problem(f"{source.name} has no column '{column}', it has: {there}")
        rows = [(row[params.path_column], row[params.label_column]) for row in reader]
    return [(name, source.parent / name, label) for name, label in rows]


def _group(pattern: re.Pattern[str] | None, name: str) -> str | None:
    if pattern is None:
        return None
    match = pattern.search(name)
    if match is None:
        raise Problem(
            f"group_pattern: {pattern.pattern!r} does not match {name!r}",
            hint="the part in parentheses names the group, such as the speaker",
        )
    return match.group(1)


def read(path: Path, rate: int) -> np.ndarray:
    """Samples between -1 and 1, the mean of all channels, at a rate.

    Raises:
        ValueError: not a WAV file of plain numbers, or empty.
    """
    own_rate, samples = decode(path.read_bytes())
    mono = samples.mean(axis=1)
    if own_rate != rate:
        common = math.gcd(own_rate, rate)
        mono = resample_poly(mono, rate // common, own_rate // common)
    return mono.astype(np.float32)


def decode(data: bytes) -> tuple[int, np.ndarray]:
    """Rate and samples, float64 [N, channels].

    Raises:
        ValueError: not a WAV file of plain numbers, or empty.
    """
    if data[:4] not in (b"RIFF", b"RF64") or data[8:12] != b"WAVE":
        raise ValueError("no WAV file: it does not begin with RIFF and WAVE")
    form, place = None, 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], struct.unpack_from("<I", data, place + 4)[0]
        body = data[place + 8 : place + 8 + size]
        if name == b"fmt ":
            form = _format(body)
        elif name == b"data":
            if form is None:
                raise ValueError("its samples come before their format")
            return form[2], _samples(body, *form)
        place += 8 + size + size % 2
    raise ValueError("it holds no samples: the file is cut short")


def _format(body: bytes) -> tuple[int, int, int, int]:
    """Kind, channels, rate, bytes of a sample."""
    if len(body) < 16:
        raise ValueError("its format is cut short")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if kind == _EXTENSIBLE and len(body) >= 26:
        kind = struct.unpack_from("<H", body, 24)[0]
    if kind not in _WIDTHS or bits % 8 or bits // 8 not in _WIDTHS[kind]:
        raise ValueError(
            f"its samples are of format {kind} with {bits} bits; "
            "read are PCM of 8, 16, 24, 32 bits and floats of 32 and 64"
        )
    if not channels or not rate:
        raise ValueError(f"it says {channels} channels at {rate} Hz")
    return kind, channels, rate, bits // 8


def _samples(body: bytes, kind: int, channels: int, _rate: int, width: int) -> np.ndarray:
    count = len(body) // (width * channels)
    if not count:
        raise ValueError("it is empty")
    body = body[: count * width * channels]
    if kind == _FLOAT:
        values = np.frombuffer(body, f"<f{width}").astype(np.float64)
    elif width == 1:
        values = (np.frombuffer(body, np.uint8).astype(np.float64) - 128) / 128
    elif width == 3:
        # The three bytes become the upper ones of a 32-bit integer, which keeps the sign.
        padded = np.zeros((count * channels, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        values = padded.reshape(-1).view("<i4").astype(np.float64) / 2**31
    else:
        values = np.frombuffer(body, f"<i{width}").astype(np.float64) / 2 ** (8 * width - 1)
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are no numbers")
    return values.reshape(count, channels)
