"""Parameters that all kinds around Core ML's compiler have."""

from mlbuild.api import Field, Params


class CompilerParams(Params):
    """What a model is compiled for."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
        description="Name of the model, and of the class that is generated; by default the "
        "pipeline's.",
    )
    platform: str | None = Field(
        None,
        pattern=r"^[a-z]+$",
        description="As coremlcompiler names it: `ios`, `macos`, `tvos`, `watchos`; by default "
        "its own.",
    )
    deployment_target: str | None = Field(
        None,
        pattern=r"^\d+(\.\d+){0,2}$",
        description="The oldest system that runs it: `17.0`; by default the compiler's.",
    )
