"""convert/torchscript: a torch network as TorchScript."""

from mlbuild.api import Field, In, Kind, Metric, Out

from ..._shared.torch_program.spec_parameters import ProgramParams


class TorchScriptParams(ProgramParams):
    """How the file is written."""

    freeze: bool = Field(
        False, description="Weights become constants of one flat program, batch norms are folded."
    )
    lite: bool = Field(
        False,
        description="The file also holds the bytecode that PyTorch Mobile's lite interpreter runs.",
    )


KIND = Kind(
    summary="Writes a torch network as TorchScript.",
    toolchain="torch",
    params=TorchScriptParams,
    inputs={"model": In("TorchModel | TorchScript | ExportedProgram", "The trained network.")},
    outputs={"model": Out("TorchScript", "model.pt", "What torch.jit.load reads.")},
    metrics={
        "size_mb": Metric("Size of the file.", unit="MB", better="min"),
        "operators": Metric("Operators of the graph, constants not counted.", better="min"),
        "largest_difference": Metric(
            "How far the file's answer to drawn inputs is from the network's, as a share of the "
            "greatest value.",
            better="min",
        ),
    },
    details=(
        "The network is traced with one set of drawn inputs, so that branches on values are "
        "decided once and for all; the file is read back and asked the same, with `lite` by the "
        "lite interpreter, and more than a thousandth beside the network's answer fails the stage. "
        "`mlbuild.description` lies in the file as an extra file, from where `predict/outputs`, "
        "`convert/onnx` and others read it. Source positions, which hold paths of the machine, are "
        "left out: equal models are equal bytes. A TorchScript or exported program that does not "
        "describe itself needs `inputs`; an exported program also `trust: true`."
    ),
    example={"freeze": True},
)
