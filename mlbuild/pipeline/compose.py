"""YAML events -> tree of nodes. Not recursive: no depth of nesting can exhaust the stack."""

from __future__ import annotations

from typing import Any

import yaml

from mlbuild.pipeline.nodes import Entry, Mapped, Node, Scalar, Sequence, Source
from mlbuild.pipeline.problems import Problems, fatal
from mlbuild.pipeline.scalars import ScalarError, resolve_plain

MAX_DEPTH = 40
MAX_GROWTH = 200_000  # nodes that aliases may add

# libyaml's parser: ten times as fast as the one in Python, which stays for builds without it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Composer:
    """Puts nodes together; one instance reads one text."""

    def __init__(self, source: Source, problems: Problems) -> None:
        self.source, self.problems = source, problems
        self.open: list[Node] = []  # lists and maps that are not finished
        self.keys: list[Scalar | None] = []  # for each of them: the key that waits for its value
        self.root: Node | None = None
        self.documents = 0
        self.anchors: dict[str, Node] = {}
        self.sizes: dict[int, int] = {}  # id of a finished collection -> nodes below it
        self.counts: list[int] = []  # for each open one: nodes below it so far
        self.names: list[str | None] = []  # for each open one: its anchor
        self.grown = 0

    def read(self, text: str) -> Node | None:
        """The tree of the whole text."""
        for event in yaml.parse(text, Loader=_LOADER):
            self._take(event)
        return self.root

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._attach(self._scalar(event), event, 1)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._begin(event, Mapped if kind is yaml.MappingStartEvent else Sequence)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._end()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                place = self._place(event)
                raise fatal(place, "a second document: a pipeline file is one YAML document")

    def _place(self, event: Any) -> Any:
        mark = event.start_mark
        return self.source.place(mark.line, mark.column)

    def _scalar(self, event: Any) -> Scalar:
        mark = event.start_mark
        node = Scalar(self.source, mark.line, mark.column, event.value)
        if event.tag is not None:
            self._refuse_tag(node, event)
        elif not event.style and not self._is_key():
            try:
                node.value = resolve_plain(event.value)
            except ScalarError as error:
                self.problems.add(node, str(error))
        return node

    def _is_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1], Mapped) and self.keys[-1] is None

    def _refuse_tag(self, node: Node, event: Any) -> None:
        # PyYAML hands "!!int" over as its full name.
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        hint = "remove it; text that looks like a number goes in quotes"
        self.problems.add(node, f"tag '{tag[:60]}' is not allowed here", hint=hint)

    def _begin(self, event: Any, make: type[Mapped] | type[Sequence]) -> None:
        mark = event.start_mark
        node = make(self.source, mark.line, mark.column)
        if event.tag is not None:
            self._refuse_tag(node, event)
        if len(self.open) >= MAX_DEPTH:
            raise fatal(self._place(event), f"nested more than {MAX_DEPTH} levels deep")
        if self._is_key():
            raise fatal(self._place(event), "a list or map as a key")
        if event.anchor is not None:
            # Known only once it is finished: a node cannot hold itself.
            self.anchors.pop(event.anchor, None)
        self.open.append(node)
        self.keys.append(None)
        self.counts.append(1)
        self.names.append(event.anchor)

    def _end(self) -> None:
        node, size, anchor = self.open.pop(), self.counts.pop(), self.names.pop()
        self.keys.pop()
        self.sizes[id(node)] = size
        if anchor is not None:
            self.anchors[anchor] = node
        self._put(node, size)

    def _attach(self, node: Scalar, event: Any, size: int) -> None:
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self._put(node, size)

    def _alias(self, event: Any) -> None:
        node = self.anchors.get(event.anchor)
        if node is None:
            message = f"there is no anchor '&{event.anchor}' before it"
            if event.anchor in self.names:
                message = f"'*{event.anchor}' stands inside its own anchor"
            raise fatal(self._place(event), message)
        size = self.sizes.get(id(node), 1)
        self.grown += size
        if self.grown > MAX_GROWTH:
            message = f"aliases make this file grow beyond {MAX_GROWTH} values"
            raise fatal(self._place(event), message)
        if self._is_key() and not isinstance(node, Scalar):
            raise fatal(self._place(event), "a list or map as a key")
        self._put(node, size)

    def _put(self, node: Node, size: int) -> None:
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        self.counts[-1] += size
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        assert isinstance(parent, Mapped)
        key = self.keys[-1]
        if key is None:
            assert isinstance(node, Scalar)
            self.keys[-1] = node
            return
        self.keys[-1] = None
        name = str(key.value)
        if name in parent.entries:
            first = parent.entries[name].key.line + 1
            self.problems.add(
                key, f"key '{name[:60]}' appears twice", hint=f"first in line {first}"
            )
        else:
            parent.entries[name] = Entry(key, node)


def compose(text: str, source: Source, problems: Problems) -> Node | None:
    """The tree of a YAML text; None where it holds nothing.

    Duplicate keys and tags are noted in ``problems`` and reading goes on.

    Raises:
        PipelineError: the text is no YAML, too deep, or grows too much through aliases.
    """
    try:
        return _Composer(source, problems).read(text)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, source) from error


def _syntax_error(error: yaml.MarkedYAMLError, source: Source) -> Exception:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    if source.lines and line >= len(source.lines):
        line, column = len(source.lines) - 1, len(source.lines[-1])
    place = source.place(line, column)
    what = " ".join(part for part in (error.context, error.problem) if part)
    return fatal(place, f"not valid YAML: {what}", hint=_syntax_hint(place.text or "", column))


def _syntax_hint(text: str, column: int) -> str | None:
    before = text[: column + 1]
    if "\t" in before and not before.strip():
        return "indent with spaces, not with tabs"
    if "${{" in text:
        return 'inside { } and [ ] put it in quotes: "${{ ... }}"'
    return None
