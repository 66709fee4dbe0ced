"""What was seen of data: its form, why one thinks so, and the facts that a pipeline needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Form(Enum):
    """How data lie; the value is how it is called to people."""

    PICTURES = "a folder of pictures for each class"
    FLAT_PICTURES = "pictures without classes"
    ANNOTATED = "pictures with boxes"
    MASKS = "pictures with masks"
    SOUNDS = "a folder of WAV files for each label"
    TEXTS = "a folder of text files for each label"
    TABLES = "a folder of tables for each label"
    TEXT_TABLE = "a table with a column of texts"
    SESSION_TABLE = "a table of recordings"
    TABLE = "a table"
    PIXELS = "rows or arrays of pixels"
    SESSIONS = "arrays of recordings"
    ARRAYS = "arrays"
    STROKES = "drawings as strokes"
    TEXT = "plain text"


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at a path."""

    path: Path
    form: Form
    why: str  # a sentence's second half: "25 folders with 175 pictures"
    facts: Mapping[str, str | bool] = field(default_factory=dict)  # for templates
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what could be chosen


# Of fewer, a fifth is too little for an interval that lies above guessing.
FEW = 75
