"""The top of a pipeline file: which keys there are, version, name, ledger, strict."""

from __future__ import annotations

import re
from pathlib import Path

from mlbuild.pipeline import fields, keys
from mlbuild.pipeline.nodes import Mapped, Node, Scalar
from mlbuild.pipeline.problems import Problems

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_top(root: Mapped, problems: Problems) -> None:
    """Notes unknown keys, and what is missing at the top."""
    fields.check_keys(problems, root, keys.TOP, "pipeline file")
    version = root.get("version")
    if version is None:
        hint = f"the first line is 'version: {keys.VERSION}'"
        problems.add(root, "the file names no version of its format", hint=hint)
    elif not isinstance(version, Scalar) or version.value != keys.VERSION:
        _note_version(version, problems)
    if "stages" not in root.entries:
        problems.add(root, "the file has no 'stages'")


def _note_version(node: Node, problems: Problems) -> None:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool) and value > keys.VERSION:
        message = f"version {value} of the pipeline file is newer than this mlbuild knows"
        hint = f"it needs a newer mlbuild; this one reads version {keys.VERSION}"
        problems.add(node, message, hint=hint)
    else:
        allowed = (str(keys.VERSION),)
        problems.add(node, "no such version of the pipeline file", got=node.what, allowed=allowed)


def check_profiles(root: Mapped, problems: Problems) -> None:
    """Notes keys that no profile can have; also of profiles that are not used now."""
    allowed = [key for key in keys.TOP if key not in ("version", "name", "profiles")]
    section = root.get("profiles")
    for name, _, profile in fields.named(problems, section, "'profiles'", "a profile"):
        where = f"profile '{name}'"
        if not isinstance(profile, Mapped):
            if not (isinstance(profile, Scalar) and profile.value is None):
                problems.add(profile, f"{where} is a map", got=profile.what)
            continue
        fields.check_keys(problems, profile, allowed, where)
        stages = profile.get("stages")
        for stage, _, node in stages.pairs() if isinstance(stages, Mapped) else ():
            if isinstance(node, Mapped):
                fields.check_keys(problems, node, keys.STAGE, f"{where}: stage '{stage}'")


def pipeline_name(root: Mapped, file: Path, problems: Problems) -> str:
    """The name in the file; without one, the file's own."""
    node = root.get("name")
    if node is None:
        if _NAME.fullmatch(file.stem):
            return file.stem
        problems.add(root, "the file has no 'name', and its own is none for a pipeline")
        return "pipeline"
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    hint = "letters, digits, '.', '_' and '-'; it begins with a letter or digit"
    problems.add(node, "'name' is no name for a pipeline", got=node.what, hint=hint)
    return "pipeline"


def flag(node: Node | None, what: str, problems: Problems) -> bool:
    """True or false; false where it is not there."""
    if node is None:
        return False
    if isinstance(node, Scalar):
        return fields.boolean(problems, node.value, node, what) is True
    problems.add(node, f"{what} is true or false", got=node.what)
    return False


def with_ledger(root: Mapped, problems: Problems) -> bool:
    """Whether outputs are recorded with DVC."""
    node = root.get("ledger")
    if node is None:
        return True
    value = node.value if isinstance(node, Scalar) else None
    if value not in ("dvc", "none"):
        word = value if isinstance(value, str) else None
        message = "'ledger' has no such value"
        problems.add(node, message, got=node.what, allowed=("dvc", "none"), word=word)
    return value != "none"
