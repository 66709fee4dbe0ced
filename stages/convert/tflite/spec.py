"""convert/tflite: a TensorFlow network as a TFLite file."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator


class TFLiteParams(Params):
    """How the network is written and what it says of itself."""

    quantization: Literal["none", "dynamic", "float16", "int8"] = Field(
        "none",
        description="`dynamic`: weights of 8 bits, computed in float32; `float16`: weights of 16; "
        "`int8`: all in 8 bits, for which `samples` tell how large values become.",
    )
    io: Literal["float32", "int8", "uint8"] = Field(
        "float32", description="With `int8`: what the model takes and gives."
    )
    limit: int = Field(
        100, ge=1, le=100_000, description="With `int8`: so many samples, evenly spread."
    )
    shapes: dict[str, list[int]] | None = Field(
        None,
        description="Shapes of inputs that leave sizes open, by name: `{rows: [1, 7, 3]}`. A "
        "batch is one where nothing is said.",
    )
    signature: str | None = Field(
        None, description="Of a SavedModel: which of its functions; if not given, its default."
    )
    output_tensors: list[str] | None = Field(
        None, min_length=1, description="Of a frozen graph: the tensors to return."
    )
    labels: list[str] | None = Field(
        None, description="Class labels of a model that does not say them, in output order."
    )
    gives: Literal["logits", "probabilities"] | None = Field(
        None, description="What such a model's one output is."
    )

    @model_validator(mode="after")
    def _together(self) -> "TFLiteParams":
        if self.io != "float32" and self.quantization != "int8":
            raise ValueError(f"io: {self.io} is for quantization: int8")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a label stands twice")
        for name, shape in (self.shapes or {}).items():
            if any(size < 1 for size in shape):
                raise ValueError(f"shapes: {name}: each size is at least 1")
        return self


KIND = Kind(
    summary="Writes a Keras model, a SavedModel or a frozen graph as a TFLite file.",
    toolchain="tensorflow",
    params=TFLiteParams,
    inputs={
        "model": In("KerasModel | SavedModel | FrozenGraph", "The trained network."),
        "samples": In(
            "ImageFolder | Folder | File",
            "With `int8`: pictures or .npz files as the model will meet them.",
            optional=True,
        ),
    },
    outputs={
        "model": Out("TFLiteModel", "model.tflite", "The file."),
        "report": Out("Report", "report.json", "Inputs, outputs and operators of the result."),
    },
    metrics={
        "size_mb": Metric("Size of the file.", unit="MB", better="min"),
        "operators": Metric("Operators of the graph.", better="min"),
        "largest_difference": Metric(
            "How far its answers are from TensorFlow's, as a share of the greatest value.",
            better="min",
        ),
    },
    details=(
        "Whatever form the network has, it is converted through a graph with its weights as "
        "constants: the straight way from a function of a Keras 3 model gives a file that "
        "answers NaN. The file is then asked beside TensorFlow, on a drawn example or on some of "
        "the samples: values that are not finite, or that are further away than the "
        "quantization explains (0.001 of the greatest value, 0.02 for float16, 0.25 for dynamic, "
        "0.5 for int8), fail the stage. The description of a model that describes itself goes "
        "with it, as the format's own associated file. Equal models are equal bytes."
    ),
    example={"quantization": "float16"},
)
