"""How long a model takes where it will run: on a Mac, or on a device that is connected to it."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator


class DeviceParams(Params):
    """Parameters of validate/device."""

    units: list[Literal["CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL"]] = Field(
        ["CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL"],
        min_length=1,
        description="Compute units to time.",
    )
    repeats: int = Field(50, ge=5, le=10_000, description="Timed predictions on each unit.")
    warmup: int = Field(
        3, ge=1, le=1000, description="Predictions before the clock starts: the first ones load."
    )
    max_ms: float | None = Field(
        None,
        gt=0,
        description="The median prediction may take so long on the fastest of the units; longer "
        "fails the stage.",
    )
    max_load_ms: float | None = Field(
        None, gt=0, description="Loading may take so long on the fastest of the units."
    )
    device: str | None = Field(
        None,
        description="Name or identifier of a connected iPhone, iPad or other device; by default "
        "the Mac itself.",
    )
    team: str | None = Field(
        None,
        pattern=r"^[A-Z0-9]{10}$",
        description="Apple developer team that signs the app which times on a connected device.",
    )
    scaling: Literal["scaleFill", "scaleFit", "centerCrop"] = Field(
        "centerCrop",
        description="How pictures reach the size of a Core ML model that does not say it itself.",
    )

    @model_validator(mode="after")
    def _signed(self) -> "DeviceParams":
        if self.device is not None and self.team is None:
            raise ValueError("team: a connected device runs only what a developer team has signed")
        return self


KIND = Kind(
    summary="Times a Core ML model on a Mac or a connected device: macOS only.",
    toolchain="torch",
    params=DeviceParams,
    uses_coreml=True,
    portable=False,
    fresh=True,
    inputs={
        "model": In("CoreMLModel | CoreMLFile", "The model."),
        "samples": In(
            "ImageFolder | Folder | Table | File", "One is enough: the first is predicted."
        ),
    },
    outputs={
        "report": Out(
            "Report", "device.json", "Times on each compute unit, cost and place of each operation."
        ),
    },
    metrics={
        "operations": Metric("Operations that Core ML plans for.", better="none"),
        "cost_cpu": Metric("Share of the estimated cost that Core ML prefers to run on the CPU."),
        "cost_gpu": Metric("The same on the GPU."),
        "cost_neural_engine": Metric("The same on the Neural Engine."),
    },
    details=(
        "Loads the model by coremltools on each compute unit and predicts one sample again and "
        "again; the report holds load time, median, quartiles, 95th percentile and spread of the "
        "predictions, without the overhead of Python, and of each operation the compute unit that "
        "Core ML prefers and its share of the estimated cost (`MLComputePlan`, macOS 14.4; "
        "ML Programs and neural networks). Metrics hold no times, so that equal builds stay equal: "
        "`max_ms` and `max_load_ms` fail the stage instead, and the shares of cost can be gated: "
        "`cost_neural_engine: {min: 0.9}`. With `device` a connected device is timed, by "
        "coremltools' model runner, which Xcode builds and signs for `team`; that is experimental "
        "in coremltools 9. Give the stage `resources: {macos: 1, cpu: N}` with all processors of "
        "the Mac, so that nothing else runs while the clock does; on any other system it refuses. "
        "A time is never taken from a cache of another machine's: the platform is part of the key, "
        "but not the model of the Mac. Run it with `--force` to time anew."
    ),
    example={"max_ms": 10},
)
