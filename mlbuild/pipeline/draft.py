"""A stage as the file has it: keys, kind, matrix and references are read, nothing is expanded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlbuild.errors import PipelineError, did_you_mean, nearest
from mlbuild.pipeline import fields, keys
from mlbuild.pipeline.kinds import Kinds, LoadedKind
from mlbuild.pipeline.matrix import Combo, Matrix, read_matrix
from mlbuild.pipeline.nodes import Mapped, Node, Scalar, Sequence, plain
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import RESERVED, Reference, ToStage, parse, parse_need
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill, fill_text, look_up
from mlbuild.records import Json

IMPLICIT = {"metrics": "Report", "plots": "Folder"}  # output -> type


@dataclass(slots=True)
class Wire:
    """One role of a stage and what it names."""

    role: str
    references: list[Reference]
    many: bool
    trust: bool
    key: Scalar
    type: str | None = None  # what the file says that it is


@dataclass(slots=True)
class Draft:
    """A stage before it is expanded."""

    name: str
    key: Scalar
    node: Mapped
    loaded: LoadedKind | None = None
    command: Scalar | None = None
    matrix: Matrix = field(default_factory=Matrix)
    wires: list[Wire] = field(default_factory=list)
    needs: list[ToStage] = field(default_factory=list)
    outputs: dict[str, str] | None = None  # name -> type; None where they are not known
    toolchain: str | None = None  # of its kind; None where the type of an input leaves it open
    run: str = "run.py"
    broken: bool = False  # its axes are not known: nothing that depends on them is told
    variants: list[Combo] = field(default_factory=list)

    @property
    def where(self) -> str:
        """How messages begin."""
        return f"stage '{self.name}'"

    def links(self) -> list[ToStage]:
        """Every stage that it names."""
        read = [r for wire in self.wires for r in wire.references if isinstance(r, ToStage)]
        return [*read, *self.needs]


def read_drafts(
    section: Node | None, params: Mapping[str, Json], kinds: Kinds, problems: Problems
) -> tuple[dict[str, Draft], set[str]]:
    """All stages that are on, and the names of those that ``if`` took away."""
    drafts: dict[str, Draft] = {}
    off: set[str] = set()
    reader = _Reader(section, params, kinds, problems)
    for name, key, node in fields.named(problems, section, "'stages'", "a stage"):
        if name in RESERVED:
            problems.add(key, f"a stage cannot be called '{name}': references begin so")
        section_map = fields.mapped(problems, node, f"stage '{name}'")
        if section_map is None:
            drafts[name] = Draft(name, key, Mapped(key.source, key.line, key.column), broken=True)
        elif reader.is_on(name, section_map):
            drafts[name] = reader.draft(name, key, section_map)
        else:
            off.add(name)
    return drafts, off


class _Reader:
    """Reads stages of one file."""

    def __init__(
        self,
        section: Node | None,
        params: Mapping[str, Json],
        kinds: Kinds,
        problems: Problems,
    ) -> None:
        self.params, self.kinds, self.problems = params, kinds, problems
        self.kind_names: list[str] | None = None
        self.names = list(section.entries) if isinstance(section, Mapped) else []

    def is_on(self, name: str, node: Mapped) -> bool:
        """Whether its `if` leaves the stage in."""
        switch = node.get("if")
        if switch is None:
            return True
        where = f"stage '{name}'"
        scope = Scope({"params": self.params}, where, self.problems)
        if isinstance(switch, Scalar) and str(switch.value).startswith("params."):
            # `if: params.x` is `if: ${{ params.x }}`
            value = look_up(str(switch.value), switch, scope)
        else:
            value = fill(switch, scope)
        if value is UNKNOWN:
            return True
        return fields.boolean(self.problems, value, switch, f"{where}: 'if'") is not False

    def draft(self, name: str, key: Scalar, node: Mapped) -> Draft:
        """The stage, with everything noted that is wrong with it alone."""
        draft = Draft(name, key, node)
        fields.check_keys(self.problems, node, keys.STAGE, draft.where)
        scope = Scope({"params": self.params}, draft.where, self.problems)
        self._what(draft, scope)
        matrix = read_matrix(node.get("matrix"), draft.where, scope)
        if matrix is None:
            draft.broken = True
        else:
            draft.matrix = matrix
        open_scope = Scope({"params": self.params}, draft.where, self.problems, ("matrix",))
        section = fields.mapped(self.problems, node.get("inputs"), f"{draft.where}: 'inputs'")
        what = f"{draft.where}: 'inputs'"
        for role, role_key, value in fields.named(self.problems, section, what, "an input"):
            wire = self._wire(role, role_key, value, open_scope)
            draft.wires.append(wire)
        for item in fields.listed(node.entries["needs"].value) if "needs" in node.entries else ():
            need = self._need(item, open_scope)
            if need is not None:
                draft.needs.append(need)
        return draft

    def _what(self, draft: Draft, scope: Scope) -> None:
        """Kind or command, and the outputs that come of it."""
        node, problems = draft.node, self.problems
        uses, run = node.entries.get("uses"), node.entries.get("run")
        if uses is not None and run is not None:
            problems.add(run.key, f"{draft.where} has 'uses' and 'run'; it can have one of them")
            return
        if uses is None and run is None:
            strange = [name for name in node.entries if name not in keys.STAGE]
            if not any(nearest(name[:60], ("uses", "run")) for name in strange[:20]):
                message = f"{draft.where} has neither 'uses' nor 'run'"
                # A profile that misspells a stage makes a new one.
                near = [name for name in self.names[:1000] if name != draft.name]
                problems.add(draft.key, message, hint=did_you_mean(draft.name, near))
            return
        wrong = keys.RUN_ONLY if uses is not None else keys.USES_ONLY
        for name in wrong:
            if name in node.entries:
                other = "run" if uses is not None else "uses"
                message = f"{draft.where}: '{name}' goes with '{other}'"
                problems.add(node.entries[name].key, message, hint=_MISPLACED.get(name))
        if uses is not None:
            self._kind(draft, uses.value, scope)
        elif run is not None:
            self._run(draft, run.value)

    def _kind(self, draft: Draft, node: Node, scope: Scope) -> None:
        value = fill(node, scope)
        if value is UNKNOWN:
            return
        name = fields.text(self.problems, value, node, f"{draft.where}: 'uses'")
        if name is None:
            return
        if self.kind_names is None:
            self.kind_names = self.kinds.names()
        if name not in self.kind_names:
            message = f"{draft.where}: unknown stage kind"
            self.problems.unknown(node, message, name, self.kind_names)
            return
        try:
            draft.loaded = self.kinds.get(name)
        except PipelineError as error:
            for problem in error.problems:
                at = f"{problem.place}: " if problem.place else ""
                message = f"{draft.where}: {at}{problem.message}"
                self.problems.add(
                    node, message, got=problem.got, allowed=problem.allowed, hint=problem.hint
                )
            return
        draft.outputs = _declared(draft) if draft.loaded.kind.open else {}
        draft.outputs |= outputs_of(draft.loaded)

    def _run(self, draft: Draft, node: Node) -> None:
        what = f"{draft.where}: 'run'"
        if isinstance(node, Scalar) and fields.text(self.problems, node.value, node, what):
            draft.command = node
        elif not isinstance(node, Scalar):
            hint = "several lines go below 'run: |'" if isinstance(node, Sequence) else None
            self.problems.add(node, f"{what} is a command", got=node.what, hint=hint)
        outputs = _declared(draft)
        for name, kind in IMPLICIT.items():
            if name in draft.node.entries:
                outputs[name] = kind
        draft.outputs = outputs

    def _wire(self, role: str, key: Scalar, node: Node, scope: Scope) -> Wire:
        where = f"{scope.where}: input '{role}'"
        many, trust, given = False, False, [node]
        if isinstance(node, Mapped):
            fields.check_keys(self.problems, node, keys.INPUT, where)
            if ("from" in node.entries) == ("all" in node.entries):
                message = f"{where} has either 'from' or 'all'"
                self.problems.add(node, message, hint="{from: REFERENCE} or {all: REFERENCE}")
                return Wire(role, [], False, False, key)
            many = "all" in node.entries
            inner = node.entries["all" if many else "from"].value
            given = fields.listed(inner) if many else [inner]
            switch = node.get("trust")
            if switch is not None:
                value = fill(
                    switch, Scope({"params": scope.values["params"]}, where, self.problems)
                )
                what = f"{where}: 'trust'"
                trust = value is not UNKNOWN and bool(
                    fields.boolean(self.problems, value, switch, what)
                )
        elif isinstance(node, Sequence):
            self.problems.add(node, f"{where} is a list", hint="{all: [REFERENCE, ...]}")
            return Wire(role, [], True, False, key)
        references = [self._reference(item, where, scope) for item in given]
        kind = self._type(node.get("type"), where) if isinstance(node, Mapped) else None
        return Wire(role, [r for r in references if r is not None], many, trust, key, kind)

    def _type(self, node: Node | None, where: str) -> str | None:
        if node is None:
            return None
        from mlbuild.api import TYPES  # lazy: pydantic, which a pipeline of commands does not need

        if isinstance(node, Scalar) and node.value in TYPES:
            return str(node.value)
        got = str(node.value) if isinstance(node, Scalar) else node.what
        self.problems.unknown(node, f"{where}: unknown type", got, TYPES)
        return None

    def _reference(self, node: Node, where: str, scope: Scope) -> Reference | None:
        text = self._reference_text(node, where, scope)
        return None if text is None else parse(text, node, where, self.problems)

    def _need(self, node: Node, scope: Scope) -> ToStage | None:
        text = self._reference_text(node, f"{scope.where}: 'needs'", scope)
        return None if text is None else parse_need(text, node, scope.where, self.problems)

    def _reference_text(self, node: Node, where: str, scope: Scope) -> str | None:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return fields.text(self.problems, plain(node), node, where)
        text = node.value
        if "${{" in text:
            text = fill_text(text, node, scope, lambda v, _: v if isinstance(v, str) else None)
            if text is UNKNOWN:
                return None
        return fields.text(self.problems, text, node, where)


def outputs_of(loaded: LoadedKind) -> dict[str, str]:
    """What every stage of a kind makes: name -> type."""
    found = {name: spec.type for name, spec in loaded.kind.outputs.items()}
    found["metrics"] = IMPLICIT["metrics"]
    if loaded.kind.plots:
        found["plots"] = IMPLICIT["plots"]
    return found


def _declared(draft: Draft) -> dict[str, str]:
    """The outputs that the stage itself names, with their types."""
    section = draft.node.get("outputs")
    outputs = dict.fromkeys(section.entries, "Any") if isinstance(section, Mapped) else {}
    for name in outputs:
        inner = section.get(name) if isinstance(section, Mapped) else None
        declared = plain(inner).get("type") if isinstance(inner, Mapped) else None
        outputs[name] = declared if isinstance(declared, str) else "Any"
    return outputs


_MISPLACED = {
    "with": "a command names its values as ${{ params.NAME }}",
    "metrics": "a kind writes its metrics by itself",
    "plots": "a kind writes its plots by itself",
}
