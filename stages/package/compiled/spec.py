"""A model compiled by Xcode, with the Swift interface that Xcode generates."""

from mlbuild.api import Field, In, Kind, Metric, Out

from ..._shared.apple_tools.spec_parameters import CompilerParams


class CompiledParams(CompilerParams):
    """Parameters of package/compiled."""

    swift_version: str | None = Field(
        None, pattern=r"^\d+(\.\d+)?$", description="Of the generated interface: `5.0`."
    )


KIND = Kind(
    summary="Compiles a Core ML model and generates its Swift interface: macOS only.",
    toolchain="torch",
    params=CompiledParams,
    portable=False,
    inputs={"model": In("CoreMLModel | CoreMLFile", "The model to deliver.")},
    outputs={
        "model": Out("Folder", "{Name}.mlmodelc", "The compiled model."),
        "interface": Out("File", "{Name}.swift", "The class that Xcode generates for it."),
    },
    metrics={"size_mb": Metric("Size of the compiled model.", unit="MB", better="min")},
    details=(
        "Runs `xcrun coremlcompiler compile` and `generate --language Swift`, which come with "
        "Xcode. An app that holds the `.mlmodelc` need not compile on the device. Give the stage "
        "`resources: {macos: 1}`; on any other system it refuses. Where several Xcodes are "
        "installed, `env: {DEVELOPER_DIR: /Applications/Xcode.app/Contents/Developer}` chooses "
        "one and is part of the key. What the compiler writes is Apple's format: its bytes may "
        "differ between versions of Xcode. `package/swift` needs no Mac, and leaves compiling to "
        "Xcode."
    ),
    example={"platform": "ios", "deployment_target": "17.0"},
)
