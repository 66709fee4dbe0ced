"""The section ``release``: what `mlbuild release` releases, and under what terms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mlbuild.pipeline import fields, keys
from mlbuild.pipeline.draft import Draft
from mlbuild.pipeline.gates import read_gate
from mlbuild.pipeline.nodes import Mapped, Node, Scalar, Sequence
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import ToDataset, ToStage, parse, parse_need
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill
from mlbuild.pipeline.targets import Targets, variant_names
from mlbuild.publishing import check_spec
from mlbuild.records import Dataset, Gate, Json, ReleaseSpec, StageOutput

_WHERE = "'release'"
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")  # what GTO takes for the name of an artifact
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class Released(NamedTuple):
    """The part of the section that stages may speak of."""

    section: Mapped
    name: str
    artifacts: dict[str, ToStage]

    def datasets(self, drafts: Iterable[Draft]) -> dict[str, Dataset]:
        """What stages read of the last release: ``release.model`` is a dataset like any other."""
        links = [r for draft in drafts for wire in draft.wires for r in wire.references]
        named = {r.name.removeprefix("release.") for r in links if isinstance(r, ToDataset)}
        return {
            f"release.{name}": Dataset(
                f"release.{name}",
                "release",
                self.name,
                {"artifact": name, "stage": link.stage, "output": link.output},
                link.node.place,
            )
            for name, link in self.artifacts.items()
            if name in named
        }


def read_released(
    section: Node | None, pipeline: str, params: Mapping[str, Json], problems: Problems
) -> Released | None:
    """Name and artifacts; None where the file has no such section."""
    mapped = fields.mapped(problems, section, _WHERE)
    if mapped is None:
        return None
    fields.check_keys(problems, mapped, keys.RELEASE, _WHERE)
    scope = Scope({"params": params}, _WHERE, problems)
    fallen = re.sub(r"[^a-z0-9]+", "-", pipeline.lower()).strip("-")
    name = _text(mapped, "name", scope)
    if not _NAME.fullmatch(fallen if name is None else name):
        at = mapped.get("name") or mapped
        hint = "lower-case letters, digits and '-'; it begins with a letter: git tags bear it"
        problems.add(at, f"{_WHERE}: 'name' is no name for a release", got=name, hint=hint)
    return Released(mapped, name or fallen, dict(_artifacts(mapped, problems)))


def _artifacts(section: Mapped, problems: Problems) -> Iterable[tuple[str, ToStage]]:
    inner = section.get("artifacts")
    what = f"{_WHERE}: 'artifacts'"
    if inner is None or (isinstance(inner, Mapped) and not inner.entries):
        hint = "artifacts: {model: STAGE.OUTPUT}"
        problems.add(inner or section, f"{_WHERE} names no artifacts", hint=hint)
        return
    for name, _, node in fields.named(problems, inner, what, "an artifact"):
        where = f"{what}: '{name}'"
        text = node.value if isinstance(node, Scalar) else None
        found = parse(text, node, where, problems) if isinstance(text, str) else None
        if isinstance(found, ToStage) and not found.templated:
            yield name, found
        elif found is not None or not isinstance(text, str):
            problems.add(node, f"{where} is an output of a stage", hint="STAGE.OUTPUT")


def settle_release(
    released: Released, drafts: Mapping[str, Draft], targets: Targets, scope: Scope
) -> ReleaseSpec:
    """The whole section, once all stages are expanded."""
    section = released.section
    artifacts = {}
    for name, link in released.artifacts.items():
        where = f"{_WHERE}: artifact '{name}'"
        if link.stage not in drafts or link.output not in (drafts[link.stage].outputs or {}):
            known = [f"{d.name}.{out}" for d in drafts.values() for out in d.outputs or {}]
            message = f"{where}: there is no output '{link}'"
            scope.problems.add(link.node, message, allowed=known, word=str(link))
            continue
        if not link.picks and drafts[link.stage].variants != [{}]:
            names = [f"{name}.{link.output}" for name in variant_names(drafts[link.stage])]
            message = f"{where}: '{link}' is several artifacts, and a release names each"
            scope.problems.add(link.node, message, allowed=names)
            continue
        stage = targets.one(link, {}, where)
        if stage is not None:
            artifacts[name] = StageOutput(stage, link.output)
    first = _text(section, "first", scope) or "1.0.0"
    if not _VERSION.fullmatch(first):
        message = f"{_WHERE}: 'first' is a version of three numbers"
        scope.problems.add(section.entries["first"].value, message, got=first, hint='"1.0.0"')
    return ReleaseSpec(
        released.name,
        artifacts,
        tuple(_gates(section, drafts, targets, scope)),
        first,
        tuple(_channels(section, scope)),
        tuple(_publishers(section, scope)),
        _signing(section, scope),
        _card(section, scope),
        section.place,
    )


def _gates(
    section: Mapped, drafts: Mapping[str, Draft], targets: Targets, scope: Scope
) -> Iterable[tuple[str, Gate]]:
    inner = fields.mapped(scope.problems, section.get("gates"), f"{_WHERE}: 'gates'")
    for name, key, node in inner.pairs() if inner else ():
        stage, _, metric = _split(name)
        where = Scope(scope.values, f"{_WHERE}: gate '{name}'", scope.problems)
        link = parse_need(stage, key, where.where, scope.problems) if metric else None
        if link is None or link.stage not in drafts:
            message = f"{where.where} names a stage and its metric"
            hint = "validate.psnr_db: {min: 40}"
            scope.problems.add(key, message, allowed=drafts, word=stage, hint=hint)
            continue
        draft = drafts[link.stage]
        metrics = None
        if draft.loaded is not None and not draft.loaded.kind.open:
            metrics = draft.loaded.kind.metrics
        gate = read_gate(metric, key, node, metrics, where)
        for variant, _ in targets.all(link, {}, where.where) if gate is not None else ():
            assert gate is not None
            yield variant, gate


def _split(name: str) -> tuple[str, str, str]:
    """``validate[bits=6].psnr_db`` -> stage, dot, metric."""
    end = name.find("].") + 1
    return (name[:end], ".", name[end + 1 :]) if end else name.partition(".")


def _channels(section: Mapped, scope: Scope) -> Iterable[str]:
    for text in _texts(section.get("channels"), f"{_WHERE}: 'channels'", scope):
        if _NAME.fullmatch(text):
            yield text
        else:
            hint = "lower-case letters, digits and '-'"
            at = section.entries["channels"].value
            scope.problems.add(at, f"{_WHERE}: no name for a channel", got=text, hint=hint)


def _publishers(section: Mapped, scope: Scope) -> Iterable[Mapping[str, Json]]:
    node = section.get("publish")
    for item in fields.listed(node) if node is not None else ():
        where = f"{_WHERE}: 'publish'"
        value = fill(item, scope)
        fault = check_spec(value) if isinstance(value, Mapping) else None
        if fault is not None:
            inner = item.get(fault.key) if isinstance(item, Mapped) and fault.key else None
            told = fault.problem
            message, more = f"{where}: {told.message}", {"got": told.got, "hint": told.hint}
            scope.problems.add(inner or item, message, allowed=told.allowed, **more)
        elif isinstance(item, Mapped) and isinstance(value, Mapping):
            yield value
        elif value is not UNKNOWN:
            hint = "publish: [{folder: ../releases}]"
            scope.problems.add(item, f"{where} is a list of maps", got=item.what, hint=hint)


def _signing(section: Mapped, scope: Scope) -> dict[str, Json]:
    where = f"{_WHERE}: 'sign'"
    inner = fields.mapped(scope.problems, section.get("sign"), where)
    if inner is None:
        return {}
    fields.check_keys(scope.problems, inner, keys.SIGN, where)
    found = {name: fill(node, scope) for name, _, node in inner.pairs() if name in keys.SIGN}
    ways = [name for name in ("key_env", "key", "keyless") if found.get(name)]
    if len(ways) != 1:
        hint = "{key_env: MLBUILD_SIGNING_KEY, public_key: keys/release.pub}, or {keyless: true}"
        scope.problems.add(inner, f"{where} has one of key_env, key and keyless", hint=hint)
    return found


def _card(section: Mapped, scope: Scope) -> dict[str, Json]:
    where = f"{_WHERE}: 'card'"
    inner = fields.mapped(scope.problems, section.get("card"), where)
    if inner is None:
        return {}
    fields.check_keys(scope.problems, inner, keys.CARD, where)
    found: dict[str, Json] = {}
    for name, _, node in inner.pairs():
        if name not in keys.CARD:
            continue
        if "anyOf" in keys.CARD[name]:
            found[name] = list(_texts(node, f"{where}: '{name}'", scope))
        else:
            found[name] = _text(inner, name, scope)
    return found


def _text(section: Mapped, name: str, scope: Scope) -> str | None:
    node = section.get(name)
    value = UNKNOWN if node is None else fill(node, scope)
    if node is None or value is UNKNOWN:
        return None
    return fields.text(scope.problems, value, node, f"{scope.where}: '{name}'")


def _texts(node: Node | None, what: str, scope: Scope) -> Iterable[str]:
    """A text, or a list of them."""
    if node is None:
        return
    value = fill(node, scope)
    items = value if isinstance(value, list) else [value]
    at = node.items if isinstance(node, Sequence) and len(node.items) == len(items) else [node]
    for number, item in enumerate(items):
        if item is UNKNOWN:
            continue
        text = fields.text(scope.problems, item, at[min(number, len(at) - 1)], what)
        if text is not None:
            yield text
