"""What users do to a project: on disk and in the model of it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.exactness.model import (
    Code,
    Content,
    Definition,
    Read,
    is_matrix,
    ordered,
)
from tests.exactness.project import (
    Tool,
    content_of,
    discard,
    output_path,
    put,
    write_kind,
)

FILES = ("data/a.txt", "data/b.txt", "other/c.txt")
FOLDERS = ("data/photos", "other/tree")


class Changes:
    """A project on disk and its model, and what users do to both."""

    def __init__(self, folder: Path, tool: Tool) -> None:
        self._folder, self._tool, self._moves = folder, tool, 0
        self.root = folder / "checkout-0"
        self.pipelines: list[dict[int, Definition]] = [{}, {}]
        self.globals, self.code = [1, 1], Code()
        self.built: set[tuple[Any, ...]] = set()
        self.by_hand: dict[str, Content] = {}
        self._uid = self._hand = self.seed = 0
        self.counts: Counter[str] = Counter()
        self.files = {path: n for n, path in enumerate(FILES)}  # path -> for renaming
        for path, number in self.files.items():
            put(self.root / path, str(number))
        for path in FOLDERS:
            put(self.root / path, (("n1.txt", "1"), ("sub/n2.txt", "2")))
        (self.root / "pipelines").mkdir()
        write_kind(self.root, tool, self.code)

    # --- stages ----------------------------------------------------------------------------------

    def add_stage(self, which: int, a: int, b: int, c: int) -> None:
        stages, self._uid = self.pipelines[which % 2], self._uid + 1
        if len(stages) >= 7:
            return
        stage = Definition(self._uid, f"s{self._uid}", path=self._uid, add=a % 2)
        stage.kind, stage.folder = b % 4 == 3, b % 5 == 2
        stage.extra, stage.literal = c % 4 == 1 and not stage.kind, c % 4 == 2 and not stage.kind
        stage.matrix, stage.uses_global = a % 5 == 3, c % 3 == 1
        stage.modulus = 2 + a % 2
        stage.folder = stage.folder and not stage.kind
        stages[stage.uid] = stage
        self.add_edge(which, len(stages) - 1, a, c)
        self.add_edge(which, len(stages) - 1, b, a)

    def copy_pipeline(self, which: int, a: int, b: int, c: int) -> None:
        """The other pipeline gets the same stages: what one built the other restores."""
        stages = self.pipelines[which % 2]
        copies = {u: replace(s, reads=dict(s.reads)) for u, s in stages.items()}
        self.pipelines[1 - which % 2] = copies

    def remove_stage(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None:
            stages = self.pipelines[which % 2]
            del stages[stage.uid]
            for other in stages.values():
                other.reads = {r: x for r, x in other.reads.items() if x.source != stage.uid}

    def rename_stage(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None:
            self._uid += 1
            stage.name = f"s{self._uid}"

    def swap_names(self, which: int, a: int, b: int, c: int) -> None:
        one, two = self._pick(which, a), self._pick(which, b)
        if one is not None and two is not None:
            one.name, two.name = two.name, one.name

    def swap_output_paths(self, which: int, a: int, b: int, c: int) -> None:
        one, two = self._pick(which, a), self._pick(which, b)
        if one is not None and two is not None:
            one.path, two.path = two.path, one.path

    def swap_bodies(self, which: int, a: int, b: int, c: int) -> None:
        """Two stages exchange all but their names and inputs."""
        one, two = self._pick(which, a), self._pick(which, b)
        if one and two and not (one.kind or two.kind or one.extra or two.extra):
            one.add, two.add = two.add, one.add
            one.modulus, two.modulus = two.modulus, one.modulus
            one.folder, two.folder = two.folder, one.folder

    def add_edge(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is None:
            return
        stages = self.pipelines[which % 2]
        role = "abc"[c % 3]
        sources: list[str | int] = [*self.files, *FOLDERS]
        sources += [u for u in stages if not self._reaches(stages, u, stage.uid)] * 2
        source = sources[b % len(sources)]
        output = "o"
        if isinstance(source, int):
            if is_matrix(stages, stages[source]) and c % 2:
                stage.reads["every"] = Read(source, "o", every=True)
                return
            output = "p" if stages[source].extra and c % 4 == 0 else "o"
        stage.reads[role] = Read(source, output)

    def remove_edge(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None and stage.reads:
            del stage.reads[sorted(stage.reads)[b % len(stage.reads)]]

    def swap_roles(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None and {"a", "b"} <= stage.reads.keys():
            stage.reads["a"], stage.reads["b"] = stage.reads["b"], stage.reads["a"]

    def change(self, which: int, a: int, b: int, c: int) -> None:
        """A parameter, the environment, threads: forth and back."""
        stage = self._pick(which, a)
        if stage is None:
            return
        if b % 6 == 0:
            stage.add = c % 3
        elif b % 6 == 1:
            stage.env = (None, 0, 1)[c % 3]
        elif b % 6 == 2:
            stage.cpu = 1 + c % 2
        elif b % 6 == 3:
            stage.modulus = 2 + c % 3
        elif b % 6 == 4:
            stage.uses_global = not stage.uses_global
        else:
            stage.literal = not stage.literal and not stage.kind

    def change_matrix(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        stages = self.pipelines[which % 2]
        read = any(r.every for s in stages.values() for r in s.reads.values())
        if stage is not None and not read:
            stage.matrix = not stage.matrix

    def let_fail(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None and not stage.kind:
            stage.fails_at = None if stage.fails_at is not None else b % 3

    def set_global(self, which: int, a: int, b: int, c: int) -> None:
        self.globals[which % 2] = 1 + a % 3

    def reorder(self, which: int, a: int, b: int, c: int) -> None:
        """Keys and stages in another order, other comments."""
        self.seed = 10 * a + b

    # --- files -----------------------------------------------------------------------------------

    def write_file(self, which: int, a: int, b: int, c: int) -> None:
        (self.root / self._file(a)).write_text(str(b % 3))

    def write_unseen(self, which: int, a: int, b: int, c: int) -> None:
        """Another content of the same size, with the old modification time set back."""
        path = self.root / self._file(a)
        found = path.stat()
        path.write_text(str(b % 3))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def touch(self, which: int, a: int, b: int, c: int) -> None:
        os.utime(self.root / self._file(a), (b * 1e6, b * 1e6) if c % 2 else None)

    def make_executable(self, which: int, a: int, b: int, c: int) -> None:
        (self.root / self._file(a)).chmod(0o755 if c % 2 else 0o644)

    def rename_file(self, which: int, a: int, b: int, c: int) -> None:
        old = self._file(a)
        new = re.sub(r"(-\d+)?\.txt$", f"-{b}.txt", old)
        if (self.root / new).exists():
            return
        (self.root / old).rename(self.root / new)
        self.files[new] = self.files.pop(old)
        for stages in self.pipelines:
            for stage in stages.values():
                for role, read in stage.reads.items():
                    if read.source == old:
                        stage.reads[role] = replace(read, source=new)

    def swap_contents(self, which: int, a: int, b: int, c: int) -> None:
        one, two = self.root / self._file(a), self.root / self._file(b)
        if one == two:
            return
        if c % 2:
            aside = self.root / "aside"
            one.rename(aside)
            two.rename(one)
            aside.rename(two)
        else:
            first, second = one.read_text(), two.read_text()
            one.write_text(second)
            two.write_text(first)

    def change_folder(self, which: int, a: int, b: int, c: int) -> None:
        folder = self.root / FOLDERS[a % 2]
        found = sorted(p for p in folder.rglob("*") if p.is_file())
        new = folder / ("", "sub", "deep/er")[b % 3] / f"n{c}.txt"
        if b % 5 == 0:
            put(new, str(c % 2))
        elif b % 5 == 1 and len(found) > 1:
            found[c % len(found)].unlink()
        elif b % 5 == 2 and not new.exists():
            new.parent.mkdir(parents=True, exist_ok=True)
            found[c % len(found)].rename(new)
        elif b % 5 == 3:
            found[c % len(found)].write_text(str(c % 2))
        else:
            (folder / f"empty{c}").mkdir(exist_ok=True)

    # --- the kind --------------------------------------------------------------------------------

    def edit_kind(self, which: int, a: int, b: int, c: int) -> None:
        name = ("factor", "shared", "comment", "default")[a % 4]
        self.code = replace(self.code, **{name: (1 if name == "factor" else 0) + b % 3})
        write_kind(self.root, self._tool, self.code)

    def rewrite_kind(self, which: int, a: int, b: int, c: int) -> None:
        """Changed and put back, and what is no code."""
        file = self.root / "stages/my/mix" / ("run.py", "spec.py")[a % 2]
        text = file.read_text()
        file.write_text("raise SystemExit\n")
        file.write_text(text)
        put(file.with_name(".run.py.swp"), str(b))

    # --- outputs and places ----------------------------------------------------------------------

    def delete_output(self, which: int, a: int, b: int, c: int) -> None:
        path = self._output(which, a, b)
        if path is not None:
            self._forget(path)
            discard(self.root / path)

    def delete_build(self, which: int, a: int, b: int, c: int) -> None:
        for folder in ("build", "out")[a % 2 :]:
            self._forget(folder)
            discard(self.root / folder)

    def change_output(self, which: int, a: int, b: int, c: int) -> None:
        """By hand: written in place, replaced, as a folder, behind a link, or its mode."""
        path = self._output(which, a, b)
        if path is None:
            return
        place, self._hand = self.root / path, self._hand + 1
        text = f"hand {self._hand}"
        if c % 5 == 4:
            if place.is_file():
                place.chmod(0o755)
            return
        self._forget(path)
        if c % 5 == 0 and place.is_file():
            with place.open("r+") as file:
                file.write(text)
        elif c % 5 == 1:
            put(place, (("n1.txt", text), ("sub/n2.txt", "2")))
        elif c % 5 == 2 and place.is_dir():
            put(place / "n7/new.txt", text)
        elif c % 5 == 3:
            put(self.root / f"aside{self._hand}", text)
            discard(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(self.root / f"aside{self._hand}")
        else:
            put(place, text)
        found = content_of(place)
        assert found is not None
        self.by_hand[path] = found

    def delete_state(self, which: int, a: int, b: int, c: int) -> None:
        discard(self.root / ".mlbuild")

    def delete_ledger(self, which: int, a: int, b: int, c: int) -> None:
        names = ("dvc.lock", "dvc.yaml", "pipelines/p-lock.json")
        discard(self.root / names[a % 3])

    def move_checkout(self, which: int, a: int, b: int, c: int) -> None:
        self._moves += 1
        new = self._folder / f"checkout-{self._moves}"
        links = [p for p in self.by_hand if (self.root / p).is_symlink()]
        for path in links:  # they point into the old place
            self._forget(path)
            discard(self.root / path)
        self.root.rename(new)
        self.root = new

    # --- picking ---------------------------------------------------------------------------------

    def _pick(self, which: int, number: int) -> Definition | None:
        stages = list(self.pipelines[which % 2].values())
        return stages[number % len(stages)] if stages else None

    def _file(self, number: int) -> str:
        """Mostly one that a stage reads: only there can anything be missed."""
        reads = (r.source for p in self.pipelines for d in p.values() for r in d.reads.values())
        found = sorted({source for source in reads if source in self.files} or self.files)
        found = found if number < 8 else sorted(self.files)
        return str(found[number % len(found)])

    def _output(self, which: int, a: int, b: int) -> str | None:
        stages = self.pipelines[which % 2]
        if not stages:
            return None
        every = ordered(stages)
        variant = every[a % len(every)]
        second = "metrics" if variant.of.kind else "p" if variant.of.extra else "o"
        return output_path("pq"[which % 2], stages, variant, ("o", second)[b % 2])

    def _forget(self, below: str) -> None:
        self.by_hand = {p: c for p, c in self.by_hand.items() if not p.startswith(below)}

    def _reaches(self, stages: dict[int, Definition], start: int, goal: int) -> bool:
        """Whether `start` is `goal` or reads it, directly or not."""
        if start == goal:
            return True
        sources = [r.source for r in stages[start].reads.values() if isinstance(r.source, int)]
        return any(self._reaches(stages, s, goal) for s in sources)


OPERATIONS: Sequence[str] = tuple(
    name for name, member in vars(Changes).items() if not name.startswith("_") and callable(member)
)
