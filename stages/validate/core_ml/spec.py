"""Core ML itself against the reference runtime's recorded answers, on a Mac."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params


class CoreMlParams(Params):
    """Parameters of validate/core-ml."""

    units: list[Literal["CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL"]] | None = Field(
        None, description="Compute units to ask; by default those of the self-test."
    )


KIND = Kind(
    summary="Runs a self-test with Core ML itself: macOS only.",
    toolchain="torch",
    params=CoreMlParams,
    uses_coreml=True,
    portable=False,
    fresh=True,
    inputs={
        "selftest": In("Folder", "What `package/selftest` wrote."),
        "model": In(
            "CoreMLModel | CoreMLFile",
            "The model, where the self-test does not hold it; it must be the recorded one.",
            optional=True,
        ),
    },
    outputs={
        "report": Out("Report", "core-ml.json", "Every output on every unit, and what answered."),
    },
    metrics={
        "psnr_db": Metric(
            "Least signal to noise ratio of any output on any unit; 200 stands for equal.",
            unit="dB",
        ),
        "margin_db": Metric("How much closer than the tolerance the worst output is.", unit="dB"),
        "max_abs": Metric("Largest difference.", better="min"),
        "samples": Metric("Number of samples.", better="none"),
    },
    gates={"margin_db": {"min": 0}},
    details=(
        "Closes the last gap where a Mac exists: Core ML's own answers on each compute unit, "
        "compared with what the reference runtime recorded, by the self-test's own tolerances. "
        "Where a pipeline sets no gates, `margin_db` must not be below 0; it is -200 where a "
        "label or a shape differs. Give the stage `resources: {macos: 1}`, so that it is sent to "
        "a Mac; on any other system it refuses. The report names system, chip and coremltools, "
        "and the platform is part of the stage's key. The same comparison runs without mlbuild: "
        "`python3 selftest.py` in the folder."
    ),
    example={},
)
