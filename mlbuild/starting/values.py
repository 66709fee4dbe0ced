"""From choices to the values that templates ask for."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mlbuild import __version__
from mlbuild.starting.choices import Choices
from mlbuild.starting.filling import Values, quoted
from mlbuild.starting.found import Form
from mlbuild.starting.tasks import TASKS

# What a project of a task learns from while it has no data of its own.
_SAMPLES: dict[str, dict[str, str | bool]] = {
    "image-classification": {"pixels": True, "grey": True, "side": "28", "guess": "0.9"},
    "object-detection": {"epochs": "15"},
    "segmentation": {"epochs": "16"},
    "sound": {"rate": "8000", "window": "0.8", "guess": "0.5"},
    "text": {"guess": "0.6", "epochs": "6"},
    "activity": {"window": "50", "guess": "0.6"},
    "tabular": {"target_column": "species", "exclude": "[year]", "guess": "0.8"},
    "drawing": {"pixels": True, "guess": "0.8"},
    "image-similarity": {"pixels": True, "grey": True, "side": "28", "guess": "0.8"},
}
_TOLD = {
    "image-classification": "5,000 handwritten digits",
    "object-detection": "handwritten digits, laid on photographs",
    "segmentation": "handwritten digits, laid on photographs",
    "sound": "tones that the pipeline makes itself",
    "text": "reviews of films",
    "activity": "what a smartwatch felt",
    "tabular": "penguins of three species",
    "drawing": "5,000 handwritten digits",
    "image-similarity": "5,000 handwritten digits",
    "style-transfer": "20 photographs and a picture of a flower",
    "text-generation": "Hamlet",
}
# What a template may ask for and most projects do not have.
_NONE = (
    "pixels", "grey", "side", "label", "source", "pictures", "guess", "annotations", "images",
    "masks", "rate", "window", "session", "text", "target_column", "header", "exclude", "gaps",
    "classification", "epochs", "strokes", "samples", "shapes", "drawn", "validated",
    "reports", "needs", "drawn_from", "model", "model_told", "type", "toolchain", "regression",
    "trusted", "few",
)  # fmt: skip
_FLOAT_ONLY = ("segmentation", "sound", "activity", "tabular", "drawing", "image-similarity",
               "style-transfer", "text-generation")  # fmt: skip


def values_of(choices: Choices, root: Path, publish: str = "") -> dict[str, str | bool]:
    """Every value that a template of ours may ask for.

    Args:
        choices: the project.
        root: paths in the pipeline file are relative to it.
        publish: where releases go, as an entry of the pipeline's `publish:`.
    """
    values: dict[str, str | bool] = dict.fromkeys(_NONE, "")
    values |= _common(choices, publish)
    values |= _of_data(choices, root)
    if choices.model:
        values |= _of_model(choices, root)
    values["grey_word"] = "true" if values["grey"] else "false"
    values["better"] = f"{'min' if values['few'] else 'min_lower'}: {values['guess']}"
    return values | {"selftest": _asked(choices, values)}


def path_in(root: Path, path: Path) -> str:
    """A path as the pipeline file names it: relative to the project, also where it lies beside."""
    whole = path.resolve()
    try:
        return whole.relative_to(root.resolve()).as_posix()
    except ValueError:
        return Path(os.path.relpath(whole, root.resolve())).as_posix()


def title_of(name: str) -> str:
    """`my-app` -> `My app`."""
    words = re.sub(r"[-_]+", " ", name).strip()
    return words[:1].upper() + words[1:]


def _line(text: str) -> str:
    """Text that cannot leave the comment it stands in."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _common(choices: Choices, publish: str) -> dict[str, str | bool]:
    small = choices.compressed and choices.task not in _FLOAT_ONLY
    about = TASKS[choices.task].about
    named = ("torch", "keras", "sklearn", "xgboost", "lightgbm", "onnx", "tensorflow", "coreml")
    return {
        "name": choices.name,
        "named": quoted(choices.name),
        "release": choices.name.lower(),
        "released": quoted(choices.name.lower()),
        "title": title_of(choices.name),
        "title_quoted": quoted(title_of(choices.name)),
        "about": about,
        "about_quoted": quoted(about),
        "target": _target(choices),
        "compressed": small,
        "final": "compress.model" if small else "convert.model",
        "version": __version__,
        "publish": publish,
        "sign": "",
        "script": script_name(choices),
        "boosted": choices.framework in ("xgboost", "lightgbm"),
        **{name: choices.framework == name for name in named},
    }


def _target(choices: Choices) -> str:
    """Text generation keeps its cache as state, which older systems do not have."""
    if choices.task == "text-generation" and choices.target not in ("iOS18", "macOS15"):
        return "macOS15" if choices.target.startswith("macOS") else "iOS18"
    return choices.target


def script_name(choices: Choices) -> str:
    """The file that makes samples, in pipelines/scripts/."""
    return f"{choices.name}_{'tones' if choices.task == 'sound' else 'samples'}.py"


def _of_data(choices: Choices, root: Path) -> dict[str, str | bool]:
    found, task = choices.found, choices.task
    if found is None:
        values: dict[str, str | bool] = {"own": False, "told": _TOLD.get(task, "")}
        values |= _SAMPLES.get(task, {})
    else:
        path = path_in(root, found.path)
        values = {"own": True, "told": _line(f"{path}: {found.why}"), "data": quoted(path)}
        values |= {"side": "64", "epochs": "40", "guess": "0.1", **found.facts}
        values["target_column"] = values.get("target", "")
        values.pop("target", None)
        values["pixels"] = found.form is Form.PIXELS
        values["strokes"] = found.form is Form.STROKES
        values |= _moved(found.path, root, values)
    return values | {"source": _source(choices), "pictures": _pictures(choices, values)}


def _moved(path: Path, root: Path, values: Values) -> dict[str, str | bool]:
    """Names of what lies in the data's folder, as the pipeline file names them."""
    moved: dict[str, str | bool] = {}
    for role in ("images", "masks"):
        if name := values.get(role):
            moved[role] = quoted(path_in(root, path / str(name)))
    if name := values.get("annotations"):
        inside = path_in(root, path / str(name))
        moved["annotations"] = quoted(inside if "/" in inside else f"./{inside}")
    return moved


def _source(choices: Choices) -> str:
    """The pixels of `data/pixels`."""
    if choices.found is None:
        return "datasets.pixels"
    return "datasets.drawings" if choices.task == "drawing" else "datasets.photos"


def _pictures(choices: Choices, values: Values) -> str:
    """What is learnt from, or judged with, by the task's own name for it."""
    own, task = choices.found is not None, choices.task
    if values.get("pixels"):
        return "pictures.images"
    named = {
        "object-detection": ("datasets.pictures", "judge.scenes"),
        "segmentation": ("datasets.pictures", "judge.scenes"),
        "sound": ("datasets.sounds", "sounds.sounds"),
        "drawing": ("datasets.drawings", "pictures.images"),
        "convert-only": ("datasets.samples", "samples.samples"),
    }
    return named.get(task, ("datasets.photos", "datasets.photos"))[0 if own else 1]


def _asked(choices: Choices, values: Values) -> str:
    """The samples that a self-test may ask about; nothing where there are none."""
    task = choices.task
    if task in ("image-classification", "image-similarity"):
        return "split.test"
    if task in ("sound", "text", "activity") or (task == "tabular" and values["torch"]):
        return "train.samples"
    if task == "tabular":
        return "datasets.table"
    if task == "imagenet":
        return "datasets.samples"
    if task == "text-generation" or values["strokes"] or (choices.model and not values["reports"]):
        return ""
    return str(values["pictures"])


def _of_model(choices: Choices, root: Path) -> dict[str, str | bool]:
    model = choices.model
    assert model is not None
    path, tables = path_in(root, model.path), model.format.toolchain == "classical"
    coreml = model.format.framework == "coreml"
    # Classical models have no weights to compress.
    compressed = choices.compressed and not tables and not model.small
    # What is imported is held against its original by the import itself.
    validated = not coreml and (choices.found is not None or not tables)
    held = ["validate"] * validated + ["compressed"] * compressed
    shapes = ", ".join(f"{n}: {{shape: {s}}}" for n, s in choices.shapes.items())
    return {
        "model": quoted(path),
        "model_told": _line(f"{path}: {model.format.name}"),
        "type": model.type,
        "toolchain": model.format.toolchain,
        "trusted": model.format.trusted,
        "samples": choices.found is not None and bool(held),
        "drawn": choices.found is None and bool(held),
        "validated": validated,
        "reports": f"[{', '.join(f'{stage}.report' for stage in held)}]" if held else "",
        "needs": f"[{', '.join(held)}]",
        "drawn_from": "convert.model" if coreml else "datasets.model",
        "compressed": compressed,
        "final": "compress.model" if compressed else "convert.model",
        "shapes": f"{{{shapes}}}" if shapes else "",
        "shapes_python": repr(choices.shapes),
        "torch_program": model.format.framework == "torch",
    }
