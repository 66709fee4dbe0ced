"""The interpreter that runs the tests, and the packages that they need beside the toolchain.

The toolchain's environment is pinned and stays as it is: test tools lie in folders of the user's
cache, one for each set of packages, and are put onto the path.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PYTEST = (
    "pytest==9.2.0",
    "pluggy==1.7.0",
    "iniconfig==2.3.1",
    "packaging==26.3",
    "Pygments==2.21.0",
    "parameterized==0.9.0",
    "requests==2.32.5",
    "urllib3==2.5.0",
    "idna==3.11",
    "certifi==2025.11.12",
    "charset-normalizer==3.4.4",
    "tabulate==0.9.0",
    "mock==5.2.0",
)


@dataclass(frozen=True)
class Tools:
    """An interpreter with torch and coremltools, and folders for its path."""

    python: Path
    folders: tuple[Path, ...]

    @property
    def coremltools(self) -> Path:
        """The folder of the installed coremltools, found without importing it."""
        code = "import importlib.util as u; print(u.find_spec('coremltools').origin)"
        done = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True)
        return Path(done.stdout.strip()).parent


def make_tools(python: Path | None, packages: tuple[str, ...]) -> Tools:
    """Find the interpreter, the toolchain's by default, and install what is missing."""
    python = python or _toolchain()
    return Tools(python, tuple(_folder(python, s) for s in (_PYTEST, packages) if s))


def _toolchain() -> Path:
    from mlbuild.toolchains import Toolchains  # needs the engine, which --python does without

    def tell(done: float, total: float | None, text: str) -> None:
        print(f"torch: {text}", file=sys.stderr)

    return Toolchains(Path(__file__).parents[2], {}).ensure("torch", tell)


def _cache() -> Path:
    own, xdg = os.environ.get("MLBUILD_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME", "")
    if own:
        return Path(own).expanduser().absolute()
    return (Path(xdg) if xdg.startswith("/") else Path.home() / ".cache") / "mlbuild"


def _folder(python: Path, packages: tuple[str, ...]) -> Path:
    name = "-".join(p.replace("==", "-") for p in packages)
    if len(name) > 120:
        name = f"{name[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    folder = _cache() / "test-tools" / name
    if not (folder / "complete").exists():
        print(f"installing {', '.join(packages)}", file=sys.stderr)
        install(python, folder, packages)
        (folder / "complete").touch()
    return folder


def install(python: Path, folder: Path, packages: Sequence[str]) -> None:
    """Put packages, and nothing that they require, into a folder, for that interpreter.

    The toolchain's has no pip: it is this one's that runs there.
    """
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"]
    subprocess.run([*map(str, pip), "--target", str(folder), *packages], check=True)
