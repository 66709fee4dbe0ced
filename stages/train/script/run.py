"""Load the user's file and call its run(job)."""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from ..._shared.problem.problem import Problem, told

_NAME = "mlbuild_user_script"


@told
def run(job: Any) -> None:
    """Seed everything, then let the file work."""
    script, seed = job.inputs["script"], job.params.seed
    module = _load(script)
    work = getattr(module, "run", None)
    if not callable(work):
        raise Problem(
            f"{script.name} defines no function run(job)",
            hint="def run(job): ...; job.inputs, job.outputs and job.params are there",
        )
    _seed(seed, job.threads)
    job.params = SimpleNamespace(**{**job.params.params, "seed": seed})
    work(job)


def _load(script: Path) -> ModuleType:
    # What it imports lies beside it; the stage's own errors keep their traceback.
    sys.path.insert(0, str(script.resolve().parent))
    spec = importlib.util.spec_from_file_location(_NAME, script)
    if spec is None or spec.loader is None:
        raise Problem(f"{script.name} is no Python file", hint="its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module
    spec.loader.exec_module(module)
    return module


def _seed(seed: int, threads: int) -> None:
    """Seed what the toolchain has; only what the script itself imported costs anything."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
        sys.modules["torch"].set_num_threads(threads)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(seed)
