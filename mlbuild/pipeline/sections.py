"""The sections ``datasets`` and ``toolchains``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mlbuild.pipeline import fields, keys
from mlbuild.pipeline.nodes import Mapped, Node, Scalar
from mlbuild.pipeline.paths import project_path
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill
from mlbuild.records import Dataset, Json, ToolchainSpec

_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?\s*==\s*[A-Za-z0-9][\w.+!-]*")
_HEX = {"sha256": re.compile(r"[0-9a-fA-F]{64}"), "md5": re.compile(r"[0-9a-fA-F]{32}")}
_PYTHON = re.compile(r"3\.\d{1,2}")


def read_datasets(
    section: Node | None, params: Mapping[str, Json], root: Path, problems: Problems
) -> dict[str, Dataset | None]:
    """Name -> dataset; None for one that is wrong, which is noted."""
    found: dict[str, Dataset | None] = {}
    for name, key, node in fields.named(problems, section, "'datasets'", "a dataset"):
        where = f"dataset '{name}'"
        scope = Scope({"params": params}, where, problems)
        before = len(problems)
        dataset = _dataset(name, key, node, scope, root)
        found[name] = dataset if len(problems) == before else None
    return found


def _dataset(name: str, key: Scalar, node: Node, scope: Scope, root: Path) -> Dataset | None:
    where, problems = scope.where, scope.problems
    if not isinstance(node, Mapped):
        hint = "a path is written {path: DIR}" if isinstance(node, Scalar) else None
        problems.add(node, f"{where} is a map", got=node.what, hint=hint)
        return None
    schemes = [scheme for scheme in keys.SCHEMES if scheme in node.entries]
    if "git" in schemes:
        schemes.remove("path") if "path" in schemes else None
    if len(schemes) != 1:
        _note_scheme(schemes, key, node, scope)
        return None
    scheme = schemes[0]
    fields.check_keys(problems, node, (scheme, *keys.SCHEMES[scheme]), where)
    values: dict[str, Json] = {}
    for option, _, value in node.pairs():
        if option in (scheme, *keys.SCHEMES[scheme]):
            filled = fill(value, scope)
            if filled is UNKNOWN:
                return None
            values[option] = _checked(option, filled, value, scope)
    at = node.entries[scheme].value
    if scheme == "hf":
        values |= _of_hub(at, scope)
        values["hf"] = values.pop("repo", None)
    location = values.pop(scheme)
    if not isinstance(location, str):
        return None
    location = _location(scheme, location, values, at, key, scope, root)
    return Dataset(name, scheme, location, values, key.place)


def _of_hub(node: Node, scope: Scope) -> dict[str, Json]:
    """What ``hf`` says: repo, rev and type."""
    what = f"{scope.where}: 'hf'"
    if not isinstance(node, Mapped):
        hint = "hf: {repo: ORG/NAME, rev: REVISION}"
        scope.problems.add(node, f"{what} is a map", got=node.what, hint=hint)
        return {}
    fields.check_keys(scope.problems, node, keys.HUB, what)
    for name in ("repo", "rev"):
        if name not in node.entries:
            scope.problems.add(node, f"{what}: '{name}' is missing")
    found: dict[str, Json] = {}
    for name, _, value in node.pairs():
        filled = fill(value, scope) if name in keys.HUB else UNKNOWN
        if filled is not UNKNOWN:
            found[name] = fields.text(scope.problems, filled, value, f"{what}: '{name}'")
    allowed = keys.HUB["type"]["enum"]
    if found.get("type") is not None and found["type"] not in allowed:
        got = str(found["type"])
        scope.problems.unknown(node.entries["type"].value, f"{what}: unknown type", got, allowed)
    return found


def _note_scheme(schemes: list[str], key: Scalar, node: Mapped, scope: Scope) -> None:
    supported = tuple(keys.SCHEMES)
    if schemes:
        message = f"{scope.where} comes from one place, not from {' and '.join(schemes)}"
        scope.problems.add(node.entries[schemes[1]].key, message)
        return
    known = {name for scheme in keys.SCHEMES.values() for name in scheme}
    other = [entry.key for name, entry in node.entries.items() if name not in known]
    if other:
        name = str(other[0].value)
        message = f"{scope.where}: '{name}' is not supported yet"
        scope.problems.add(other[0], message, allowed=supported, word=name)
    else:
        scope.problems.add(
            key, f"{scope.where} does not say where it comes from", allowed=supported
        )


def _checked(option: str, value: Json, node: Node, scope: Scope) -> Json:
    what = f"{scope.where}: '{option}'"
    if option == "hf":
        return value  # a map, which is looked at by itself
    if option == "extract":
        return fields.boolean(scope.problems, value, node, what)
    if option == "files":
        globs = value if isinstance(value, list) else [value]
        if not globs or not all(isinstance(g, str) and g for g in globs):
            message = f"{what} is a glob or a list of globs"
            scope.problems.add(node, message, got=fields.told(value))
        return value
    text = fields.text(scope.problems, value, node, what)
    if text is not None and option in _HEX and not _HEX[option].fullmatch(text):
        length = 64 if option == "sha256" else 32
        message = f"{what} is {length} hexadecimal digits"
        scope.problems.add(node, message, got=fields.told(text))
    return text.lower() if text is not None and option in _HEX else text


def _location(
    scheme: str,
    location: str,
    options: Mapping[str, Json],
    at: Node,
    key: Scalar,
    scope: Scope,
    root: Path,
) -> str:
    where, problems = scope.where, scope.problems
    if scheme == "path":
        return project_path(location, root)
    if scheme == "pypi" and not _PINNED.fullmatch(location.strip()):
        message = f"{where}: 'pypi' names a distribution and its exact version"
        problems.add(at, message, got=fields.told(location), hint="NAME==VERSION")
    if scheme == "url":
        if not re.match(r"https?://|file://", location):
            message = f"{where}: 'url' begins with https://, http:// or file://"
            problems.add(at, message, got=fields.told(location))
        if "sha256" not in options and "md5" not in options:
            message = f"{where}: a url needs the digest of what it gives"
            hint = (
                "add 'sha256: ...' (64 hexadecimal digits; `sha256sum FILE` prints them) or 'md5'"
            )
            problems.add(key, message, hint=hint)
    if scheme == "git" and "rev" not in options:
        message = f"{where}: 'git' needs a revision"
        problems.add(key, message, hint="add 'rev: ...', a tag, branch or commit")
    return location.strip()


def read_toolchains(
    section: Node | None, params: Mapping[str, Json], root: Path, problems: Problems
) -> dict[str, ToolchainSpec]:
    """Name -> toolchain of the pipeline file."""
    found: dict[str, ToolchainSpec] = {}
    for name, key, node in fields.named(problems, section, "'toolchains'", "a toolchain"):
        where = f"toolchain '{name}'"
        section_map = fields.mapped(problems, node, where)
        if section_map is None:
            continue
        fields.check_keys(problems, section_map, keys.TOOLCHAIN, where)
        scope = Scope({"params": params}, where, problems)
        python = _toolchain_text(section_map, "python", key, scope)
        requirements = _toolchain_text(section_map, "requirements", key, scope)
        if python is not None and not _PYTHON.fullmatch(python):
            at = section_map.entries["python"].value
            message = f"{where}: 'python' is a minor version, as \"3.11\""
            problems.add(at, message, got=fields.told(python))
        if requirements is not None:
            requirements = project_path(requirements, root)
            if not (root / requirements).is_file():
                at = section_map.entries["requirements"].value
                problems.add(at, f"{where}: there is no file '{requirements}'")
        if python is not None and requirements is not None:
            found[name] = ToolchainSpec(name, python, requirements, key.place)
    return found


def _toolchain_text(section: Mapped, name: str, key: Scalar, scope: Scope) -> str | None:
    node = section.get(name)
    if node is None:
        scope.problems.add(key, f"{scope.where}: '{name}' is missing")
        return None
    value = fill(node, scope)
    if value is UNKNOWN:
        return None
    return fields.text(scope.problems, value, node, f"{scope.where}: '{name}'")
