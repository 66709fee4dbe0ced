"""convert/coreml: a trained network as a Core ML package."""

import re
from typing import List, Literal, Union  # noqa: UP035 - evaluated, on 3.8 too

from mlbuild.api import (
    ByInput,
    Field,
    In,
    Kind,
    Metric,
    Out,
    Params,
    field_validator,
    model_validator,
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}

_RANGE = re.compile(r"(\d+)\.\.(\d+)")

Dimension = Union[int, str, List[int]]  # noqa: UP006, UP007


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"'{name}' cannot name a feature: letters, digits and '_', no digit in front"
        )
    return name


class InputFacts(Params):
    """What a program that does not describe itself leaves open of an input."""

    shape: list[Dimension] | None = Field(
        None,
        description='Shape, `[1, 3, 224, 224]`; in place of a number "1..512" is a range. '
        "Needed for TorchScript; an exported program brings its own.",
    )
    shapes: list[list[int]] | None = Field(
        None, min_length=2, description="Several shapes to choose from; the first is the default."
    )
    kind: Literal["tensor", "image"] = Field("tensor", description="Multi-array or image.")
    dtype: Literal["float32", "float16", "int32"] = Field(
        "float32", description="Of a tensor's values."
    )
    colour: Literal["RGB", "BGR", "GRAY"] = Field("RGB", description="Of an image.")
    scale: float | list[float] = Field(
        1.0,
        description="An image's values (0 to 255) are multiplied by this; one for each channel.",
    )
    bias: float | list[float] = Field(
        0.0, description="Added after scaling; one number or one for each channel."
    )
    tensor: str | None = Field(
        None, description="Of a TensorFlow graph: the tensor that this is, where names differ."
    )

    @field_validator("shape")
    @classmethod
    def _sizes(cls, shape: list[Dimension] | None) -> list[Dimension] | None:
        return None if shape is None else [_dimension(size) for size in shape]

    @model_validator(mode="after")
    def _fits(self) -> "InputFacts":
        if self.shape is not None and self.shapes is not None:
            raise ValueError("an input has either a shape or shapes to choose from")
        if any(size < 1 for shape in self.shapes or () for size in shape):
            raise ValueError("shapes: each size is at least 1")
        if len({len(shape) for shape in self.shapes or ()}) > 1:
            raise ValueError("shapes: all have the same number of dimensions")
        if self.kind == "image":
            self._image_fits()
        elif self.scale != 1.0 or self.bias != 0.0:
            raise ValueError("scale and bias are for kind: image")
        return self

    def _image_fits(self) -> None:
        if self.dtype != "float32":
            raise ValueError("an image has no dtype")
        if any(len(shape) != 4 for shape in (self.shape, *(self.shapes or ())) if shape):
            raise ValueError("an image's shape is [1, channels, height, width]")
        for what, values in (("scale", self.scale), ("bias", self.bias)):
            if isinstance(values, list) and len(values) != _CHANNELS[self.colour]:
                raise ValueError(
                    f"{self.colour} has {_CHANNELS[self.colour]} channels, "
                    f"{what} has {len(values)} values"
                )


class InputSpec(InputFacts):
    """One input, by its name in the Core ML model."""

    name: str = Field(..., description="Name in the Core ML model.")

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        return _named(name)


def _dimension(size: Dimension) -> Dimension:
    """A size, or [low, high] of a range; Core ML programs take none without an end."""
    if isinstance(size, str):
        found = _RANGE.fullmatch(size)
        if found is None:
            raise ValueError(f"shape: '{size}' is no range, which is written 1..512")
        size = [int(found[1]), int(found[2])]
    ends = [size] if isinstance(size, int) else size
    low, high = ends[0], ends[-1]
    if len(ends) not in (1, 2) or low < 1 or high < low:
        raise ValueError(f"shape: {size} is neither a size nor a range [low, high]")
    return size


class ColumnSpec(Params):
    """One column of a model of tables that does not describe itself."""

    name: str = Field(..., min_length=1, description="Name in the table and in the Core ML model.")
    type: Literal["number", "integer", "category"] = Field(
        "number", description="Numbers, whole numbers, or texts."
    )


class ConvertParams(Params):
    """How the network is converted and what the package says of itself."""

    target: Literal[
        "iOS13",
        "iOS14",
        "iOS15",
        "iOS16",
        "iOS17",
        "iOS18",
        "macOS12",
        "macOS13",
        "macOS14",
        "macOS15",
    ] = Field("iOS17", description="Oldest system that shall run the model.")
    format: Literal["mlprogram", "neuralnetwork"] = Field(
        "mlprogram",
        description="Of a network: an ML Program, or the NeuralNetwork of iOS13 and iOS14, which "
        "those targets need.",
    )
    precision: Literal["float16", "float32"] = Field(
        "float16", description="Type of weights and values while computing."
    )
    float32_ops: list[str] = Field(
        default_factory=list,
        description="With float16: operators that stay in float32, by type (`softmax`) or by a "
        "pattern for their name (`*head*`).",
    )
    output: Literal["auto", "classifier", "probabilities", "logits"] = Field(
        "auto",
        description="What the model returns: label and scores, scores alone, or the network's own "
        "numbers. `auto` is a classifier where there are labels.",
    )
    softmax: Literal["auto", "add", "none"] = Field(
        "auto",
        description="Whether a softmax is put behind the network. `auto` adds one where the model "
        "says that it gives logits, or a TensorFlow graph ends so; a TorchScript or exported "
        "program does not say.",
    )
    labels: list[str] | None = Field(
        None, description="Class labels of a TorchScript or exported program, in output order."
    )
    image: bool = Field(
        True, description="An image as input; false: a multi-array that is already normalised."
    )
    input_name: str = Field("image", description="Input's name, for a model that says the rest.")
    inputs: dict[str, InputFacts] | list[InputSpec] | None = Field(
        None,
        description="Inputs by name, of a program that does not describe itself, in the order in "
        'which it takes them: `{ids: {dtype: int32, shape: [1, "1..512"]}}`.',
    )
    columns: list[ColumnSpec] | None = Field(
        None,
        description="Columns that a model of scikit-learn, XGBoost, LightGBM or LIBSVM takes, in "
        "the order of its training, where it does not say so itself.",
    )
    features: Literal["columns", "vector"] = Field(
        "columns",
        description="Of a model of tables: an input for each column, or one multi-array of all "
        "(columns of numbers only) under the name of `features_name`.",
    )
    features_name: str = Field("features", description="Name of that multi-array.")
    label_output: str = Field("classLabel", description="Name of a classifier's label.")
    score_output: str | None = Field(
        None,
        description="Name of the scores; if not given, `classLabel_probs` or what `output` says; "
        "of a model of tables `classProbability`, or `classScore` where it has no probabilities.",
    )
    output_names: list[str] | None = Field(
        None, description="Names of several outputs of a TorchScript or exported program."
    )
    output_tensors: list[str] | None = Field(
        None,
        min_length=1,
        description="Of a frozen TensorFlow graph: the tensors to return, called as `output_names` "
        "says; if not given, those that nothing else in the graph uses.",
    )
    signature: str | None = Field(
        None, description="Of a SavedModel: which of its functions; if not given, its default."
    )
    suppression: bool = Field(
        True,
        description="Of an object detector: whether overlapping boxes are suppressed inside the "
        "model, as Vision expects; false: all boxes, for a compressing stage or a server.",
    )
    iou_threshold: float | None = Field(
        None, ge=0, le=1, description="Of a detector's boxes: overlap from which one goes."
    )
    confidence_threshold: float | None = Field(
        None, ge=0, le=1, description="Of a detector's boxes: the least that is told."
    )
    name: str | None = Field(
        None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="The package's name, without suffix."
    )
    author: str | None = Field(None, description="Written into the model.")
    licence: str | None = Field(None, description="Written into the model.")
    version: str | None = Field(None, description="Written into the model.")
    description: str | None = Field(None, description="One line for Xcode and for people.")
    metadata: dict[str, str] = Field(
        default_factory=dict, description="More metadata, by key; keys of others are left alone."
    )

    @field_validator("inputs")
    @classmethod
    def _listed(
        cls, inputs: dict[str, InputFacts] | list[InputSpec] | None
    ) -> list[InputSpec] | None:
        # A list keeps its order in the stage key, where a map has none.
        if not isinstance(inputs, dict):
            return inputs
        return [InputSpec(name=name, **facts.model_dump()) for name, facts in inputs.items()]

    @field_validator("input_name", "features_name", "label_output", "score_output")
    @classmethod
    def _name(cls, name: str | None) -> str | None:
        return None if name is None else _named(name)

    @model_validator(mode="after")
    def _together(self) -> "ConvertParams":
        if self.float32_ops and self.precision == "float32":
            raise ValueError("float32_ops: with precision float32 every operator is in float32")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a label stands twice")
        if self.softmax == "add" and self.output == "logits":
            raise ValueError("softmax: add gives no logits")
        if self.output_names and self.output in ("classifier", "probabilities"):
            raise ValueError("output_names: a classifier's outputs are label_output, score_output")
        old = self.target in ("iOS13", "iOS14")
        if self.format == "neuralnetwork" and not old:
            raise ValueError("format: neuralnetwork is for target iOS13 or iOS14, say which")
        if self.format == "mlprogram" and old:
            raise ValueError(f"target: {self.target} runs no ML Program; format: neuralnetwork")
        if self.format == "neuralnetwork" and self.float32_ops:
            raise ValueError("float32_ops: a NeuralNetwork does not say what is in float32")
        thresholds = (self.iou_threshold, self.confidence_threshold)
        if not self.suppression and thresholds != (None, None):
            raise ValueError("suppression: false leaves no use for thresholds")
        inputs = [i.name for i in self.inputs or () if isinstance(i, InputSpec)]
        names = inputs + list(self.output_names or ())
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            raise ValueError(f"two features are called '{repeated[0]}'")
        return self


KIND = Kind(
    summary="Converts a trained network or a model of tables to a Core ML package.",
    # Each has a run file of its own: run_torch.py and so on.
    toolchain=ByInput(
        "model",
        {
            "TorchModel": "torch",
            "TorchScript": "torch",
            "ExportedProgram": "torch",
            "SklearnModel": "classical",
            "XGBoostModel": "classical",
            "LightGBMModel": "classical",
            "LibsvmModel": "classical",
            "KerasModel": "tensorflow",
            "SavedModel": "tensorflow",
            "FrozenGraph": "tensorflow",
            "TuriModel": "turicreate",
            "OnnxModel": "onnx",
            "JaxModel": "jax",
            "CaffeModel": "caffe",
        },
    ),
    params=ConvertParams,
    uses_coreml=True,  # the classical route runs what it wrote
    inputs={
        "model": In(
            "TorchModel | TorchScript | ExportedProgram | SklearnModel | XGBoostModel | "
            "LightGBMModel | LibsvmModel | KerasModel | SavedModel | FrozenGraph | TuriModel | "
            "OnnxModel | JaxModel | CaffeModel",
            "The trained model.",
        ),
        "samples": In(
            "Table | Folder",
            "Rows that a model of tables is verified on, beside those that are drawn.",
            optional=True,
        ),
    },
    outputs={
        "model": Out("CoreMLModel", "{Name}.mlpackage", "The converted model."),
        "report": Out("Report", "report.json", "Inputs, outputs and operators of the result."),
    },
    metrics={
        "size_mb": Metric("Size of the package.", unit="MB", better="min"),
        "operators": Metric("Operators of the program, constants not counted.", better="min"),
        "specification_version": Metric("Core ML specification version.", better="none"),
        "verified_rows": Metric("Rows on which a model of tables was compared.", better="none"),
        "largest_difference": Metric(
            "Of a model of tables: how far its numbers are from the library's, as a share of the "
            "greatest one.",
            better="min",
        ),
        "label_agreement": Metric(
            "Of a model of tables: equal labels on those rows; others stand on a border.",
            share=True,
        ),
    },
    details=(
        "A model of `train/*` or `adapt/*` describes itself: the image input takes pixels from 0 "
        "to 255 and scale and bias come from its own preprocessing. Where channels have different "
        "deviations, the difference is folded into the first convolution, and checked. The "
        "preprocessing stands in the metadata under `mlbuild.preprocessing`, so that later stages "
        "and apps can crop alike. TorchScript and exported programs need `inputs`; an exported "
        "program may hold pickled values and is read only from an input with `trust: true`. "
        "Keras models (.h5 and .keras, of tf-keras and of Keras 3), SavedModels and frozen graphs "
        "bring names and shapes; `inputs` says which of them are images and fills sizes that they "
        "leave open. What becomes of them is run beside TensorFlow on a drawn example before it "
        "is written: values that are not finite, or others, fail the stage. "
        "ONNX files and what jax.export serialized bring names and shapes too; sizes that they "
        "leave open become fixed, a batch becomes one, and `inputs` says the others. JAX needs "
        "`target: iOS18` or later. `validate/parity` compares them with onnxruntime and JAX. "
        "An object detector becomes a pipeline of its network and Core ML's own suppression of "
        "overlapping boxes, with the inputs `iouThreshold` and `confidenceThreshold` and the "
        "outputs `confidence` and `coordinates`, which Vision reads as recognized objects. "
        "Turi Create's models come by its own export, in their NeuralNetwork or classical form, "
        "recommenders of similar items as Core ML's own, without a library of Turi Create's. A "
        "Caffe net is a folder with a .prototxt for deployment and a .caffemodel, perhaps a mean "
        "picture (.binaryproto) and labels.txt; pictures are BGR from 0 to 255 unless `inputs` "
        "says otherwise. Of both, `precision: float16` stores the weights of networks in 16 bits. "
        "Models of tables (scikit-learn, XGBoost, LightGBM, LIBSVM) become Core ML's classical "
        "models, ML Programs where those cannot say the same, or a pipeline of both; "
        "docs/classical.md lists every estimator. The result is run and compared with the "
        "library's own predictions before it is written: a difference of more than 1e-5, or "
        "another label, fails the stage and names the step. A .joblib needs `trust: true`. "
        "Equal models are equal bytes: identifiers are fixed and no date is written."
    ),
    example={"target": "iOS17", "precision": "float16"},
)
