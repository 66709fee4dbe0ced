"""Where the outputs of a variant lie."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from mlbuild.pipeline import fields, keys
from mlbuild.pipeline.draft import IMPLICIT, Draft
from mlbuild.pipeline.matrix import Combo
from mlbuild.pipeline.naming import camel_case
from mlbuild.pipeline.nodes import Mapped, Node, Scalar
from mlbuild.pipeline.paths import OutsideError, output_path
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill, uses_matrix
from mlbuild.records import Json, Output

# DVC's `persist`: an output that the command finds as its last run left it.
_PERSIST = "a stage that reads what it wrote before gives another result each time it runs"
_PERSIST_HINT = (
    "without 'persist' it starts from nothing; what it should start from is an input, "
    "e.g. an output of another stage or a dataset"
)


def check_outputs(draft: Draft, problems: Problems) -> None:
    """What can be said of declared outputs before the stage is expanded, once for all variants."""
    section = draft.node.get("outputs")
    what = f"{draft.where}: 'outputs'"
    expanded = len(draft.variants) > 1
    for name, key, node in fields.named(problems, section, what, "an output"):
        if name in IMPLICIT:
            hint = f"a command names it beside 'outputs': {name}: PATH" if draft.command else None
            problems.add(key, f"{what}: '{name}' is a name of mlbuild's own", hint=hint)
        elif draft.loaded is not None and not _knows(draft, name):
            message = f"{draft.where}: kind '{draft.loaded.name}' has no output '{name}'"
            problems.add(key, message, allowed=draft.loaded.kind.outputs, word=name)
        if isinstance(node, Mapped):
            _check_map(name, key, node, draft, problems)
        at = node.get("path") if isinstance(node, Mapped) else node
        if expanded and not draft.broken and at is not None:
            _check_expanded(f"output '{name}'", at, draft, problems)
    for name in IMPLICIT:
        at = draft.node.get(name)
        if draft.command is not None and expanded and at is not None and not draft.broken:
            _check_expanded(f"'{name}'", at, draft, problems)


def _knows(draft: Draft, name: str) -> bool:
    assert draft.loaded is not None
    return draft.loaded.kind.open or name in draft.loaded.kind.outputs


def _check_expanded(what: str, node: Node, draft: Draft, problems: Problems) -> None:
    if not uses_matrix(node):
        axes = list(dict.fromkeys(axis for combo in draft.variants for axis in combo))
        message = f"{draft.where}: {what} is one path for {len(draft.variants)} variants"
        hint = "put the axes into it: " + ", ".join(f"${{{{ matrix.{axis} }}}}" for axis in axes)
        problems.add(node, message, hint=hint)


def _check_map(name: str, key: Scalar, node: Mapped, draft: Draft, problems: Problems) -> None:
    where = f"{draft.where}: output '{name}'"
    if "persist" in node.entries:
        problems.add(node.entries["persist"].key, f"{where}: {_PERSIST}", hint=_PERSIST_HINT)
    fields.check_keys(problems, node, {**keys.OUTPUT, "persist": None}, where)
    own = draft.loaded is not None and name in draft.loaded.kind.outputs
    if "path" not in node.entries and not own:
        problems.add(key, f"{where}: 'path' is missing")
    for flag in ("cache", "push"):
        value = node.get(flag)
        if isinstance(value, Scalar):
            fields.boolean(problems, value.value, value, f"{where}: '{flag}'")
    kind = node.get("type")
    if kind is None:
        return
    from mlbuild.api import TYPES  # lazy: pydantic, which a pipeline of commands does not need

    if draft.loaded is not None and name in draft.loaded.kind.outputs:
        problems.add(node.entries["type"].key, f"{where}: its type is the kind's own")
    elif not isinstance(kind, Scalar) or kind.value not in (*TYPES, "Any"):
        got = str(kind.value) if isinstance(kind, Scalar) else kind.what
        problems.unknown(kind, f"{where}: unknown type", got, (*TYPES, "Any"))


class Outputs:
    """Makes the outputs of variants of one pipeline."""

    def __init__(self, pipeline: str, root: Path, problems: Problems) -> None:
        self.pipeline, self.root, self.problems = pipeline, root, problems

    def of(
        self, draft: Draft, slug: str, params: dict[str, Json], combo: Combo, scope: Scope
    ) -> tuple[Output, ...]:
        """All outputs of one variant, the implicit ones last."""
        if draft.loaded is not None:
            return self._of_kind(draft, slug, params, scope)
        found = self._declared(draft, scope, ())
        for name, kind in IMPLICIT.items():
            at = draft.node.get(name)
            path = self._path(at, f"'{name}'", scope)
            if path is not None:
                found.append(Output(name, path, kind, name != "metrics", name))
        return tuple(found)

    def _declared(self, draft: Draft, scope: Scope, known: Container[str]) -> list[Output]:
        """What the stage itself names, beside what is known."""
        found: list[Output] = []
        section = draft.node.get("outputs")
        for name, _, node in section.pairs() if isinstance(section, Mapped) else ():
            at = node.get("path") if isinstance(node, Mapped) else node
            path = None if name in known else self._path(at, f"output '{name}'", scope)
            if path is not None:
                kind = (draft.outputs or {}).get(name, "Any")
                found.append(Output(name, path, kind, _on(node, "cache"), push=_on(node, "push")))
        return found

    def _of_kind(
        self, draft: Draft, slug: str, params: dict[str, Json], scope: Scope
    ) -> tuple[Output, ...]:
        assert draft.loaded is not None
        kind = draft.loaded.kind
        folder = f"build/{self.pipeline}/{slug}"
        section = draft.node.get("outputs")
        named = params.get("name")
        title = camel_case(named if isinstance(named, str) and named else self.pipeline) or "Model"
        found: list[Output] = []
        for name, spec in kind.outputs.items():
            node = section.get(name) if isinstance(section, Mapped) else None
            at = node.get("path") if isinstance(node, Mapped) else node
            path: str | None = f"{folder}/{spec.file.replace('{Name}', title)}"
            if at is not None:
                path = self._path(at, f"output '{name}'", scope)
            if path is not None:
                found.append(
                    Output(name, path, spec.type, _on(node, "cache"), push=_on(node, "push"))
                )
        found += self._declared(draft, scope, kind.outputs)
        found.append(Output("metrics", f"{folder}/metrics.json", "Report", False, "metrics"))
        if kind.plots:
            found.append(Output("plots", f"{folder}/plots", "Folder", role="plots"))
        return tuple(found)

    def _path(self, node: Node | None, what: str, scope: Scope) -> str | None:
        if node is None:
            return None
        value = fill(node, scope)
        if value is UNKNOWN:
            return None
        text = fields.text(self.problems, value, node, f"{scope.where}: {what}")
        if text is None:
            return None
        try:
            return output_path(text, self.root)
        except OutsideError as error:
            hint = "outputs lie in the project, build/ is the usual place"
            message = f"{scope.where}: {what} {error}"
            self.problems.add(node, message, got=fields.told(text), hint=hint)
            return None


def _on(node: Node | None, flag: str) -> bool:
    """A flag that holds unless the file says false."""
    value = node.get(flag) if isinstance(node, Mapped) else None
    return not (isinstance(value, Scalar) and value.value is False)
