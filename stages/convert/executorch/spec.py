"""convert/executorch: a torch network as an ExecuTorch program."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.torch_program.spec_parameters import ProgramParams


class ExecuTorchParams(ProgramParams):
    """For what the program is written."""

    backend: Literal["xnnpack", "portable", "coreml"] = Field(
        "xnnpack",
        description="What computes: XNNPACK (processors of phones and servers), the portable "
        "kernels that run everywhere, or Core ML (Apple devices; it cannot be run here).",
    )
    quantize: Literal["none", "int8"] = Field(
        "none",
        description="`int8`: weights and activations in 8 bits, on scales that are measured on "
        "`samples`; with `backend: xnnpack`.",
    )
    calibration_samples: int = Field(
        32, ge=1, description="At most so many samples set the scales, evenly spread."
    )
    target: Literal["iOS15", "iOS16", "iOS17", "iOS18"] = Field(
        "iOS17", description="Oldest system that shall run it, with `backend: coreml`."
    )

    @model_validator(mode="after")
    def _backend_fits(self) -> "ExecuTorchParams":
        if self.quantize == "int8" and self.backend != "xnnpack":
            raise ValueError("quantize: int8 is for backend: xnnpack")
        return self


KIND = Kind(
    summary="Writes a torch network as an ExecuTorch program.",
    toolchain="executorch",
    params=ExecuTorchParams,
    inputs={
        "model": In("TorchModel | TorchScript | ExportedProgram", "The trained network."),
        "samples": In(
            "ImageFolder | Folder",
            "Pictures or .npz files; quantizing measures its scales on them.",
            optional=True,
        ),
    },
    outputs={"model": Out("ExecuTorchModel", "model.pte", "The program.")},
    metrics={
        "size_mb": Metric("Size of the file.", unit="MB", better="min"),
        "delegated": Metric("Parts of the program that the backend computes.", better="none"),
        "left_over": Metric("Operators that portable kernels compute.", better="min"),
        "largest_difference": Metric(
            "How far ExecuTorch's answer to drawn inputs is from torch's, as a share of the "
            "greatest value; not where it is quantized or cannot be run here.",
            better="min",
        ),
    },
    details=(
        "The network goes through torch.export; what the backend does not take is left to portable "
        "kernels and counted. The program is read back by ExecuTorch's own runtime and run on "
        "drawn inputs: more than a thousandth beside torch's answer fails the stage. A program for "
        "Core ML is written but cannot be run on Linux; validate `convert/coreml` in its place. "
        "`mlbuild.description` follows the program as a zip archive, which the runtime does not "
        "look at, so that `predict/outputs` and `validate/parity` know how to ask. A TorchScript "
        "or exported program that does not describe itself needs `inputs`; an exported program "
        "also `trust: true`."
    ),
    example={"backend": "xnnpack"},
)
