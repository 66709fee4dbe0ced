"""NAME-lock.json: what each stage was built from; DVC tracks it as parameters.

It is JSON because DVC parses the whole file anew for every stage that it compares: at 200 stages
`dvc status` took 70 s with YAML. Each stage is a block of lines of one form, the last one too, so
that one can be exchanged without looking at the others, and a merge in git stays with the stages
that differ.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mlbuild.errors import LedgerError
from mlbuild.records import Json
from mlbuild.store.sections import has_conflict, sides

SUFFIX = "-lock.json"  # with a dot in place of the dash DVC would not see that it is JSON
_VERSION = 1
_ABOUT = "Written by mlbuild: commit it. What each stage was built from; DVC tracks it."
_STAGES = '"stages": {\n'
_ROW = re.compile(r'^  ("(?:[^"\\]|\\.)+"): (\{\n(?:   .*\n)*  \}),?$', re.M)
_BLOCK_END = "\n  }"
_name = lru_cache(maxsize=256)(json.dumps)  # parts of pins have few names
_sorted = json.JSONEncoder(sort_keys=True).encode
_LAST = '  "": {}\n'  # every block before it ends in a comma


class Variation(NamedTuple):
    """What `--profile` and `--set` laid over the pipeline file in a build."""

    profiles: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """As they are written on a command line."""
        profiles = [word for name in self.profiles for word in ("--profile", name)]
        return profiles + [word for pair in self.sets for word in ("--set", pair)]


class Head(NamedTuple):
    """What stands before the stages."""

    datasets: dict[str, Json] = {}  # frozen, by name
    built: Variation = Variation()


def pins_text(head: Head, rows: Mapping[str, str]) -> str:
    """The whole file.

    Args:
        head: what stands before the stages.
        rows: a stage's name in the ledger -> its pin as JSON.
    """
    built = {"profiles": list(head.built.profiles), "set": list(head.built.sets)}
    lines = [f'"about": {json.dumps(_ABOUT)},\n"version": {_VERSION},\n']
    if any(head.built):
        lines.append(f'"built": {json.dumps(built)},\n')
    if head.datasets:
        frozen = {name: row_text(value) for name, value in head.datasets.items()}
        lines.append(f'"datasets": {{\n{_joined(frozen)}}},\n')
    return f"{{\n{''.join(lines)}{_STAGES}{_joined(rows)}}}\n}}\n"


def row_text(value: Mapping[str, Json]) -> str:
    """A pin as it stands in the file: a line for each part, so that a diff can be read."""
    parts = (f"   {_name(k)}: {_sorted(value[k])}" for k in sorted(value))
    return "{\n" + ",\n".join(parts) + "\n  }"


def read_rows(file: Path) -> dict[str, str]:
    """A stage's name in the ledger -> its pin as JSON.

    Of a conflict both sides are taken, ours first: each is whole, and is held against the key.
    """
    text = read_text(file)
    found: dict[str, str] = {}
    for side in sides(text) if has_conflict(text) else (text,):
        for name, row in _rows(side):
            found.setdefault(name, row)
    return found


def exchanged(text: str, rows: Mapping[str, str]) -> str | None:
    """The file with a few stages' blocks exchanged, and nothing else looked at.

    Returns:
        None: one of them is not there exactly once, and the file must be written anew.
    """
    for name, row in rows.items():
        mark = f"\n  {json.dumps(name)}: {{\n"
        start = text.find(mark) + 1
        end = text.find("\n  }", start)
        if not start or end < 0 or text.find(mark, start) >= 0:
            return None
        text = f"{text[:start]}  {json.dumps(name)}: {row}{text[end + len(_BLOCK_END) :]}"
    return text


def built_for(pipeline_file: Path, stage: str) -> Variation:
    """What the last build was made with, for a DVC that rebuilds one of its stages.

    Args:
        pipeline_file: of which a build was recorded.
        stage: as DVC names it to the commands that it runs: "dogs-train", "x/dvc.yaml:dogs-train".

    Returns:
        Nothing for a stage that is not generated.
    """
    pins = pipeline_file.with_name(f"{pipeline_file.stem}{SUFFIX}")
    ours = stage.rpartition(":")[2] in read_rows(pins)
    return read_head(pins).built if ours else Variation()


def read_head(file: Path) -> Head:
    """Frozen datasets, and how the pipeline was built last; the stages are not parsed.

    Raises:
        LedgerError: not what mlbuild wrote, or written by a newer one.
    """
    text = read_text(file)
    if not text:
        return Head()
    if not has_conflict(text):
        return _head(text, file)
    ours, theirs = (_head(side, file) for side in sides(text))
    return Head({**theirs.datasets, **ours.datasets}, ours.built)


def _head(text: str, file: Path) -> Head:
    before, stages, _ = text.partition(f"\n{_STAGES}")
    try:
        found = json.loads(f"{before.rstrip().removesuffix(',')}}}" if stages else text)
    except ValueError as error:
        raise spoiled(file, str(error)) from error
    version = found.get("version") if isinstance(found, dict) else None
    if isinstance(version, int) and version > _VERSION:
        raise LedgerError(
            f"{file} was written by a newer mlbuild (format {version})",
            hint=f"this one knows format {_VERSION}: upgrade mlbuild-pipelines",
        )
    if version != _VERSION:
        raise spoiled(file, "it has no version")
    datasets, built = found.get("datasets"), found.get("built")
    datasets = {k: v for k, v in datasets.items() if k} if isinstance(datasets, dict) else {}
    return Head(datasets, _variation(built))


def _variation(built: Json) -> Variation:
    if not isinstance(built, dict):
        return Variation()
    profiles, sets = built.get("profiles") or (), built.get("set") or ()
    return Variation(tuple(map(str, profiles)), tuple(map(str, sets)))


def _rows(text: str) -> Iterator[tuple[str, str]]:
    _, _, stages = text.partition(_STAGES)
    for match in _ROW.finditer(stages):
        with contextlib.suppress(ValueError):  # a merge by hand may have torn it
            json.loads(match[2])
            yield json.loads(match[1]), match[2]


def _joined(rows: Mapping[str, str]) -> str:
    return "".join(f"  {json.dumps(name)}: {rows[name]},\n" for name in sorted(rows)) + _LAST


def spoiled(file: Path, why: str) -> LedgerError:
    """A file of the ledger that cannot be read."""
    return LedgerError(
        f"{file} cannot be read: {why}",
        hint=f"put the committed one back (git checkout -- '{file}') or delete it: "
        "the next run writes it anew and restores what the cache still has",
    )


def read_text(file: Path) -> str:
    """A file of the ledger; "" where there is none."""
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise spoiled(file, "it is not text") from error
    except OSError as error:
        raise LedgerError(f"{file} cannot be read: {error.strerror}") from error
