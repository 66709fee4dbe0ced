"""The YAML that model hubs read at the head of a model card.

Source: the metadata of model cards as huggingface.co documents it (`license`, `model-index`, ...).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mlbuild.records import Json
from mlbuild.release.documents import wording
from mlbuild.release.documents.figures import Figure, figures, verb
from mlbuild.release.documents.licences import hub
from mlbuild.release.documents.lineage import origins
from mlbuild.release.documents.markup import visible
from mlbuild.release.documents.task import task
from mlbuild.release.facts import DatasetFacts, ReleaseFacts, StageFacts

# What every version of YAML takes for this very string, and not for a number, a date or null.
_PLAIN = re.compile(
    r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z](?:[a-z0-9_./-]*[a-z0-9])?", re.I
)
_METRICS = {"f1_macro": "f1"}  # the hub's name where it is another one


def front_matter(facts: ReleaseFacts) -> str:
    """The block between two lines of dashes, an empty line behind it."""
    return "---\n" + "".join(_mapping(metadata(facts), "")) + "---\n\n"


def metadata(facts: ReleaseFacts) -> dict[str, Json]:
    """Its content; a field that nothing is known of is left out."""
    card = facts.card
    licence = wording.told(card["licence"]).strip() if card.get("licence") else ""
    known = hub(licence) if licence else None
    index = _model_index(facts)
    found: dict[str, Json] = {
        "license": (known or "other") if licence else None,
        "license_name": licence if licence and known is None else None,
        "language": _texts(card.get("language")),
        "library_name": "coreml" if any(a.model is not None for a in facts.artifacts) else None,
        "pipeline_tag": task(facts),
        "tags": _tags(facts),
        "datasets": [_name(data) for data in facts.datasets],
        "metrics": sorted({m["type"] for r in index for m in r["metrics"]}),
        "model-index": [{"name": facts.name, "results": index}] if index else [],
    }
    return {key: value for key, value in found.items() if value}


def _tags(facts: ReleaseFacts) -> list[str]:
    own = [*_texts(facts.card.get("tags")), "core-ml", "on-device", "mlbuild"]
    return list(dict.fromkeys(own))


def _texts(value: Json) -> list[str]:
    """A text or a list of texts as a list."""
    many = value if isinstance(value, list | tuple) else [value]
    return [visible(wording.told(one)) for one in many if one not in (None, "")]


def _name(data: DatasetFacts) -> str:
    """A dataset of a hub by its identifier, others by their names."""
    return visible(data.location if data.scheme in ("hf", "hub") else data.name)


def _model_index(facts: ReleaseFacts) -> list[Mapping[str, Json]]:
    """One result for each stage that measured, over the data that it was given."""
    stages = {stage.name: stage for stage in facts.stages}
    found: dict[str, list[Figure]] = {}
    for figure in figures(facts):
        if verb(stages[figure.stage]) == "validate" and not figure.is_of_label:
            found.setdefault(figure.stage, []).append(figure)
    return [
        {
            "task": {"type": task(facts) or "other"},
            "dataset": _dataset(stages[name], facts),
            "metrics": [_metric(figure) for figure in measured],
        }
        for name, measured in found.items()
    ]


def _metric(figure: Figure) -> Mapping[str, Json]:
    interval = wording.interval(figure.now)
    name = f"{figure.metric} ({figure.stage})"
    return {
        "type": visible(_METRICS.get(figure.metric, figure.metric)),
        "value": figure.now.value,
        "name": visible(f"{name}, 95 % {interval}, n {figure.now.n}" if interval else name),
    }


def _dataset(stage: StageFacts, facts: ReleaseFacts) -> Mapping[str, Json]:
    """What the stage measured on, and the dataset that this was made from."""
    makers = {maker.name: maker for maker in facts.stages}
    place = first = next((come for come, _ in origins(stage.inputs.get("samples"))), stage.name)
    while (maker := makers.pop(place.rpartition(".")[0], None)) is not None:
        came = [come for given in maker.inputs.values() for come, _ in origins(given)]
        place = came[0] if came else place
    known = {f"datasets.{data.name}": data for data in facts.datasets}
    kind = _name(known[place]) if place in known else visible(place)
    name = visible(first.removeprefix("datasets."))
    return {"name": name if first == place else f"{kind} ({name})", "type": kind}


def _mapping(value: Mapping[str, Json], indent: str) -> list[str]:
    lines = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            lines += [f"{indent}{key}:\n", *_mapping(item, indent + "  ")]
        elif isinstance(item, list):
            lines += [f"{indent}{key}:\n", *_list(item, indent)]
        else:
            lines.append(f"{indent}{key}: {_scalar(item)}\n")
    return lines


def _list(value: list[Json], indent: str) -> list[str]:
    lines = []
    for item in value:
        if isinstance(item, Mapping):
            inner = _mapping(item, indent + "  ")
            lines += [f"{indent}- {inner[0][len(indent) + 2 :]}", *inner[1:]]
        else:
            lines.append(f"{indent}- {_scalar(item)}\n")
    return lines


def _scalar(value: Json) -> str:
    """A scalar of JSON, which is one of YAML; plain only where every reader agrees on it."""
    if isinstance(value, float):
        return _float(value)
    if not isinstance(value, str) or not _PLAIN.fullmatch(value):
        return json.dumps(value, ensure_ascii=False)
    return value


def _float(value: float) -> str:
    """With a dot, as YAML 1.1 takes 1e-05 for a string."""
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    if e and "." not in mantissa:
        return f"{mantissa}.0e{exponent}"
    return text
