"""What a stage's process sees of the world: little, and the same for everybody.

Everything else of the caller's environment stays outside, so that a stage that works here works for
a colleague and in CI. PYTHONPATH is left out on purpose.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from mlbuild.errors import StageError
from mlbuild.records import Stage

_PASSED = frozenset(
    {
        *("HOME", "LANG", "TMPDIR", "CUDA_VISIBLE_DEVICES"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("NODE_EXTRA_CA_CERTS", "PIP_CERT"),
        *("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"),
    }
)
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_FIXED = {
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",  # what a user installed for himself is not the toolchain's
    # Kinds and scripts lie in folders that are inputs: what changes while it runs is not kept.
    "PYTHONDONTWRITEBYTECODE": "1",
}
_WORKER = {
    "PYTHONUTF8": "1",  # open() means the same on every machine
}


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables of a process, and the values among them that no log may show."""

    variables: Mapping[str, str]
    masked: tuple[str, ...] = ()


def stage_environment(
    stage: Stage,
    caller: Mapping[str, str],
    python: Path | None,
    worker: bool,
    environ: Iterable[tuple[str, str]] = (),
) -> Environment:
    """The whole environment of a stage's process.

    Args:
        stage: gives `env`, `secrets` and its thread count.
        caller: the environment of whoever runs the build.
        python: the toolchain's interpreter; None for the engine's own.
        worker: whether a kind's code runs in it, and not a `run:` command.
        environ: what the toolchain asks for; the stage's own `env` wins.

    Raises:
        StageError: a secret is not set in the caller's environment.
    """
    missing = [name for name in stage.secrets if name not in caller]
    if missing:
        names = ", ".join(missing)
        raise StageError(
            f"stage '{stage.name}': no value for {_plural('secret', missing)} {names}",
            hint=f"set {names} in the environment of mlbuild",
        )
    variables = {name: value for name, value in caller.items() if _is_passed(name)}
    variables["PATH"] = search_path(caller, python)
    variables.update(dict.fromkeys(THREAD_VARIABLES, str(stage.resources.cpu)))
    variables.update(_FIXED)
    variables["SHELL"] = _shell()
    if worker:
        variables.update(_WORKER)
    variables.update(environ)
    variables.update(stage.env)
    secrets = {name: caller[name] for name in stage.secrets}
    variables.update(secrets)
    return Environment(variables, tuple(value for value in secrets.values() if value))


def needed(caller: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """What stages with these secrets can see of the caller's environment, to look at no more."""
    seen = {"PATH", *secrets}
    return {k: v for k, v in caller.items() if k in seen or _is_passed(k)}


def _is_passed(name: str) -> bool:
    return name in _PASSED or name.startswith("LC_")


def search_path(caller: Mapping[str, str], python: Path | None) -> str:
    """PATH with the interpreter's folder first, so that `python` is the stage's own."""
    # The folder of the link, not of what it points to: a virtual environment is made of links.
    return _search_path(caller.get("PATH") or os.defpath, python)


@cache
def _shell() -> str:
    """The same for everybody. Where there is none, bash asks the user database: 0.15 ms a stage."""
    return shutil.which("bash") or "/bin/sh"


@lru_cache(maxsize=64)
def _search_path(rest: str, python: Path | None) -> str:
    first = str((python or Path(sys.executable)).parent)
    return os.pathsep.join([first, *(p for p in rest.split(os.pathsep) if p and p != first)])


def _plural(word: str, things: list[str]) -> str:
    return word if len(things) == 1 else word + "s"
