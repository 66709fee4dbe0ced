"""Injects conversion faults into real converted models and counts who notices.

    python benchmarks/conversion_faults.py                    some 900 faults, 100 faultless models
    python benchmarks/conversion_faults.py --per-class 2      a sample
    python benchmarks/conversion_faults.py --per-class 0      every fault there is
    python benchmarks/conversion_faults.py --json faults.json            written as it goes
    python benchmarks/conversion_faults.py --json faults.json --resume   what it lacks

Networks of several families are converted by coremltools (float16 and float32, some compressed),
damaged in protobuf and weight file as converters damage them, and given to `validate/parity`, with
the gates that a user gets without writing any, and to `compare`, which shall name the operator.
Conversions get every class of fault; compressed models those of compression, since a fault that
is smaller than what compression costs cannot be told from it: the last table says how many of the
others are seen nevertheless. A fault that changes nothing is not counted (see conversion/judging).

What counts as named: the operator that `compare` accuses first is the damaged one (or the copy that
was put behind it, or the reader of a damaged compressed weight). Where the operator was removed,
it cannot be accused: there, and only there, one that reads what it made, or the one that it read,
counts too; the table tells these as neighbours.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from benchmarks.conversion import (  # noqa: F401 - their finders register themselves
    faults_of_parameters,
    faults_of_structure,
    faults_of_weights,
)
from benchmarks.conversion.convert import COMPRESSIONS, convert
from benchmarks.conversion.faults import Site, sites
from benchmarks.conversion.judging import Truth, guilty_of, named, parity
from benchmarks.conversion.nets import NETS
from benchmarks.conversion.sources import TorchSource, write_samples

OF_COMPRESSION = ("table cut off", "scale of weights")
BEHIND = 1  # faults of each class that is not of compression, in a compressed model
PER_CLASS = 5  # faults of a class in a model


@dataclass(frozen=True)
class Model:
    """One conversion: the network, its seed, how it is stored."""

    net: str
    seed: int
    precision: str
    target: str
    how: str = ""

    @property
    def name(self) -> str:
        return "-".join(str(p) for p in asdict(self).values() if p != "")


@dataclass(frozen=True)
class Injected:
    """One fault and what became of it."""

    model: str
    kind: str
    what: str
    place: str
    none: str  # why it is no fault; else empty
    caught: bool
    parity: str
    named: bool
    compare: str
    behind_compression: bool  # of another class than compression's own, in a compressed model
    neighbour: bool = False  # named, of an operator that is missing


def damaged() -> list[Model]:
    """The models that faults are put into."""
    plain = [Model(n, 0, p, "iOS17") for n in NETS for p in ("float16", "float32")]
    others = [Model(n, 1, "float16", t) for n in NETS for t in ("iOS15", "iOS18")]
    small = [
        Model(n, 0, "float16", "iOS18" if how == "int4" else "iOS17", how)
        for n in NETS
        if n != "recurrent"  # the weights of recurrent operators are left whole
        for how in COMPRESSIONS
    ]
    return [*plain, *others, *small]


def faultless() -> list[Model]:
    """A hundred conversions that nobody may accuse; other seeds than those that are damaged."""
    plain = [
        Model(net, seed, precision, target)
        for net in NETS
        for seed in (2, 3)
        for precision in ("float16", "float32")
        for target in ("iOS15", "iOS16", "iOS17", "iOS18")
    ]
    more = [Model(net, seed, "float16", "iOS17") for net in NETS for seed in range(4, 8)]
    small = [m for m in damaged() if m.how]
    small += [Model(n, 3, "float16", "iOS17", "palette6") for n in ("mobilenet", "transformer")]
    return [*plain, *more, *small]


class World:
    """One model with its source and samples, ready to be damaged."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.model, self.net = model, NETS[model.net]
        packages = folder / "packages"
        packages.mkdir(exist_ok=True)
        self.package = convert(
            self.net, model.seed, model.precision, model.target, packages, model.how
        )
        self.source = TorchSource(self.net, self.net.made(model.seed))
        self.samples = write_samples(self.net, 1, folder / "samples" / model.net)

    def accused(self) -> str:
        """Who accuses the model as it is; empty if nobody does."""
        verdict = parity(self.net, self.source, self.package, self.samples)
        if verdict.wrong:
            return f"parity: {verdict.why}"
        guilty = guilty_of(self.net, self.source, self.package)
        return f"compare: {guilty.operator.type}, {guilty.why}" if guilty is not None else ""

    def inject(self, per_class: int, seed: int) -> Iterator[Injected]:
        """Damage it, one fault at a time."""
        truth = Truth(self.net, self.package)
        rng = np.random.default_rng([seed, *self.model.name.encode()])
        for kind, found in sites(truth.original, seed).items():
            behind = bool(self.model.how) and kind not in OF_COMPRESSION
            most = BEHIND if behind and per_class else per_class
            for place in rng.permutation(len(found))[: most or None]:
                yield self._one(truth, found[place])

    def _one(self, truth: Truth, site: Site) -> Injected:
        program = truth.original.copy()
        site.edit(program)
        behind = bool(self.model.how) and site.kind not in OF_COMPRESSION
        facts = (self.model.name, site.kind, site.what, site.place)
        with tempfile.TemporaryDirectory() as folder:
            package = program.save(Path(folder))
            if none := truth.unchanged(program, package):
                return Injected(*facts, none, False, "", False, "", behind)
            caught = parity(self.net, self.source, package, self.samples)
            if behind:
                return Injected(*facts, "", caught.wrong, caught.why, False, "", True)
            who = named(self.net, self.source, package, site)
        return Injected(*facts, "", caught.wrong, caught.why, who.wrong, who.why, False, who.beside)


def work(model: Model, folder: Path, per_class: int, seed: int) -> list[Injected]:
    """All faults of one model."""
    _quiet()
    return list(World(model, folder).inject(per_class, seed))


def clean(model: Model, folder: Path) -> str:
    """Who accuses a model that has no fault."""
    _quiet()
    return World(model, folder).accused()


def _quiet() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")


def main() -> int:
    """Prints the tables; 1 if less was noticed than the goals say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=PER_CLASS, help="0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only models whose names hold this")
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write every fault here, model by model")
    parser.add_argument("--resume", action="store_true", help="take what stands in --json")
    parser.add_argument("--folder", type=Path, help="keep the conversions here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        models = [m for m in damaged() if chosen.only in m.name]
        right = [m for m in faultless() if chosen.only in m.name]
        record = Record(chosen.json, chosen.seed, chosen.per_class, chosen.resume)
        with ProcessPoolExecutor(chosen.jobs) as pool:
            _inject(pool, models, folder, record)
            _acquit(pool, right, folder, record)
    injected, accused = record.faults(), {n: why for n, why in record.faultless.items() if why}
    report(injected, len(record.faultless), accused)
    return int(not reached(injected, accused))


class Record:
    """What is known so far, and the file that holds it."""

    def __init__(self, path: Path | None, seed: int, per_class: int, resume: bool) -> None:
        self.path, self.seed, self.per_class = path, seed, per_class
        self.models: dict[str, list[Injected]] = {}
        self.faultless: dict[str, str] = {}  # name: who accuses it, or nothing
        if resume and path is not None and path.exists():
            held = json.loads(path.read_text())
            if (held["seed"], held["per_class"]) != (seed, per_class):
                raise SystemExit(f"{path} is of another --seed or --per-class")
            self.models = {n: [Injected(**f) for f in some] for n, some in held["models"].items()}
            self.faultless = held["faultless"]

    def faults(self) -> list[Injected]:
        """Those of all models."""
        return [fault for some in self.models.values() for fault in some]

    def save(self) -> None:
        """Write the file anew; one that is cut off would lose hours."""
        if self.path is None:
            return
        facts = {
            "version": 2,
            "seed": self.seed,
            "per_class": self.per_class,
            "models": {n: [asdict(f) for f in some] for n, some in self.models.items()},
            "faultless": self.faultless,
        }
        scratch = self.path.with_name(f".{self.path.name}")
        scratch.write_text(json.dumps(facts, indent=1) + "\n")
        scratch.replace(self.path)


def _inject(pool: ProcessPoolExecutor, models: list[Model], folder: Path, record: Record) -> None:
    began = time.monotonic()
    rest = [m for m in models if m.name not in record.models]
    running = [pool.submit(work, m, folder, record.per_class, record.seed) for m in rest]
    for model, done in zip(rest, running, strict=True):
        record.models[model.name] = done.result()
        record.save()
        spent, faults = time.monotonic() - began, counted(done.result())
        told = (
            f"{len(faults)} faults, {sum(i.caught for i in faults)} caught, "
            f"{sum(i.named for i in faults)} named"
        )
        print(f"{spent:6.0f} s  {model.name}: {told}", file=sys.stderr, flush=True)


def _acquit(pool: ProcessPoolExecutor, models: list[Model], folder: Path, record: Record) -> None:
    rest = [m for m in models if m.name not in record.faultless]
    for model, why in zip(rest, pool.map(clean, rest, [folder] * len(rest)), strict=True):
        record.faultless[model.name] = why
        record.save()


def counted(injected: list[Injected]) -> list[Injected]:
    """Those that are faults, and can be told."""
    return [i for i in injected if not i.none and not i.behind_compression]


def reached(injected: list[Injected], accused: dict[str, str]) -> bool:
    """Whether the goals hold: 95 % caught, 90 % named, nobody accused without cause."""
    faults = counted(injected)
    caught, right = sum(i.caught for i in faults), sum(i.named for i in faults)
    return caught >= 0.95 * len(faults) and right >= 0.9 * len(faults) and not accused


def report(injected: list[Injected], models: int, accused: dict[str, str]) -> None:
    """The tables for people and for the README."""
    faults = counted(injected)
    print("| fault | injected | caught by parity | named by compare | of these neighbours |")
    print("| --- | ---: | ---: | ---: | ---: |")
    by_class: dict[str, list[Injected]] = defaultdict(list)
    for fault in faults:
        by_class[fault.kind].append(fault)
    for kind, some in (*sorted(by_class.items()), ("**all**", faults)):
        caught, right = (_share([getattr(i, n) for i in some]) for n in ("caught", "named"))
        beside = sum(i.neighbour for i in some)
        print(f"| {kind} | {len(some)} | {caught} | {right} | {beside} |")
    none = [i for i in injected if i.none]
    behind = [i for i in injected if i.behind_compression and not i.none]
    print(f"\nno faults, not counted: {len(none)}")
    for why in sorted({i.none for i in none}):
        print(f"  {why}: {sum(i.none == why for i in none)}")
    if behind:
        print(
            f"other faults behind compressed weights: {_share([i.caught for i in behind])} caught"
        )
    print(f"faultless conversions accused: {len(accused)} of {models}")
    for name, why in accused.items():
        print(f"  {name}: {why}")


def _share(hits: list[bool]) -> str:
    return f"{sum(hits)} of {len(hits)} ({100 * sum(hits) / max(1, len(hits)):.1f} %)"


if __name__ == "__main__":
    sys.exit(main())
