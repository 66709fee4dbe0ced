"""The only door for authors of stages: what a kind's ``spec.py`` may import.

A spec describes a kind; it never does the work. Its ``run.py`` does, in the toolchain's own
interpreter, and imports nothing of mlbuild. A spec is one module-level name::

    from mlbuild.api import In, Kind, Metric, Out, Params, Field

    class LinearParams(Params):
        bits: int = Field(8, ge=4, le=8, description="Bits of each weight.")

    KIND = Kind(
        summary="Quantizes weights linearly.",
        toolchain="torch",
        params=LinearParams,
        inputs={"model": In("CoreMLModel", "The model to compress.")},
        outputs={"model": Out("CoreMLModel", "{Name}.mlpackage", "The compressed model.")},
        metrics={"size_mb": Metric("Size of the result.", unit="MB", better="min")},
    )
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "SUFFIXES",
    "TYPES",
    "ByInput",
    "Field",
    "In",
    "Kind",
    "LayerMatch",
    "Metric",
    "Out",
    "Params",
    "Through",
    "accepts",
    "field_validator",
    "model_validator",
    "run_file",
    "type_of_path",
]

# Artifact types: name -> (what it is a special case of, help). A dataset, a path and the output of
# a `run:` stage that declares no type are "Any", which every input accepts.
TYPES: Mapping[str, tuple[str | None, str]] = {
    "File": (None, "any single file"),
    "Folder": (None, "any folder"),
    "ImageFolder": ("Folder", "photographs, one folder for each class, or flat"),
    "Table": ("File", "CSV, TSV or Parquet; text with a header line"),
    "Report": ("File", "JSON that a stage wrote for people and later stages"),
    "Page": ("File", "HTML that stands alone"),
    "TorchModel": ("Folder", "model.json and model.safetensors: weights, architecture, labels"),
    "TorchScript": ("File", "what torch.jit.save wrote"),
    "ExportedProgram": ("File", "what torch.export.save wrote"),
    "KerasModel": ("File", "an .h5 or .keras file"),
    "SavedModel": ("Folder", "what tf.saved_model.save wrote"),
    "FrozenGraph": ("File", "a TensorFlow graph with its weights as constants, .pb"),
    "OnnxModel": ("File", "an .onnx file"),
    "JaxModel": ("File", "what jax.export serialized"),
    "SklearnModel": ("File", "a scikit-learn estimator, dumped by joblib"),
    "XGBoostModel": ("File", "what XGBoost saved, .json or .ubj"),
    "LightGBMModel": ("File", "the text that LightGBM saved"),
    "LibsvmModel": ("File", "the text that LIBSVM saved"),
    "TuriModel": ("Folder", "what Turi Create saved"),
    "CaffeModel": ("Folder", "one .prototxt and one .caffemodel, perhaps mean and labels"),
    "TFLiteModel": ("File", "a .tflite file"),
    "ExecuTorchModel": ("File", "a .pte file"),
    "CoreAIModel": ("Folder", "an .aimodel"),
    "CoreMLModel": ("Folder", "an .mlpackage"),
    "CoreMLFile": ("File", "an .mlmodel"),
    "Predictions": ("Folder", "a model's answers to samples, as predict/outputs writes them"),
    "Tokenizer": ("Folder", "how text becomes numbers"),
    "Archive": ("File", "a zip file"),
    "SwiftPackage": ("Folder", "a Swift package"),
    "OTABundle": ("Folder", "a signed bundle by which apps update a model"),
}

# What the name of a file or folder says of its type, where the pipeline does not say it.
SUFFIXES: Mapping[str, str] = {
    ".aimodel": "CoreAIModel",
    ".csv": "Table",
    ".h5": "KerasModel",
    ".joblib": "SklearnModel",
    ".keras": "KerasModel",
    ".libsvm": "LibsvmModel",
    ".mlmodel": "CoreMLFile",
    ".mlpackage": "CoreMLModel",
    ".onnx": "OnnxModel",
    ".parquet": "Table",
    ".pb": "FrozenGraph",
    ".pkl": "SklearnModel",
    ".pt": "TorchScript",
    ".pt2": "ExportedProgram",
    ".pte": "ExecuTorchModel",
    ".tflite": "TFLiteModel",
    ".tsv": "Table",
    ".ubj": "XGBoostModel",
}


def type_of_path(path: str) -> str:
    """The type that a path's suffix tells, or "Any"."""
    name = path.rstrip("/").rpartition("/")[2].lower()
    return SUFFIXES.get("." + name.rpartition(".")[2], "Any") if "." in name else "Any"


def accepts(wanted: tuple[str, ...], given: str) -> bool:
    """Whether an input of type ``wanted`` takes an artifact of type ``given``."""
    if given == "Any" or "Any" in wanted:
        return True
    seen: str | None = given
    while seen is not None:
        if seen in wanted:
            return True
        seen = TYPES[seen][0] if seen in TYPES else None
    return False


class Params(BaseModel):
    """Base of a kind's parameters: unknown names are refused, defaults are validated."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, protected_namespaces=()
    )


class LayerMatch(Params):
    """Which layers of a model an override is for. All that is given must hold."""

    name: str | None = Field(
        None, description="Pattern for the name of the weight or of its operator: `*head*`."
    )
    op: str | None = Field(None, description="The operator that uses the weight: `conv`, `linear`.")
    shape: list[int | Literal["*"]] | None = Field(
        None, description='The weight\'s shape; `*` stands for any size: `["*", 1, 3, 3]`.'
    )
    min_elements: int | None = Field(None, ge=0, description="At least so many elements.")
    max_elements: int | None = Field(None, ge=0, description="At most so many elements.")
    depthwise: bool | None = Field(None, description="Whether it is a depthwise convolution.")
    first: bool | None = Field(None, description="Whether it is the first layer of the model.")
    last: bool | None = Field(None, description="Whether it is the last layer of the model.")


@dataclass(frozen=True, slots=True)
class In:
    """An input. ``type`` may name several types as "A | B"; ``many`` inputs take ``{all: ...}``."""

    type: str
    help: str
    optional: bool = False
    many: bool = False

    @property
    def types(self) -> tuple[str, ...]:
        """The types that are accepted."""
        return tuple(t.strip() for t in self.type.split("|"))


@dataclass(frozen=True, slots=True)
class Out:
    """An output. ``file`` is its name in the stage's folder; ``{Name}`` in it is the parameter
    ``name`` where the kind has one that is set, else the pipeline's name, in CamelCase.
    """

    type: str
    file: str
    help: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that the kind records. ``name.*`` in Kind.metrics stands for a family."""

    help: str
    unit: str = ""
    share: bool = False  # between 0 and 1, recorded with n and its 95 % interval
    interval: bool = False  # any number, recorded with a 95 % interval; shares have one anyway
    better: str = "max"  # "max", "min" or "none"


@dataclass(frozen=True, slots=True)
class ByInput:
    """A toolchain that the type of an input decides; the code is then ``run_<toolchain>.py``."""

    role: str
    toolchains: Mapping[str, str]  # type -> toolchain

    def of(self, given: str) -> str | None:
        """The toolchain for an artifact of type ``given``; None where none takes it."""
        if given == "Any":
            return None
        fits = (tool for wanted, tool in self.toolchains.items() if accepts((wanted,), given))
        return next(fits, None)


def run_file(toolchain: str) -> str:
    """The code of a kind whose toolchain its input decides: ``run_core_ai.py``."""
    return f"run_{toolchain.replace('-', '_')}.py"


@dataclass(frozen=True, slots=True)
class Through:
    """An input whose artifact first goes through an ordinary stage of another kind.

    The engine puts that stage in, ``<stage>-<role>``: it is cached, shown and run in its own
    toolchain like any other; the kind itself reads its output.
    """

    kind: str  # "predict/outputs"
    types: str  # of the artifacts that are led so, "A | B"
    role: str  # the input of that kind
    output: str  # what is read of it
    inputs: tuple[str, ...] = ()  # roles that it shares with the stage
    params: Mapping[str, str] = field(default_factory=dict)  # the stage's name -> that kind's


@dataclass(frozen=True, slots=True)
class Kind:
    """Everything the engine knows of a kind without running it."""

    summary: str
    toolchain: str | ByInput
    params: type[Params]
    inputs: Mapping[str, In]
    outputs: Mapping[str, Out]
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    # Limits of its metrics that hold where a pipeline's stage has no `gates`.
    gates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    through: Mapping[str, Through] = field(default_factory=dict)  # by role
    # Stages declare inputs and outputs of their own beside these, as commands do; whatever metrics
    # they record can be gated.
    open: bool = False
    plots: bool = False
    details: str = ""  # a paragraph or two for the docs
    example: Mapping[str, object] = field(default_factory=dict)  # `with:` of the pasted snippet
    key_version: int = 1  # raise it when equal code must nevertheless rebuild
    portable: bool = True  # False: the platform enters the stage key
    uses_coreml: bool = False  # mlbuild.coreml is put on the stage's path and into its key
    fresh: bool = False  # never run in a fork server

    @property
    def toolchains(self) -> tuple[str, ...]:
        """Every toolchain that it may run in."""
        if isinstance(self.toolchain, str):
            return (self.toolchain,)
        return tuple(dict.fromkeys(self.toolchain.toolchains.values()))
