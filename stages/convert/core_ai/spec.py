"""convert/core-ai: a torch network as a Core AI asset."""

from mlbuild.api import Field, In, Kind, Metric, Out

from ..._shared.torch_program.spec_parameters import ProgramParams


class CoreAIParams(ProgramParams):
    """What the asset says of itself."""

    name: str | None = Field(
        None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="The asset's name, without suffix."
    )
    author: str | None = Field(None, description="Written into the asset.")
    licence: str | None = Field(None, description="Written into the asset.")
    description: str | None = Field(None, description="One line for people.")


KIND = Kind(
    summary="Writes a torch network in Apple's format after Core ML, .aimodel (OS 27 and later).",
    toolchain="core-ai",
    params=CoreAIParams,
    inputs={"model": In("TorchModel | TorchScript | ExportedProgram", "The trained network.")},
    outputs={
        "model": Out("CoreAIModel", "{Name}.aimodel", "The asset."),
        "report": Out("Report", "report.json", "Its inputs, outputs, operators and digests."),
    },
    metrics={
        "size_mb": Metric("Size of the asset.", unit="MB", better="min"),
        "operators": Metric("Operators of the program, constants not counted.", better="min"),
    },
    details=(
        "Core AI runs from OS 27 of Apple's systems; here it is written, not run. What can be "
        "checked is: the asset is read back, its function must take and give what was asked for, "
        "by name, type and shape, and the digest that lies beside the program must be its own. "
        "Numbers are not compared: validate `convert/coreml` of the same network, whose systems "
        "before 27 need it anyway. Dates and source positions are left out: equal models are equal "
        "bytes. `mlbuild.description` stands in the metadata. A TorchScript or exported program "
        "that does not describe itself needs `inputs`; an exported program also `trust: true`."
    ),
    example={"licence": "Apache-2.0"},
)
