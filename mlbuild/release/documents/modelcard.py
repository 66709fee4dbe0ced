"""The model card of a CycloneDX document: what the model takes, how good it is, what it is for."""

from __future__ import annotations

from mlbuild.records import Json
from mlbuild.release.documents import wording
from mlbuild.release.documents.figures import by_label, figures, judging, main_model
from mlbuild.release.documents.task import task
from mlbuild.release.documents.wording import Measured
from mlbuild.release.facts import ReleaseFacts


def model_card(facts: ReleaseFacts, datasets: list[str]) -> dict[str, Json]:
    """The model card, without what nothing is known of.

    Args:
        facts: of the release.
        datasets: the references of the components that are its data.
    """
    parts = {
        "modelParameters": _parameters(facts, datasets),
        "quantitativeAnalysis": {"performanceMetrics": _metrics(facts)},
        "considerations": _considerations(facts),
    }
    return {key: value for key, value in parts.items() if any(value.values())}


def texts(value: Json) -> list[str]:
    """What a user wrote, a text or a list of texts, as a list without empty ones."""
    many = value if isinstance(value, list | tuple) else [value]
    return [text for one in many if one is not None and (text := wording.told(one).strip())]


def _parameters(facts: ReleaseFacts, datasets: list[str]) -> dict[str, Json]:
    main = main_model(facts)
    model = (main.model or {}) if main else {}
    found: dict[str, Json] = {
        "task": task(facts),
        "architectureFamily": model.get("type"),
        "datasets": [{"ref": reference} for reference in sorted(datasets)],
        "inputs": [{"format": str(f.get("type"))} for f in model.get("inputs") or ()],
        "outputs": [{"format": str(f.get("type"))} for f in model.get("outputs") or ()],
    }
    return {key: value for key, value in found.items() if value}


def _metrics(facts: ReleaseFacts) -> list[Json]:
    rows = [
        _metric(f.metric, f.now, f"stage {f.stage}") for f in figures(facts) if not f.is_of_label
    ]
    judge = judging(facts)
    for label in by_label(judge) if judge else ():
        place = f"stage {judge.name}, label {label.label}" if judge else ""
        for name, recorded in (("recall", label.recall), ("precision", label.precision)):
            rows += [_metric(name, recorded, place)] if recorded is not None else []
    return rows


def _metric(name: str, recorded: Measured, place: str) -> Json:
    found: dict[str, Json] = {"type": name, "value": repr(recorded.value), "slice": place}
    if recorded.low is not None and recorded.high is not None:
        found["confidenceInterval"] = {
            "lowerBound": repr(recorded.low),
            "upperBound": repr(recorded.high),
        }
    return found


def _considerations(facts: ReleaseFacts) -> dict[str, Json]:
    card = facts.card
    found: dict[str, Json] = {
        "useCases": texts(card.get("intended_use")),
        "technicalLimitations": texts(card.get("limits"))
        + [f"out of scope: {text}" for text in texts(card.get("out_of_scope"))],
        "ethicalConsiderations": [{"name": text} for text in texts(card.get("ethics"))],
    }
    return {key: value for key, value in found.items() if value}
