"""A text as tokens: what is learnt and what is asked."""

from __future__ import annotations

import bz2
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.tables.sheet import read_sheet
from ..._shared.tables.table import require
from ..._shared.text.files import load as load_tokenizer
from ..._shared.text.pairs import PairTokenizer, learn_pairs

_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.bz2", ".tsv.bz2")


@dataclass(frozen=True)
class Corpus:
    """Tokens of both parts; texts are parted by the tokenizer's end."""

    tokenizer: PairTokenizer
    learn: np.ndarray  # int64
    ask: np.ndarray  # int64
    ask_bytes: int  # of the part that is asked
    texts: int


def read(job: Any) -> Corpus:
    """Read all texts, learn the tokenizer from what is learnt.

    Raises:
        Problem: there is too little text, or it cannot be read.
    """
    params = job.params
    texts = _texts(job.inputs["text"], params)
    if "test" in job.inputs:
        learn, ask = texts, _texts(job.inputs["test"], params)
    else:
        learn, ask = _parted(texts, params.holdout)
    tokenizer = _tokenizer(job, learn)
    learnt, asked = (_encoded(part, tokenizer) for part in (learn, ask))
    for what, ids in (("learn", learnt), ("judge", asked)):
        if len(ids) < params.context + 1:
            raise Problem(
                f"there are {len(ids)} tokens to {what}, fewer than one context, {params.context}",
                hint="give more text, or set a shorter context",
            )
    size = sum(len(text.encode("utf-8")) for text in ask)
    return Corpus(tokenizer, learnt, asked, size, len(texts))


def _texts(source: Path, params: Any) -> list[str]:
    if source.is_file():
        files = [source]
    else:
        files = sorted(p for p in source.rglob("*") if p.is_file() and not p.name.startswith("."))
    found: list[str] = []
    for file in files:
        if file.name.lower().endswith(_TABLES):
            sheet = read_sheet(file)
            require(sheet, params.text_column)
            found += [str(cell) for cell in sheet.columns[params.text_column] if cell]
        else:
            found.append(_plain(file))
    found = [text for text in found if text.strip()]
    if not found:
        raise Problem(f"{source.name} holds no text")
    return found


def _plain(file: Path) -> str:
    data = file.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data[:3] == b"BZh":
            data = bz2.decompress(data)
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, EOFError, ValueError) as error:
        raise Problem(f"{file.name} is no text in UTF-8: {error}") from error


def _parted(texts: list[str], share: float) -> tuple[list[str], list[str]]:
    """The end is asked: of one text its last part, of many the last ones."""
    if len(texts) == 1:
        (text,) = texts
        cut = round(len(text) * (1 - share))
        # Not within a line, where there is a line end to be found near it.
        line = text.find("\n", cut) + 1
        cut = line if 0 < line < min(len(text), cut + 2000) else cut
        return [text[:cut]], [text[cut:]]
    cut = min(len(texts) - 1, max(1, round(len(texts) * (1 - share))))
    return texts[:cut], texts[cut:]


def _tokenizer(job: Any, texts: list[str]) -> PairTokenizer:
    if "tokenizer" in job.inputs:
        found = load_tokenizer(job.inputs["tokenizer"])
        if not isinstance(found, PairTokenizer):
            raise Problem("tokenizer: it cuts texts into words, which cannot be put together again")
        return found
    if job.params.tokenizer == "bytes":
        return PairTokenizer(())
    job.log("learning the tokenizer")
    return learn_pairs("\n".join(texts), job.params.vocabulary)


def _encoded(texts: list[str], tokenizer: PairTokenizer) -> np.ndarray:
    ids: list[int] = []
    for text in texts:
        ids += tokenizer.encode(text)
        ids.append(tokenizer.end)
    return np.array(ids, dtype=np.int64)
