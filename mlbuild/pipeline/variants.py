"""Drafts -> stages: one record for each variant, with every value settled."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlbuild.pipeline import command, fields, keys
from mlbuild.pipeline.draft import Draft, Wire
from mlbuild.pipeline.gates import default_gates, read_gates
from mlbuild.pipeline.matrix import Combo
from mlbuild.pipeline.naming import axes_of, variant_name
from mlbuild.pipeline.nodes import Mapped, Node, Scalar, scalar_text
from mlbuild.pipeline.outputs import Outputs
from mlbuild.pipeline.paths import project_path
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import PerVariant, Reference, ToDataset, ToPath, ToStage, parse
from mlbuild.pipeline.settings import settle
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill, fill_text
from mlbuild.pipeline.targets import Targets, matrix_text
from mlbuild.records import (
    Axes,
    DatasetRef,
    Input,
    Json,
    PathRef,
    Resources,
    Source,
    Stage,
    StageOutput,
)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Builder:
    """Makes the stages of one pipeline."""

    def __init__(
        self,
        params: Mapping[str, Json],
        datasets: Collection[str],
        targets: Targets,
        outputs: Outputs,
        toolchains: Collection[str] | None,
        root: Path,
        problems: Problems,
    ) -> None:
        self.params, self.datasets, self.targets, self.outputs = params, datasets, targets, outputs
        self.toolchains, self.root, self.problems = toolchains, root, problems

    def stage(self, draft: Draft, combo: Combo, slug: str) -> Stage:
        """One variant."""
        axes = axes_of(combo)
        scope = Scope({"params": self.params, "matrix": combo}, draft.where, self.problems)
        params = self._settings(draft, scope, axes)
        metrics = None
        if draft.loaded is not None and not draft.loaded.kind.open:
            metrics = draft.loaded.kind.metrics
        elif draft.command is not None and "metrics" not in draft.node.entries:
            metrics = {}
        gates, exclude = read_gates(draft.node.get("gates"), metrics, scope)
        if draft.loaded is not None and draft.node.get("gates") is None:
            gates = default_gates(draft.loaded.kind.gates, draft.key.place)
        needs = [n for link in draft.needs for n in self.targets.needed(link, combo, draft.where)]
        timeout = self._figure(draft, "timeout_minutes", scope, above=0)
        retries = self._figure(draft, "retries", scope, whole=True, least=0, most=100)
        return Stage(
            name=variant_name(draft.name, axes),
            base=draft.name,
            axes=axes,
            kind=draft.loaded.name if draft.loaded else None,
            command=self._command(draft, scope),
            params=params,
            inputs=tuple(self._input(draft, wire, combo, scope) for wire in draft.wires),
            outputs=self.outputs.of(draft, slug, params, combo, scope),
            needs=tuple(dict.fromkeys(needs)),
            gates=gates,
            exclude_on_fail=exclude,
            resources=self._resources(draft, scope),
            timeout_minutes=timeout,
            retries=int(retries or 0),
            env=self._env(draft, scope),
            secrets=self._secrets(draft, scope),
            toolchain=self._toolchain(draft, scope),
            run=draft.run,
            place=draft.key.place,
        )

    def _settings(self, draft: Draft, scope: Scope, axes: Axes) -> dict[str, Json]:
        node = draft.node.get("with")
        if draft.loaded is None or (node is not None and not isinstance(node, Mapped)):
            fields.mapped(self.problems, node, f"{scope.where}: 'with'")
            return {}
        given = fill(node, scope) if node is not None else {}
        if given is UNKNOWN:
            return {}
        variant = variant_name(draft.name, axes) if axes else ""
        anchor = node if node is not None else draft.key
        model = draft.loaded.kind.params
        return settle(model, given, anchor, scope.where, self.problems, variant)

    def _input(self, draft: Draft, wire: Wire, combo: Combo, scope: Scope) -> Input:
        where = f"{scope.where}: input '{wire.role}'"
        sources: list[Source] = []
        axes: list[Axes] = []
        for reference in wire.references:
            for source, at in self._sources(reference, wire.many, combo, where):
                sources.append(source)
                axes.append(at)
        many_axes = tuple(axes) if wire.many else ()
        place = wire.references[0].node.place if wire.references else wire.key.place
        spec = draft.loaded.kind.inputs.get(wire.role) if draft.loaded else None
        optional = spec is not None and spec.optional
        return Input(wire.role, tuple(sources), wire.many, many_axes, wire.trust, place, optional)

    def _sources(
        self, reference: Reference | None, many: bool, combo: Combo, where: str
    ) -> list[tuple[Source, Axes]]:
        if isinstance(reference, PerVariant):
            reference = self._settled(reference, combo, where)
        if isinstance(reference, ToPath):
            return [(PathRef(project_path(reference.path, self.root)), ())]
        if isinstance(reference, ToDataset):
            return [(DatasetRef(reference.name), ())]
        if not isinstance(reference, ToStage):
            return []
        if many:
            found = self.targets.all(reference, combo, where)
            return [(StageOutput(n, reference.output), axes_of(v)) for n, v in found]
        name = self.targets.one(reference, combo, where)
        return [(StageOutput(name, reference.output), ())] if name is not None else []

    def _settled(self, reference: PerVariant, combo: Combo, where: str) -> Reference | None:
        text = matrix_text(reference.text, reference.node, combo, where, self.problems)
        if text is None:
            return None
        found = parse(text, reference.node, where, self.problems)
        if isinstance(found, ToStage):
            message = f"{where}: a matrix axis can name a path or a dataset, not a stage's output"
            self.problems.add(reference.node, message, got=fields.told(text))
            return None
        if isinstance(found, ToDataset) and found.name not in self.datasets:
            what = f"{where}: unknown dataset"
            self.problems.unknown(reference.node, what, found.name, self.datasets)
            return None
        return found

    def _command(self, draft: Draft, scope: Scope) -> str | None:
        node = draft.command
        if node is None:
            return None
        text = str(node.value)
        if "${{" not in text:
            return text
        self._check_mentions(draft, node, text)
        if not any(s in text for s in ("params", "matrix")) and command.only_mentions(text):
            return text
        contexts = {hole.start(): at for hole, at in command.contexts(text)}
        later = Scope(scope.values, f"{scope.where}: 'run'", self.problems, ("inputs", "outputs"))

        def quoted(value: Json, position: int) -> str | None:
            if isinstance(value, Mapping):
                return None
            written = command.quote(value, contexts.get(position, command.Context.BARE))
            if "${{" in written:
                message = f"{scope.where}: 'run': a value that holds '${{{{' cannot be put in"
                self.problems.add(node, message, got=fields.told(value))
            return written

        filled = fill_text(text, node, later, quoted)
        return None if filled is UNKNOWN else str(filled)

    def _check_mentions(self, draft: Draft, node: Scalar, text: str) -> None:
        roles = [wire.role for wire in draft.wires]
        for space, name in sorted(command.mentions(text)):
            allowed = roles if space == "inputs" else list(draft.outputs or {})
            if name not in allowed:
                what = "input" if space == "inputs" else "output"
                message = f"{draft.where}: 'run' names the unknown {what} '{name}'"
                hint = None if allowed else f"the stage declares no {space}"
                self.problems.add(node, message, allowed=allowed, word=name, hint=hint)

    def _resources(self, draft: Draft, scope: Scope) -> Resources:
        node = draft.node.get("resources")
        if node is None:
            return Resources()
        where = f"{scope.where}: 'resources'"
        section = fields.mapped(self.problems, node, where)
        if section is None:
            return Resources()
        fields.check_keys(self.problems, section, keys.RESOURCES, where)
        limits: Mapping[str, dict[str, Any]] = {
            "cpu": {"whole": True, "least": 1},
            "gpu": {"whole": True, "least": 0},
            "memory_gb": {"least": 0},
            "macos": {"whole": True, "least": 0, "most": 1},
        }
        found: dict[str, Any] = {}
        for name, _, value in section.pairs():
            if name in limits:
                figure = self._number(value, f"{where}: '{name}'", scope, **limits[name])
                if figure is not None:
                    found[name] = figure
        return Resources(**found)

    def _figure(self, draft: Draft, name: str, scope: Scope, **limits: Any) -> float | None:
        node = draft.node.get(name)
        if node is None:
            return None
        return self._number(node, f"{scope.where}: '{name}'", scope, **limits)

    def _number(self, node: Node, what: str, scope: Scope, **limits: Any) -> float | None:
        value = fill(node, scope)
        if value is UNKNOWN:
            return None
        return fields.number(self.problems, value, node, what, **limits)

    def _env(self, draft: Draft, scope: Scope) -> dict[str, str]:
        where = f"{scope.where}: 'env'"
        section = fields.mapped(self.problems, draft.node.get("env"), where)
        found: dict[str, str] = {}
        for name, key, node in section.pairs() if section else ():
            if not _VARIABLE.fullmatch(name):
                self.problems.add(key, f"{where}: '{name}' is no name of a variable")
            value = fill(node, scope)
            if value is UNKNOWN:
                continue
            if value is None or isinstance(value, (list, Mapping)) or "\0" in str(value):
                self.problems.add(node, f"{where}: '{name}' is text", got=fields.told(value))
            else:
                found[name] = scalar_text(value)
        return found

    def _secrets(self, draft: Draft, scope: Scope) -> tuple[str, ...]:
        node = draft.node.get("secrets")
        if node is None:
            return ()
        names: list[str] = []
        for item in fields.listed(node):
            value = fill(item, scope)
            if isinstance(value, str) and _VARIABLE.fullmatch(value):
                names.append(value)
            elif value is not UNKNOWN:
                message = f"{scope.where}: 'secrets' names environment variables"
                self.problems.add(item, message, got=fields.told(value))
        env = draft.node.get("env")
        for name in names:
            if isinstance(env, Mapped) and name in env.entries:
                message = f"{scope.where}: '{name}' is in 'env' and in 'secrets'"
                self.problems.add(node, message)
        return tuple(sorted(dict.fromkeys(names)))

    def _toolchain(self, draft: Draft, scope: Scope) -> str | None:
        own = draft.toolchain
        node = draft.node.get("toolchain")
        if node is None:
            return own
        value = fill(node, scope)
        if value is UNKNOWN:
            return own
        name = fields.text(self.problems, value, node, f"{scope.where}: 'toolchain'")
        if name is not None and self.toolchains is not None and name not in self.toolchains:
            what = f"{scope.where}: unknown toolchain"
            self.problems.unknown(node, what, name, sorted(self.toolchains))
        return name
