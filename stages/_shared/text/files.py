"""A tokenizer as a folder with one JSON file, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..problem.problem import Problem
from .pairs import BYTES, PairTokenizer
from .words import WordTokenizer

FILE = "tokenizer.json"
FORMAT, VERSION = "mlbuild-tokenizer", 1

Tokenizer = WordTokenizer | PairTokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {"format": FORMAT, "version": VERSION, **tokenizer.to_json()}
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def load(path: Path) -> Tokenizer:
    """Read a folder, or its file.

    Raises:
        Problem: it is missing, of a newer version, or damaged.
    """
    file = path / FILE if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"{path.name} holds no readable {FILE}: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise Problem(f"{FILE}: format is not {FORMAT!r}")
    if data.get("version") != VERSION:
        raise Problem(f"{FILE} has version {data.get('version')}, this mlbuild reads {VERSION}")
    return from_json(data)


def from_json(data: dict[str, Any]) -> Tokenizer:
    """What ``to_json`` of a tokenizer gave.

    Raises:
        Problem: it is of an unknown kind, or damaged.
    """
    try:
        if data["kind"] == "words":
            return WordTokenizer(tuple(data["vocabulary"]), data["ngrams"], data["length"])
        if data["kind"] == "pairs":
            merges = tuple((int(left), int(right)) for left, right in data["merges"])
            if any(max(pair) >= BYTES + place for place, pair in enumerate(merges)):
                raise Problem("the tokenizer is damaged: a merge comes before what it merges")
            return PairTokenizer(merges)
    except (KeyError, TypeError, ValueError) as error:
        raise Problem(f"the tokenizer is damaged: {error}") from error
    raise Problem(f"the tokenizer is of kind {data['kind']!r}, known are words and pairs")
