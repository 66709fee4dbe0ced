"""Which models can be asked about samples, and in which toolchain. Read by specs."""

from __future__ import annotations

from collections.abc import Collection

from mlbuild.api import Through

# type of a model -> the toolchain that it answers in
TOOLCHAINS = {
    "TorchModel": "torch",
    "TorchScript": "torch",
    "ExportedProgram": "torch",
    "CoreMLModel": "torch",
    "CoreMLFile": "torch",
    "OnnxModel": "onnx",
    "TFLiteModel": "litert",
    "ExecuTorchModel": "executorch",
    "JaxModel": "jax",
    "KerasModel": "tensorflow",
    "SavedModel": "tensorflow",
    "FrozenGraph": "tensorflow",
    "SklearnModel": "classical",
    "XGBoostModel": "classical",
    "LightGBMModel": "classical",
    "LibsvmModel": "classical",
    "TuriModel": "turicreate",
    "CaffeModel": "caffe",
}


def asked(without: Collection[str] = ()) -> str:
    """The types of models that can be asked, as an input names them."""
    return " | ".join(name for name in TOOLCHAINS if name not in without)


def through(without: Collection[str] = ()) -> Through:
    """A model is asked in its own toolchain, and the kind reads its answers.

    Args:
        without: types that the kind reads itself.
    """
    return Through(
        kind="predict/outputs",
        types=asked(without),
        role="model",
        output="predictions",
        inputs=("samples",),
        params={name: name for name in ("limit", "unreadable", "pictures", "layout", "labels")},
    )
