"""Lays profiles and ``--set`` over a pipeline file: maps merge, the rest replaces, null removes."""

from __future__ import annotations

import re
from collections.abc import Sequence as Several

from mlbuild.errors import PipelineError, Problem, did_you_mean
from mlbuild.pipeline.compose import compose
from mlbuild.pipeline.nodes import Entry, Mapped, Node, Scalar, Source
from mlbuild.pipeline.problems import Problems

_NAME = re.compile(r"[^.=\s][^.=]*")
_SECTIONS = ("params", "stages", "datasets", "toolchains")


def merge(below: Node, above: Node) -> Node:
    """``above`` laid over ``below``; neither is changed."""
    if not (isinstance(below, Mapped) and isinstance(above, Mapped)):
        return above
    merged = Mapped(below.source, below.line, below.column)
    merged.entries = dict(below.entries)
    for name, key, value in above.pairs():
        if isinstance(value, Scalar) and value.value is None:
            merged.entries.pop(name, None)
            continue
        old = merged.entries.get(name)
        merged.entries[name] = Entry(old.key, merge(old.value, value)) if old else Entry(key, value)
    return merged


def with_profiles(root: Mapped, names: Several[str], problems: Problems) -> Mapped:
    """The file with the named profiles laid over it; the last one is on top."""
    section = root.get("profiles")
    known = section.entries if isinstance(section, Mapped) else {}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or (None if known else "the file has no profiles")
            message = f"--profile {name}: there is no such profile"
            raise PipelineError(Problem(message, allowed=tuple(known), hint=hint))
    base = Mapped(root.source, root.line, root.column)
    base.entries = {name: e for name, e in root.entries.items() if name != "profiles"}
    for name in names:
        profile = known[name].value
        if isinstance(profile, Mapped):
            merged = merge(base, profile)
            assert isinstance(merged, Mapped)
            base = merged
        else:
            problems.add(profile, f"profile '{name}' is a map, not {profile.what}")
    return base


def with_sets(root: Mapped, sets: Several[str], problems: Problems) -> Mapped:
    """The file with each ``--set PATH=VALUE`` laid over it."""
    for argument in sets:
        root = _with_set(root, argument, problems)
    return root


def _with_set(root: Mapped, argument: str, problems: Problems) -> Mapped:
    source = Source("--set", tuple(argument.splitlines()) or ("",))
    where = Scalar(source, 0, 0, argument)
    path, equals, text = argument.partition("=")
    names = path.strip().split(".")
    if not equals or not all(_NAME.fullmatch(name) for name in names):
        problems.add(where, "--set takes NAME=VALUE", hint="--set bits=4")
        return root
    value = _value(text, argument, problems)
    if value is None:
        return root
    params = root.get("params")
    params = params if isinstance(params, Mapped) else Mapped(source, 0, 0)
    if names[0] in params.entries or names[0] not in _SECTIONS:
        return _with_param(root, params, names, where, value, problems)
    if names[0] == "params" and len(names) > 1:
        return _with_param(root, params, names[1:], where, value, problems)
    return _over(root, names, where, value)


def _with_param(
    root: Mapped,
    params: Mapped,
    names: list[str],
    where: Scalar,
    value: Node,
    problems: Problems,
) -> Mapped:
    inside: Node = params
    for depth, name in enumerate(names):
        if not isinstance(inside, Mapped) or name not in inside.entries:
            known = list(inside.entries) if isinstance(inside, Mapped) else []
            above = f" in '{'.'.join(names[:depth])}'" if depth else ""
            problems.add(
                where,
                f"unknown parameter '{name}'{above}",
                allowed=known,
                word=name,
                hint=None if known else "the file has no 'params' that could be set",
            )
            return root
        inside = inside.entries[name].value
    if isinstance(value, Scalar) and value.value is None:
        # A parameter that was taken away could not be used: here null is a value.
        return _replace(root, ["params", *names], value)
    return _over(root, ["params", *names], where, value)


def _over(root: Mapped, names: list[str], where: Scalar, value: Node) -> Mapped:
    for name in reversed(names):
        outer = Mapped(where.source, where.line, where.column)
        outer.entries[name] = Entry(Scalar(where.source, where.line, where.column, name), value)
        value = outer
    merged = merge(root, value)
    assert isinstance(merged, Mapped)
    return merged


def _replace(root: Mapped, names: list[str], value: Node) -> Mapped:
    copy = Mapped(root.source, root.line, root.column)
    copy.entries = dict(root.entries)
    entry = copy.entries[names[0]]
    inner = entry.value
    if len(names) > 1:
        assert isinstance(inner, Mapped)
        copy.entries[names[0]] = Entry(entry.key, _replace(inner, names[1:], value))
    else:
        copy.entries[names[0]] = Entry(entry.key, value)
    return copy


def _value(text: str, argument: str, problems: Problems) -> Node | None:
    """The YAML value behind the equals sign, with places in the whole argument."""
    offset = len(argument) - len(text)
    source = Source("--set", tuple(argument.splitlines()))
    try:
        # Blanks keep the columns; a value may itself look like a map in one line.
        found = compose(" " * offset + text, source, problems)
    except PipelineError:
        problems.add(
            Scalar(source, 0, offset, text),
            "--set: the value is not valid YAML",
            hint="put text with special characters in quotes: --set 'name=\"a: b\"'",
        )
        return None
    return found if found is not None else Scalar(source, 0, offset, None)
