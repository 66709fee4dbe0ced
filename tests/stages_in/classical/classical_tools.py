"""The mapping of models of tables, for tests that need no stage around it."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from pathlib import Path
from typing import Any

_STAGES = Path(__file__).resolve().parents[3] / "stages"
_ROOT = "stages_under_test"


def shared(name: str) -> Any:
    """A module of ``stages/_shared/classical``."""
    if _ROOT not in sys.modules:
        root = types.ModuleType(_ROOT)
        root.__path__ = [str(_STAGES)]
        sys.modules[_ROOT] = root
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of coremltools about versions
        return importlib.import_module(f"{_ROOT}._shared.classical.{name}")


def task_of(library: str, model: Any, columns: Any, **given: Any) -> Any:
    """What ``convert/coreml`` makes of a model; columns are names, or (name, type)."""
    pairs = [c if isinstance(c, tuple) else (c, "number") for c in columns]
    names = shared("outputs").Names(target=given.pop("target_name", "prediction"))
    facts = {
        "description": {},
        "vector": None,
        "labels": None,
        "native": None,
        "drawn": 60,
        **given,
    }
    return shared("conversion").Task(
        library=library, model=model, columns=pairs, names=names, target="iOS16", **facts
    )


def verified(task: Any, folder: Path, samples: Any = ()) -> Any:
    """Converts and compares; the model, and how well it agrees."""
    import torch

    torch.set_num_threads(1)
    conversion = shared("conversion")
    made = conversion.make(task, folder / "weights")
    package = folder / "model.mlpackage"
    made.model.save(str(package))
    return made, conversion.check(task, made, package, list(samples))


def opened(folder: Path) -> Any:
    """The written model in the reference runtime."""
    from mlbuild.coreml import load

    return load(folder / "model.mlpackage")


def complaints(spec: Any) -> list[str]:
    """What Core ML's own validators would refuse, as they stand in coremltools' source.

    mlmodel/src/Validation (PipelineValidator, ScalarValidator, LinearModelValidator, ...) is not in
    the wheel for Linux.
    """
    kind = spec.WhichOneof("Type")
    if not kind.startswith("pipeline"):
        return list(_of_model(spec))
    inner = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
    found: list[str] = []
    known = {f.name: f for f in spec.description.input}
    for model in inner.models:
        found += _of_model(model)
        for feature in model.description.input:
            if feature.name not in known:
                found.append(f"{feature.name} is made by nobody")
            elif _type(feature) != _type(known[feature.name]):
                found.append(f"{feature.name} is {_type(known[feature.name])}, {_type(feature)}")
        known.update({f.name: f for f in model.description.output})
    for feature in spec.description.output:
        if feature.name not in known or _type(feature) != _type(known[feature.name]):
            found.append(f"output {feature.name} is not what is made")
    return found


def _type(feature: Any) -> tuple[Any, ...]:
    kind = feature.type.WhichOneof("Type")
    if kind == "multiArrayType":
        array = feature.type.multiArrayType
        return kind, array.dataType, tuple(array.shape)
    if kind == "dictionaryType":
        return kind, feature.type.dictionaryType.WhichOneof("KeyType")
    return (kind,)


def _of_model(spec: Any) -> Any:
    kind = spec.WhichOneof("Type")
    inputs, outputs = spec.description.input, spec.description.output
    missing = ("imputer", "treeEnsembleRegressor", "treeEnsembleClassifier")
    if kind not in missing and any(f.type.isOptional for f in inputs):
        yield f"{kind} has an optional input"
    names = [f.name for f in (*inputs, *outputs)]
    if len(set(names)) < len(names):
        yield f"{kind} has a name twice"
    if kind in ("scaler", "imputer") and len(inputs) == 1 == len(outputs):
        (given,), (made,) = inputs, outputs
        if _type(given)[0] != _type(made)[0] or _type(given)[2:] != _type(made)[2:]:
            yield f"{kind} changes the shape"
    if kind == "arrayFeatureExtractor":
        single = outputs[0].type.WhichOneof("Type") == "doubleType"
        if single and len(spec.arrayFeatureExtractor.extractIndex) != 1:
            yield "one number of several elements"
    if kind == "glmRegressor" and outputs[0].type.WhichOneof("Type") != "doubleType":
        yield "a glmRegressor gives a double"
    predicts = kind.endswith(("Regressor", "Classifier"))
    if predicts and spec.description.predictedFeatureName not in names:
        yield f"{kind} predicts nothing"
    if kind.startswith("treeEnsemble"):
        nodes = getattr(spec, kind).treeEnsemble.nodes
        if any(n.nodeBehavior == 6 and not n.evaluationInfo for n in nodes):
            yield "a leaf without a value"
