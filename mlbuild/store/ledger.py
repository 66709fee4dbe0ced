"""The ledger of one pipeline: NAME-lock.json, its stages in dvc.yaml and dvc.lock.

What DVC tracks as a stage's parameter (its *pin*) holds everything that a StageRecord needs, and
dvc.lock keeps a copy of it beside the digests of the outputs: one entry of dvc.lock is one record.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild.lazily import lazily
from mlbuild.records import Digest, Json, Stage, StageRecord
from mlbuild.store.dvcyaml import command
from mlbuild.store.names import long_name, plain_name
from mlbuild.store.pins import SUFFIX, Head, read_head, read_text, spoiled
from mlbuild.store.sections import Sections, split
from mlbuild.store.yaml12 import load

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazily("yaml")  # 35 ms

_LOCK_HEAD = "schema: '2.0'\n"
_ITEM = re.compile(
    r"^    - path: (?:\n        )?(.+)\n      hash: md5\n      md5: '?([0-9a-f]{32}(?:\.dir)?)",
    re.M,
)
FEW_SEARCHES = 16
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_KEY = re.compile(r"^ +key: '?([^\s']+)'?$", re.M)
_SPACE = re.compile(r"\\u[0-9a-f]{4}|\\[a-z]| ")
Deps = Mapping[str, Digest]  # path relative to the root -> what it held


def pin(stage: Stage, record: StageRecord) -> dict[str, Json]:
    """What NAME-lock.json says of a stage."""
    paths = {out.name: out.path for out in stage.outputs}
    outputs = {name: digest for name, digest in record.outputs.items() if name in paths}
    whole = {
        **record.parts,
        "stage": stage.name,
        "key": record.key,
        "paths": paths,
        "result": _result(StageRecord(record.key, record.parts, outputs)),
    }
    if record.undeclared:
        whole["undeclared"] = list(record.undeclared)
    # Through JSON: no tuples, and no two places that share one object, which dvc.lock would link.
    return dict(json.loads(json.dumps(whole, sort_keys=True)))


def lock_entry(
    stage: Stage,
    record: StageRecord,
    deps: Deps,
    files: tuple[str, str],
    name: str,
    facts: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """A stage's entry of dvc.lock.

    Args:
        stage: what was built.
        record: with what result.
        deps: what it depends on, of what DVC can see.
        files: the pipeline's file and its pins, relative to the root.
        name: the stage's name in the ledger.
        facts: its pin, where it was made already.
    """
    found: dict[str, Json] = {"cmd": command(files[0], stage.name)}
    if deps:
        found["deps"] = [_item(path, deps[path]) for path in sorted(deps)]
    found["params"] = {files[1]: {f"stages.{name}": facts or pin(stage, record)}}
    outs = {
        out.path: record.outputs[out.name] for out in stage.outputs if out.name in record.outputs
    }
    if outs:
        found["outs"] = [_item(path, outs[path]) for path in sorted(outs)]
    return found


def record_of(entry: Json, files: tuple[str, str] | None = None) -> tuple[str, StageRecord] | None:
    """The stage's name and record that an entry of dvc.lock or the run cache stands for.

    None for what is no entry, and for one whose key and outputs do not belong together: a merge by
    hand may have taken them from two branches. Entries of older versions have no such seal.
    """
    try:
        pins = entry["params"]
        (path,) = pins if files is None else [files[1]]
        ((_, facts),) = pins[path].items()
        facts = dict(facts)
        name, key, paths = facts.pop("stage"), facts.pop("key"), facts.pop("paths")
        sealed = facts.pop("result", None)
        undeclared = tuple(facts.pop("undeclared", ()))
        by_path = {out["path"]: _digest(out) for out in entry.get("outs", [])}
        outputs = {out: by_path[path] for out, path in paths.items() if path in by_path}
        record = StageRecord(key, facts, outputs, undeclared)
        return (name, record) if sealed in (None, _result(record)) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


class Ledger:
    """Reads one pipeline's part of the ledger; ``commit.py`` writes it."""

    def __init__(self, root: Path, pipeline: str, pipeline_file: Path) -> None:
        self.root = root
        self.pipeline = pipeline
        self.pins_file = pipeline_file.with_name(f"{pipeline_file.stem}{SUFFIX}")
        self.files = (_inside(root, pipeline_file), _inside(root, self.pins_file))
        self.lock_file = root / "dvc.lock"
        self.yaml_file = root / "dvc.yaml"
        self._lock: Sections | None = None
        self._text: str | None = None  # of dvc.lock
        self._by_key: dict[str, list[tuple[str, str]]] | None = None  # names and blocks
        self._by_path: dict[str, set[str]] | None = None  # digests
        self._searches = 0  # of the whole text
        self._pins: dict[str, tuple[Stage, StageRecord, Mapping[str, Json]]] = {}

    def all_files(self) -> tuple[Path, Path, Path]:
        """The files that make up this pipeline's part of the ledger."""
        return self.pins_file, self.yaml_file, self.lock_file

    def pin(self, stage: Stage, record: StageRecord) -> Mapping[str, Json]:
        """A stage's pin, made once: the run cache, NAME-lock.json and dvc.lock all hold it."""
        made = self._pins.get(stage.name)
        if made is None or made[0] is not stage or made[1] is not record:
            made = self._pins[stage.name] = (stage, record, pin(stage, record))
        return made[2]

    def published(self, path: str) -> set[str]:
        """The digests that dvc.lock knows of a path."""
        text = self._lock_text()
        if self._few_searches() and _PLAIN.fullmatch(path):
            return set(re.findall(_ITEM.pattern.replace("(.+)", re.escape(path)), text, re.M))
        if self._by_path is None:
            self._by_path = {}
            for where, md5 in _ITEM.findall(text):
                # YAML may quote a path in several ways.
                plain = where if _PLAIN.fullmatch(where) else str(_scalar(where))
                self._by_path.setdefault(plain, set()).add(md5)
        return self._by_path.get(path, set())

    def record(self, stage: str) -> StageRecord | None:
        """What the ledger says of a stage."""
        lock = self.lock()
        for name in (plain_name(self.pipeline, stage), long_name(self.pipeline, stage)):
            if name in lock.blocks:
                found = self._parse(name, lock.blocks[name])
                if found and found[0] == stage:
                    return found[1]
        return None

    def with_key(self, key: str) -> StageRecord | None:
        """Any stage's record with exactly this key; nothing but the matching entry is parsed."""
        if self._by_key is None and self._few_searches() and key not in self._lock_text():
            return None
        if self._by_key is None:
            lock, self._by_key = self.lock(), {}
            for row in (*lock.blocks.items(), *lock.spare):
                for found in _KEY.findall(row[1]):
                    self._by_key.setdefault(found, []).append(row)
        for name, block in self._by_key.get(key, ()):
            entry = self._parse(name, block, any_pipeline=True)
            if entry and entry[1].key == key:
                return entry[1]
        return None

    def lock(self) -> Sections:
        """dvc.lock in blocks, read once.

        Raises:
            LedgerError: it is not a dvc.lock at all.
        """
        if self._lock is None:
            self._lock = _lock_of(self._lock_text(), self.lock_file)
        return self._lock

    def reload(self) -> None:
        """The files were written: read them again when they are asked for."""
        self._lock = self._text = self._by_key = self._by_path = None

    def head(self) -> Head:
        """The frozen datasets, and with what `--profile` and `--set` was built last."""
        return read_head(self.pins_file)

    def _few_searches(self) -> bool:
        """A search is quicker than an index, until there are many: each reads the whole text."""
        self._searches += 1
        return self._searches <= FEW_SEARCHES

    def _lock_text(self) -> str:
        if self._text is None:
            self._text = read_text(self.lock_file)
        return self._text

    def _parse(
        self, name: str, block: str, any_pipeline: bool = False
    ) -> tuple[str, StageRecord] | None:
        try:
            entry = load(block)[name]
        except (yaml.YAMLError, KeyError, TypeError, ValueError):
            return None
        return record_of(entry, None if any_pipeline else self.files)


def read_lock(file: Path) -> Sections:
    """dvc.lock in blocks; an empty one where there is none."""
    return _lock_of(read_text(file), file)


def _lock_of(text: str, file: Path) -> Sections:
    if not text.strip():
        return Sections(head=_LOCK_HEAD)
    found = _with_ours(split(text))
    head = found.head.replace('"', "'")
    if found.broken and not head.strip():
        found.head = _LOCK_HEAD
    elif "schema:" not in head or "'2.0'" not in head:
        raise spoiled(file, "it does not say that its schema is '2.0'")
    return found


def _with_ours(found: Sections) -> Sections:
    """Takes a block that a conflict runs through as it was on the branch merged into.

    Either side is whole: each is held against its seal, and against the disk, when it is used.
    """
    for name, block in found.spare:
        found.blocks.setdefault(name, block)
    return found


def mine(blocks: Mapping[str, str], pins: str) -> Iterable[str]:
    """The names of those blocks of dvc.lock that were recorded for the pipeline of these pins."""
    marks = (f"\n      {pins}:\n", f"\n      '{pins}':\n", f'\n      "{pins}":\n')
    return [name for name, block in blocks.items() if any(mark in block for mark in marks)]


def _result(record: StageRecord) -> str:
    """A seal over what a key was made of and what came of it."""
    outputs = {name: [digest.md5, digest.isexec] for name, digest in record.outputs.items()}
    whole = json.dumps([record.key, record.parts, outputs], sort_keys=True)
    whole = _SPACE.sub("", whole)  # YAML may fold a line break or a rare character into a space
    return hashlib.md5(whole.encode(), usedforsecurity=False).hexdigest()


def _item(path: str, digest: Digest) -> dict[str, Json]:
    found: dict[str, Json] = {"path": path, "hash": "md5", "md5": digest.md5, "size": digest.size}
    if digest.nfiles is not None:
        found["nfiles"] = digest.nfiles
    if digest.isexec:
        found["isexec"] = True
    return found


def _scalar(text: str) -> Json:
    with contextlib.suppress(yaml.YAMLError):
        return load(text)
    return None


def _digest(item: Json) -> Digest:
    return Digest(
        str(item["md5"]), item.get("size", 0), item.get("nfiles"), bool(item.get("isexec"))
    )


def _inside(root: Path, file: Path) -> str:
    return file.resolve().relative_to(root.resolve()).as_posix()
