"""The texts of a Swift package around a Core ML model and its variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..packaging.facts import Facts
from ..problem.problem import Problem
from .features import Property, properties
from .language import Language
from .names import comment, literal
from .platforms import platforms as oldest
from .syntax import complaint
from .variants import Variant

_SCALINGS = {"crop": "centerCrop", "squash": "scaleFill", "pad": "scaleFit"}


@dataclass(frozen=True)
class Preparation:
    """How a picture of any size reaches the model's."""

    scaling: str = "centerCrop"
    crop: float = 1.0

    @staticmethod
    def of(preprocessing: Mapping[str, Any] | None) -> Preparation:
        """From what convert/coreml wrote into the metadata."""
        if preprocessing is None:
            return Preparation()
        resize = preprocessing.get("resize", "crop")
        crop = float(preprocessing.get("crop", 1.0)) if resize == "crop" else 1.0
        return Preparation(_SCALINGS.get(resize, "centerCrop"), crop)


@dataclass(frozen=True)
class Bundled:
    """What lies in the bundle beside the model: newer variants first, and names of files."""

    variants: tuple[Variant, ...] = ()
    files: tuple[str, ...] = ()
    language: Language | None = None


def texts(
    name: str,
    kind: str,
    facts: Facts,
    platforms: Mapping[str, str],
    preparation: Preparation,
    accepted: Sequence[Mapping[str, Any]],
    bundled: Bundled = Bundled(),
) -> dict[str, str]:
    """All text files by their path in the package.

    Args:
        name: of the package and its module, an identifier.
        kind: the wrapper's type.
        facts: of the model.
        platforms: oldest systems that replace what follows from the model.
        preparation: of pictures.
        accepted: figures of reports, for the README.
        bundled: what is beside the model.

    Raises:
        Problem: a feature or platform is unknown, or what came out is no Swift.
    """
    values = {
        "name": name,
        "type": kind,
        **_interface(facts),
        "platforms": oldest(facts.summary["spec_version"], platforms),
        "scaling": preparation.scaling,
        "crop": preparation.crop,
        "target": facts.summary["target"],
        "size": f"{facts.summary['size_bytes'] / 1e6:.2f}",
        "accepted": _rows(accepted),
        "variants": bundled.variants,
        "files": bundled.files,
        "states": bool(facts.description.states),
        "language": bundled.language,
        "takes_ids": [f.name for f in facts.description.inputs] == ["ids"],
        "context": bundled.language.context if bundled.language else 0,
        "prompt_length": bundled.language.prompt_length if bundled.language else 0,
    }
    pages = {
        "Package.swift": "Package.swift.j2",
        "README.md": "README.md.j2",
        f"Sources/{name}/{kind}.swift": "Wrapper.swift.j2",
        f"Tests/{name}Tests/{name}Tests.swift": "Tests.swift.j2",
    }
    if bundled.language:
        pages.update(bundled.language.pages(name))
    environment = _environment()
    written = {
        path: environment.get_template(template).render(values) for path, template in pages.items()
    }
    for path, text in written.items():
        wrong = complaint(text) if path.endswith(".swift") else None
        if wrong:
            raise Problem(f"the Swift made from this model does not parse: {path}:{wrong}")
    return written


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["literal"] = literal
    return environment


def _interface(facts: Facts) -> dict[str, Any]:
    description = facts.description
    inputs, outputs = properties(description.inputs), properties(description.outputs)
    images = [f for f in inputs if f.kind == "image"]
    others = [f for f in inputs if f.kind != "image" and not f.optional]
    metadata = description.metadata
    return {
        "inputs": inputs,
        "outputs": outputs,
        "image": images[0] if len(images) == 1 and not others else None,
        "has_images": any(f.kind == "image" for f in (*inputs, *outputs)),
        "scores": _scores(outputs, description.predicted_probabilities, facts.labels),
        "labels": [literal(v) if isinstance(v, str) else str(v) for v in facts.labels],
        "objects": _objects(outputs, facts.objects),
        "label_type": "String" if all(isinstance(v, str) for v in facts.labels) else "Int64",
        "about": comment(metadata.get("description") or "A Core ML model."),
        "metadata": [
            (key, comment(metadata[key]).replace("|", "\\|"))
            for key in ("author", "license", "version")
            if metadata.get(key)
        ],
    }


def _scores(outputs: list[Property], name: str | None, labels: Sequence[Any]) -> Property | None:
    found = [f for f in outputs if f.name == name and f.kind == "dictionary"]
    return found[0] if found and labels else None


def _objects(outputs: list[Property], labels: Sequence[str]) -> dict[str, Any] | None:
    """What turns a detector's rows into objects: labels, and the properties that hold the rows."""
    found = {f.name: f for f in outputs if f.kind == "multi_array"}
    if not labels or not {"confidence", "coordinates"} <= set(found):
        return None
    return {
        "labels": [literal(label) for label in labels],
        "confidence": found["confidence"].identifier,
        "coordinates": found["coordinates"].identifier,
    }


def _rows(accepted: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    rows = []
    for report in accepted:
        for figure, value in sorted(report["metrics"].items()):
            told = value
            if isinstance(value, dict) and "value" in value:
                told = f"{value['value']:.4g} (n {value['n']})"
            elif isinstance(value, float):
                told = f"{value:.4g}"
            rows.append({"stage": _stage(report), "figure": figure, "value": str(told)})
    return rows


def _stage(report: Mapping[str, Any]) -> str:
    """The kind, and of a matrix which variant it judged."""
    axes = ", ".join(f"{name} {value}" for name, value in sorted(report.get("axes", {}).items()))
    return f"{report['kind']} ({axes})" if axes else str(report["kind"])
