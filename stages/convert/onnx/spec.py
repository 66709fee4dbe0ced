"""convert/onnx: a torch network as an ONNX file."""

from mlbuild.api import Field, In, Kind, Metric, Out, field_validator

from ..._shared.torch_program.spec_parameters import ProgramParams


class OnnxParams(ProgramParams):
    """How the file is written."""

    opset: int = Field(20, ge=18, le=23, description="Version of the set of ONNX operators.")
    dynamic: dict[str, dict[int, str]] = Field(
        default_factory=dict,
        description="Axes without a fixed size, by input and place, with a name: "
        "`{image: {0: N}}`. Axes of one name have one size.",
    )

    @field_validator("dynamic")
    @classmethod
    def _axes(cls, dynamic: dict[str, dict[int, str]]) -> dict[str, dict[int, str]]:
        for name, axes in dynamic.items():
            for axis, called in axes.items():
                if axis < 0 or not called.isidentifier():
                    raise ValueError(
                        f"dynamic: {name}: an axis counts from 0 and has a name such as N"
                    )
        return dynamic


KIND = Kind(
    summary="Writes a torch network as an ONNX file.",
    toolchain="onnx",
    params=OnnxParams,
    inputs={"model": In("TorchModel | TorchScript | ExportedProgram", "The trained network.")},
    outputs={"model": Out("OnnxModel", "model.onnx", "The file, its weights inside.")},
    metrics={
        "size_mb": Metric("Size of the file.", unit="MB", better="min"),
        "operators": Metric("Operators of the graph.", better="min"),
        "opset": Metric("Version of the set of operators.", better="none"),
        "largest_difference": Metric(
            "How far onnxruntime's answer to drawn inputs is from torch's, as a share of the "
            "greatest value.",
            better="min",
        ),
    },
    details=(
        "The network goes through torch.export and onnxscript; the file is checked by ONNX's own "
        "checker, with its shapes inferred, and run once by onnxruntime on drawn inputs: more than "
        "a thousandth beside torch's answer fails the stage. The metadata hold "
        "`mlbuild.description`: how pictures are prepared, labels, what outputs give; "
        "`predict/outputs`, `validate/parity` and `convert/coreml` read it. Weights lie inside, so "
        "that a file of more than 2 GB is refused. Stack traces and paths that the exporter leaves "
        "in a graph are taken out: equal models are equal bytes. A TorchScript or exported program "
        "that does not describe itself needs `inputs`; an exported program also `trust: true`, "
        "since it may hold pickled objects."
    ),
    example={"opset": 20, "dynamic": {"image": {"0": "N"}}},
)
