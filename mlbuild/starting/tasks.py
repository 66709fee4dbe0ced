"""What a project can be about: one row a task, with what it can be made of."""

from __future__ import annotations

from dataclasses import dataclass

from mlbuild.starting.found import Form


@dataclass(frozen=True, slots=True)
class Task:
    """One task."""

    help: str
    frameworks: tuple[str, ...]  # the first one is the default
    forms: tuple[Form, ...]  # of data that it takes
    place: str  # where its data are to lie, in a project that has none yet
    about: str  # for README and card


# In the order in which a form of data means a task: the first that takes it is inferred.
TASKS = {
    "imagenet": Task(
        "names the breed of a dog, with ImageNet's own classifier; nothing is trained",
        ("torch",),
        (),
        "data/photos",
        "Names the breed of a dog.",
    ),
    "image-classification": Task(
        "names what a picture shows",
        ("torch", "keras"),
        (Form.PICTURES, Form.PIXELS),
        "data/photos",
        "Names what a picture shows.",
    ),
    "object-detection": Task(
        "finds things in a picture and names them",
        ("torch",),
        (Form.ANNOTATED,),
        "data/pictures",
        "Finds things in a picture and names them.",
    ),
    "segmentation": Task(
        "names what each pixel belongs to",
        ("torch",),
        (Form.MASKS,),
        "data/pictures",
        "Names what each pixel of a picture belongs to.",
    ),
    "sound": Task(
        "names what is heard",
        ("torch",),
        (Form.SOUNDS,),
        "data/sounds",
        "Names what is heard.",
    ),
    "text": Task(
        "names what a text is about",
        ("torch",),
        (Form.TEXT_TABLE, Form.TEXTS),
        "data/texts.csv",
        "Names what a text is about.",
    ),
    "activity": Task(
        "names what somebody does, from sensors",
        ("torch",),
        (Form.SESSIONS, Form.SESSION_TABLE, Form.TABLES),
        "data/sessions.npz",
        "Names what somebody does, from the readings of sensors.",
    ),
    "tabular": Task(
        "tells one column of a table from the others",
        ("sklearn", "xgboost", "lightgbm", "torch"),
        (Form.TABLE, Form.TEXT_TABLE, Form.SESSION_TABLE),
        "data/table.csv",
        "Tells a value from others.",
    ),
    "drawing": Task(
        "names what was drawn",
        ("torch",),
        (Form.STROKES, Form.PICTURES, Form.PIXELS),
        "data/drawings.ndjson",
        "Names what was drawn.",
    ),
    "image-similarity": Task(
        "finds the pictures most like a given one",
        ("torch",),
        (Form.PICTURES, Form.PIXELS),
        "data/photos",
        "Finds the pictures that look most like a given one.",
    ),
    "style-transfer": Task(
        "paints photographs in the style of a picture",
        ("torch",),
        (Form.FLAT_PICTURES, Form.PICTURES),
        "data/photos",
        "Paints a photograph in the style of a picture.",
    ),
    "text-generation": Task(
        "goes on with a text",
        ("torch",),
        (Form.TEXT,),
        "data/text.txt",
        "Goes on with a text.",
    ),
    "convert-only": Task(
        "converts, validates and packages a model that exists",
        ("onnx", "torch", "keras", "sklearn", "xgboost", "tensorflow", "coreml"),
        (Form.ARRAYS, Form.TABLE, Form.FLAT_PICTURES, Form.PICTURES, Form.SESSIONS, Form.PIXELS,
         Form.TEXT_TABLE, Form.SESSION_TABLE),
        "models/model.onnx",
        "A model that was trained elsewhere.",
    ),
}  # fmt: skip

TARGETS = ("iOS15", "iOS16", "iOS17", "iOS18", "macOS12", "macOS13", "macOS14", "macOS15")
# Compressed weights need the system after: an older target's model would be raised to it.
UNCOMPRESSED = ("iOS15", "macOS12")
TARGET = "iOS17"


def task_of(form: Form) -> str | None:
    """The task that data of a form are taken for."""
    return next((name for name, task in TASKS.items() if form in task.forms), None)
