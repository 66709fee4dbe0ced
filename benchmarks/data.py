"""A folder of many files and one large file: mlbuild against a bare look, `dvc status`, `dvc add`.

    python benchmarks/data.py [--files N] [--gigabytes G] [--rounds R] [--folder DIR]

The full table is `--files 100000 --gigabytes 5`: it needs 2.5 times the data's size in DIR. Every
figure is CPU seconds (user and system, children included) and wall seconds of a whole process, or
of one piece of work in it; the tools take turns. What mlbuild and DVC record is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "CI": "true", "DVC_NO_ANALYTICS": "1"}
FIRST, TOUCHED = "first hash alone (MD5 and BLAKE3)", "hash after a touch (BLAKE3)"
PIPELINE = """\
version: 1
name: p
datasets:
  data: {path: %s}
stages:
  note: {run: "echo done > ${{ outputs.o }}", inputs: {d: datasets.data}, outputs: {o: build/o.txt}}
"""
LOOK = """
import os, sys
folders = [sys.argv[1]]
while folders:
    with os.scandir(folders.pop()) as entries:
        for entry in entries:
            folders.append(entry.path) if entry.is_dir() else entry.stat()
"""
READ = """
import os, sys
buffer = bytearray(1 << 20)
with open(sys.argv[1], "rb", buffering=0) as file:
    while file.readinto(buffer): pass
"""
HASH = """
import hashlib, os, sys
hasher, buffer = hashlib.md5(), memoryview(bytearray(1 << 20))
with open(sys.argv[1], "rb", buffering=0) as file:
    while count := file.readinto(buffer): hasher.update(buffer[:count])
"""
DIGEST = """
import sys
from pathlib import Path
from mlbuild.store.digests import Digests
digests = Digests(Path(sys.argv[2]), Path(sys.argv[1]).parent)
print(digests.of(Path(sys.argv[1])).md5)
digests.flush()
"""


class Cost(NamedTuple):
    """What one process took, and what it said."""

    cpu: float
    wall: float
    megabytes: float  # of memory, at most
    said: str


def cost(command: list[str], cwd: Path) -> Cost:
    """Runs a command to its end, which must be a success."""
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=ENVIRONMENT, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        out.seek(0)
        said = out.read().decode(errors="replace")
    if status:
        sys.exit(f"exit status {os.waitstatus_to_exitcode(status)}: {' '.join(command)}\n{said}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / unit, said)


def mlbuild(*arguments: str) -> list[str]:
    """The command as its users call it."""
    return [PYTHON, "-m", "mlbuild", *arguments]


def dvc(*arguments: str) -> list[str]:
    """DVC of the same environment."""
    return [PYTHON, "-m", "dvc", *arguments]


class Table:
    """Rows of medians; each with its ratio to a row before it."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Cost]] = {}

    def add(self, name: str, found: Cost) -> Cost:
        """One more round of a row."""
        self._rows.setdefault(name, []).append(found)
        return found

    def show(self, title: str, against: str) -> None:
        """Prints the rows."""
        base = statistics.median(c.cpu for c in self._rows[against])
        print(f"\n{title}\n{'':42}{'CPU s':>9}{'wall s':>9}{'MB':>6}   CPU against {against!r}")
        for name, costs in self._rows.items():
            cpu, wall = (statistics.median(getattr(c, f) for c in costs) for f in ("cpu", "wall"))
            memory = max(c.megabytes for c in costs)
            print(f"{name:42}{cpu:9.3f}{wall:9.2f}{memory:6.0f}{cpu / base:10.2f}")

    def median(self, name: str, field: str) -> float:
        """One figure of a row."""
        return statistics.median(getattr(cost, field) for cost in self._rows[name])


def many_files(folder: Path, count: int) -> Path:
    """Files of 1 to 4 kB, a thousand in a folder."""
    noise = random.Random(7)
    for number in range(count):
        inner = folder / f"{number // 1000:03}"
        if number % 1000 == 0:
            inner.mkdir(parents=True)
        (inner / f"{number:06}.jpg").write_bytes(noise.randbytes(1000 + number % 3000))
    return folder


def large_file(path: Path, size: int) -> Path:
    """One file of noise."""
    noise = random.Random(7)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        # In small pieces: a child is told the memory of who started it as its own peak.
        for start in range(0, size, 1 << 20):
            file.write(noise.randbytes(min(1 << 20, size - start)))
    return path


def project(folder: Path, make: Callable[[Path], Path], data: str) -> Path:
    """A project of mlbuild's with that data; everything written is on disk before time counts."""
    (folder / "pipelines").mkdir(parents=True)
    (folder / "pipelines/p.yaml").write_text(PIPELINE % data)
    make(folder / data)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    os.sync()
    return folder


def forget(folder: Path, data: str) -> None:
    """Back to a project that knows nothing."""
    for name in (".mlbuild", ".dvc", "build", "dvc.yaml", "dvc.lock", ".dvcignore"):
        shutil.rmtree(folder / name, ignore_errors=True)
        if (folder / name).is_file():
            (folder / name).unlink()
    (folder / f"{data}.dvc").unlink(missing_ok=True)
    os.sync()


def recorded(folder: Path, data: str) -> str:
    """The digest in a dataset's `.dvc` file."""
    found = re.search(r"md5: (\w+(\.dir)?)", (folder / f"{data}.dvc").read_text())
    assert found is not None
    return found[1]


def by_dvc(table: Table, folder: Path, data: str) -> str:
    """`dvc add` and `dvc status`, in a project that knows nothing; the digest it records."""
    forget(folder, data)
    site = {"DVC_SITE_CACHE_DIR": tempfile.mkdtemp(dir=folder.parent)}  # its own stat cache, empty
    ENVIRONMENT.update(site)
    subprocess.run(dvc("init", "-q"), cwd=folder, env=ENVIRONMENT, check=True)
    table.add("dvc add", cost(dvc("add", "-q", data), folder))
    table.add("dvc status, nothing changed", cost(dvc("status"), folder))
    digest = recorded(folder, data)
    shutil.rmtree(site["DVC_SITE_CACHE_DIR"])
    return digest


def by_mlbuild(table: Table, folder: Path, data: str) -> str:
    """First run, no-op and plan, in a project that knows nothing; the digest it records."""
    forget(folder, data)
    run = mlbuild("run", "pipelines/p.yaml")
    table.add("mlbuild run, first (hash, keep, record)", cost(run, folder))
    again = table.add("mlbuild run, nothing changed", cost(run, folder))
    assert "1 reused" in again.said, again.said
    table.add("mlbuild status", cost(mlbuild("status", "pipelines/p.yaml"), folder))
    return recorded(folder, data)


def only_hash(table: Table, name: str, path: Path, state: Path, expected: str | None) -> None:
    """What `mlbuild run` does to know a file or folder, and nothing else."""
    found = table.add(name, cost([PYTHON, "-c", DIGEST, str(path), str(state)], path.parent))
    assert expected in (None, found.said.strip()), (expected, found.said)


def folder_of_files(place: Path, count: int, rounds: int) -> None:
    """The table of many files."""
    folder, data = project(place / "many", lambda p: many_files(p, count), "photos"), "photos"
    table, look = Table(), [PYTHON, "-c", LOOK, data]
    for _ in range(rounds):
        table.add("scandir and stat", cost(look, folder))
        theirs = by_dvc(table, folder, data)
        ours = by_mlbuild(table, folder, data)
        assert ours == theirs, (ours, theirs)
        only_hash(table, "first hash alone", folder / data, place / "state", ours)
        (folder / data / "000/new.jpg").write_bytes(b"new")
        one = table.add(
            "mlbuild run, 1 file more", cost(mlbuild("run", "pipelines/p.yaml"), folder)
        )
        assert "1 ran" in one.said, one.said
        only_hash(table, "1 file more, hash alone", folder / data, place / "state", None)
        (folder / data / "000/new.jpg").unlink()
        shutil.rmtree(place / "state")
        restored(table, folder, data, ours)
        table.add("scandir and stat", cost(look, folder))
    clean = subprocess.run(dvc("status"), cwd=folder, env=ENVIRONMENT, capture_output=True)
    assert clean.returncode == 0
    table.show(f"{count} files of 1 to 4 kB", "scandir and stat")
    shutil.rmtree(folder)


def restored(table: Table, folder: Path, data: str, digest: str) -> None:
    """Both bring the folder back from the cache."""
    (folder / f"{data}.dvc").write_text(f"outs:\n- md5: {digest}\n  hash: md5\n  path: {data}\n")
    code = (
        "import sys; from pathlib import Path; from mlbuild.records import Digest\n"
        "from mlbuild.store.cache import Objects; from mlbuild.store.init import cache_settings\n"
        "objects = Objects(*cache_settings(Path()))\n"
        "objects.checkout(Digest(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    shutil.rmtree(folder / data)
    table.add("mlbuild restores it", cost([PYTHON, "-c", code, digest, data], folder))
    checked = cost([PYTHON, "-c", DIGEST, str(folder / data), str(folder / ".state")], folder)
    assert checked.said.strip() == digest
    shutil.rmtree(folder / ".state")
    shutil.rmtree(folder / data)
    table.add("dvc checkout", cost(dvc("checkout", "-q", f"{data}.dvc"), folder))


def one_large_file(place: Path, gigabytes: float, rounds: int) -> None:
    """The table of one large file."""
    size, data = int(gigabytes * 1e9), "data/big.bin"
    folder = project(place / "large", lambda p: large_file(p, size), data)
    table, path = Table(), folder / data
    for _ in range(rounds):
        table.add("read", cost([PYTHON, "-c", READ, data], folder))
        table.add("MD5 on one core", cost([PYTHON, "-c", HASH, data], folder))
        theirs = by_dvc(table, folder, data)
        ours = by_mlbuild(table, folder, data)
        assert ours == theirs, (ours, theirs)
        only_hash(table, FIRST, path, place / "state", ours)
        os.utime(path)
        only_hash(table, TOUCHED, path, place / "state", ours)
        shutil.rmtree(place / "state")
        os.utime(path)
        touched = table.add(
            "mlbuild run after a touch", cost(mlbuild("run", "pipelines/p.yaml"), folder)
        )
        assert "1 reused" in touched.said, touched.said
        os.utime(path)
        table.add("dvc status after a touch", cost(dvc("status"), folder))
        with path.open("rb") as file:
            assert hashlib.file_digest(file, "md5").hexdigest() == ours
    table.show(f"one file of {gigabytes:g} GB", "MD5 on one core")
    bound = size / 1e6 / table.median("MD5 on one core", "cpu")
    print(f"MD5 allows {bound:.0f} MB/s on one core; reached in wall time:")
    for name in (FIRST, TOUCHED):
        speed = size / 1e6 / table.median(name, "wall")
        print(f"{name:42}{speed:9.0f} MB/s, {100 * speed / bound:.0f} %")
    shutil.rmtree(folder)


def main() -> None:
    """Makes the data, prints the tables, removes the data."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the data is made and removed again")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlbuild-benchmark-", dir=chosen.folder) as scratch:
        folder_of_files(Path(scratch), chosen.files, chosen.rounds)
        one_large_file(Path(scratch), chosen.gigabytes, chosen.rounds)


if __name__ == "__main__":
    main()
