"""Core ML's compiler, which comes with Xcode: ``xcrun coremlcompiler``.

Sources: Apple, Generating a model encryption key, and Encrypting a model in your app
(https://developer.apple.com/documentation/coreml/encrypting-a-model-in-your-app);
``xcrun coremlcompiler`` without arguments for its options. That xcrun ends with 72 where a tool is
not found, and tools with 69 where Xcode's licence was not accepted, is what they were seen to do.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..files.copying import copy_tree
from ..problem.problem import Problem

_NO_TOOL, _NO_LICENCE = 72, 69
_SHOWN = 12  # lines of the compiler's own words
_SELECT = "sudo xcode-select --switch /Applications/Xcode.app/Contents/Developer"


def coremlcompiler(verb: str, model: Path, target: Path, options: Sequence[str] = ()) -> None:
    """Run it.

    Args:
        verb: compile or generate.
        model: a package or file.
        target: a folder that exists; what is made is put into it.
        options: behind the paths.

    Raises:
        Problem: there is no Xcode, its licence was not accepted, or the model was refused.
    """
    command = ["xcrun", "coremlcompiler", verb, str(model), str(target), *options]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise Problem(
            "there is no `xcrun` on PATH", f"install Xcode from the App Store, then: {_SELECT}"
        ) from error
    said = (done.stdout + done.stderr).decode(errors="replace")
    told = "\n".join(said.splitlines()[-_SHOWN:])
    if done.returncode == _NO_TOOL or "unable to find utility" in told:
        raise Problem(
            "this Mac has no `coremlcompiler`: it comes with Xcode, not with the command line "
            "tools",
            f"install Xcode from the App Store, then: {_SELECT}",
        )
    if done.returncode == _NO_LICENCE or "agreed to the Xcode license" in told:
        raise Problem(
            "Xcode's licence was not accepted on this Mac", "sudo xcodebuild -license accept"
        )
    if done.returncode != 0:
        raise Problem(f"coremlcompiler {verb} failed with exit status {done.returncode}:\n{told}")


def named(model: Path, name: str, folder: Path) -> Path:
    """A copy of a model under another name: what is made of it is called as its file is."""
    copy = folder / (name + model.suffix)
    copy_tree(model, copy)
    return copy


def the_only(folder: Path, pattern: str, what: str) -> Path:
    """The one thing that the compiler left in a folder.

    Raises:
        Problem: it left another number of them.
    """
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        had = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
        raise Problem(f"coremlcompiler left no {what}, but {had}")
    return found[0]


def compile_model(model: Path, name: str, scratch: Path, options: Sequence[str]) -> Path:
    """Compile a model; gives back where the ``.mlmodelc`` lies, in ``scratch``."""
    target = scratch / "compiled"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    coremlcompiler("compile", named(model, name, scratch), target, options)
    return the_only(target, "*.mlmodelc", "compiled model (.mlmodelc)")


def system_options(platform: str | None, deployment_target: str | None) -> list[str]:
    """What the compiler is told of the systems that it compiles for."""
    options = [] if platform is None else ["--platform", platform]
    return options if deployment_target is None else [
        *options, "--deployment-target", deployment_target
    ]  # fmt: skip
