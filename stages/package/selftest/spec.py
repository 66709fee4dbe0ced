"""A self-test that a Mac can run: samples, recorded answers, a script that asks Core ML."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, field_validator


class SelftestParams(Params):
    """Parameters of package/selftest."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$",
        description="Name of the model; by default the pipeline's.",
    )
    limit: int = Field(
        16, ge=1, le=1000, description="At most so many samples, evenly spread over their names."
    )
    units: list[Literal["CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL"]] = Field(
        ["CPU_ONLY", "ALL"], min_length=1, description="Compute units to ask on the Mac."
    )
    min_psnr_db: float | None = Field(
        None, ge=0, le=200, description="A tolerance in place of the one of the model's precision."
    )
    include_model: bool = Field(
        True, description="Put the model into the folder; else the script is told where it lies."
    )
    scaling: Literal["scaleFill", "scaleFit", "centerCrop"] = Field(
        "centerCrop",
        description="How pictures reach the size of a Core ML model that does not say it itself.",
    )
    unreadable: Literal["fail", "skip"] = Field(
        "fail", description="What to do with a sample that cannot be read."
    )

    @field_validator("units")
    @classmethod
    def _once(cls, units: list[str]) -> list[str]:
        if len(set(units)) != len(units):
            raise ValueError("units: one is named twice")
        return units


KIND = Kind(
    summary="Records a model's answers, with a script that compares Core ML's own on a Mac.",
    toolchain="torch",
    params=SelftestParams,
    uses_coreml=True,
    inputs={
        "model": In("CoreMLModel | CoreMLFile", "The model that is delivered."),
        "samples": In(
            "ImageFolder | Folder | Table | File",
            "Pictures, .npz files with an array for each input, or a table. They are published "
            "with the self-test: give none that are private.",
        ),
    },
    outputs={"selftest": Out("Folder", "{Name}SelfTest", "The folder, complete.")},
    metrics={
        "samples": Metric("Number of samples.", better="none"),
        "size_mb": Metric("Size of the folder.", unit="MB", better="min"),
        "tolerance_db": Metric("The least that is asked of any compute unit.", unit="dB"),
        "rounding_db": Metric(
            "How far float16 rounding alone moves these answers; 200 where nothing is rounded.",
            unit="dB",
        ),
    },
    details=(
        "What cannot be seen on Linux is what Core ML itself computes. The self-test carries that "
        "question to a Mac: `python3 selftest.py` asks Core ML about the same samples on each "
        "compute unit, and compares with the reference runtime's answers; it needs nothing but "
        "coremltools and numpy (Pillow for pictures). As a stage that is `validate/core-ml`. "
        "Pictures are stored as the pixels that the model is given, so that both sides see the "
        "same. The tolerance is that of `mlbuild golden`, by the model's declared precision: "
        "60 dB for float32 on the CPU, 40 dB for float16 and for units that compute in float16 "
        "whatever the model declares, 80 dB for classical models. Where float16 rounding alone, "
        "measured on these samples by running the model in float32 arithmetic too, moves the "
        "answers further than that, 6 dB more than it does are allowed. A model with random "
        "operators cannot be recorded."
    ),
    example={"limit": 16},
)
