"""The section ``artifacts`` of dvc.yaml: what DVC and GTO call the artifacts of a release."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlbuild.errors import LedgerError
from mlbuild.records import Json, ReleaseSpec, Stage
from mlbuild.store.yaml12 import compose, entry, load

_MINE = "mlbuild"  # in the `meta` of what we wrote


def rows_of(
    release: ReleaseSpec | None, stages: Mapping[str, Stage], pipeline: str
) -> dict[str, Json]:
    """The artifacts of a pipeline as dvc.yaml names them.

    The main one bears the release's name, since that is what tags name; others NAME-ARTIFACT.
    """
    rows: dict[str, Json] = {}
    for number, (name, source) in enumerate(release.artifacts.items() if release else ()):
        assert release is not None
        output = stages[source.stage].output(source.output)
        row: dict[str, Json] = {"path": output.path, "type": _kind(output.type)}
        if number == 0 and release.card.get("summary"):
            row["desc"] = release.card["summary"]
        row["meta"] = {_MINE: {"artifact": name, "pipeline": pipeline}}
        rows[release.name if number == 0 else f"{release.name}-{_plain(name)}"] = row
    return rows


def artifact_of(release: str, name: str, row: Json) -> str | None:
    """The pipeline's name for an artifact of dvc.yaml; None where it is of another release."""
    if name != release and not name.startswith(f"{release}-"):
        return None
    meta = row.get("meta") if isinstance(row, dict) else None
    mine = meta.get(_MINE) if isinstance(meta, dict) else None
    return str(mine["artifact"]) if isinstance(mine, dict) and "artifact" in mine else None


def spliced(text: str, pipeline: str, wanted: Mapping[str, Json]) -> str:
    """dvc.yaml with the artifacts of one pipeline; a user's own, and comments, stay as they are.

    Raises:
        LedgerError: a user's own artifact bears a name that is wanted.
    """
    node = _section(text)
    if node is None:
        if not wanted:
            return text
        rows = "".join(entry(name, row, 2) for name, row in wanted.items())
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}artifacts:\n{rows}"
    spans = [_span(text, key, value) for key, value in node.value]
    ours = [_is_ours(text[start:end], pipeline) for start, end in spans]
    names = [key.value for key, _ in node.value]
    for name, mine in zip(names, ours, strict=True):
        if name in wanted and not mine:
            raise LedgerError(
                f"dvc.yaml: artifact '{name}' is there already, and mlbuild did not write it",
                hint="rename it, or give the release another name: `release: {name: ...}`",
            )
    kept = [text[a:b] for (a, b), mine in zip(spans, ours, strict=True) if not mine]
    indent = node.value[0][0].start_mark.column
    rows = "".join([*kept, *(entry(name, row, indent) for name, row in wanted.items())])
    head, tail = text[: spans[0][0]], text[spans[-1][1] :]
    if rows:
        return f"{head}{rows}{tail}"
    return re.sub(r"(?m)^artifacts:[^\n]*\n\Z", "", head) + tail


def _section(text: str) -> Any:
    top = compose(text)
    pairs = top.value if top is not None and isinstance(top.value, list) else ()
    node = next((value for key, value in pairs if key.value == "artifacts"), None)
    if node is None or not node.value:
        return None
    if not isinstance(node.value, list) or node.flow_style:
        raise LedgerError(
            "dvc.yaml: 'artifacts' is not a block, so mlbuild cannot add its own to it",
            hint="write each artifact as a block of its own",
        )
    return node


def _span(text: str, key: Any, value: Any) -> tuple[int, int]:
    """The whole lines of one artifact."""
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    indent = key.start_mark.column
    end = text.find("\n", key.end_mark.index) + 1 or len(text)
    while end < len(text):
        line = text[end : (text.find("\n", end) + 1) or len(text)]
        if line.strip() and len(line) - len(line.lstrip(" ")) <= indent:
            break
        end += len(line)
    return start, end


def _is_ours(block: str, pipeline: str) -> bool:
    found = load(block)
    row = next(iter(found.values()), None) if isinstance(found, dict) else None
    meta = row.get("meta") if isinstance(row, dict) else None
    mine = meta.get(_MINE) if isinstance(meta, dict) else None
    return isinstance(mine, dict) and mine.get("pipeline") == pipeline


def _kind(type_name: str) -> str:
    """What DVC's registry shows: any word."""
    return "model" if "Model" in type_name or type_name == "CoreMLFile" else _plain(type_name)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip(
        "-"
    )
