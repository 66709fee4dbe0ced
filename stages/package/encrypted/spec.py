"""A model compiled and encrypted with a key that Apple manages."""

from mlbuild.api import Field, In, Kind, Metric, Out

from ..._shared.apple_tools.spec_parameters import CompilerParams


class EncryptedParams(CompilerParams):
    """Parameters of package/encrypted."""

    key_env: str = Field(
        "MLMODELKEY",
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="Which of the stage's `secrets` holds the `.mlmodelkey` file: its path, or "
        "its bytes in base64.",
    )


KIND = Kind(
    summary="Compiles a Core ML model, encrypted with an Apple model key: macOS only.",
    toolchain="torch",
    params=EncryptedParams,
    portable=False,
    fresh=True,
    inputs={"model": In("CoreMLModel | CoreMLFile", "The model to deliver.")},
    outputs={"model": Out("Folder", "{Name}.mlmodelc", "The compiled, encrypted model.")},
    metrics={"size_mb": Metric("Size of the encrypted model.", unit="MB", better="min")},
    details=(
        "Runs `xcrun coremlcompiler compile --encrypt KEY`. Xcode makes the key (Create "
        "Encryption Key, in the model's Utilities tab) and keeps a copy with the developer team; "
        "devices fetch it from Apple when the model is first loaded. The file comes from a "
        "secret: `secrets: [MLMODELKEY]` on the stage passes the variable through, its name and "
        "not its value is part of the key, and its value is masked in logs. Of base64 (`base64 -i "
        "Dogs.mlmodelkey`) a file is made in the stage's scratch folder, readable by its user "
        "alone, and removed when the compiler has ended. Before the result is published the "
        "stage looks for the key and for the plain weights in it, and fails if it finds either. "
        "Give the stage `resources: {macos: 1}`; on any other system it refuses. For models that "
        "an app downloads, `package/ota` encrypts with a key of your own, on any system."
    ),
    example={"platform": "ios", "deployment_target": "17.0"},
)
