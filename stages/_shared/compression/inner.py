"""The ML Program of a package: the model itself, or the one of a pipeline that is one.

A detector is a pipeline of its network and a suppression of boxes: the network is what can be
compressed, and goes back to its place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def place_of_program(spec: Any) -> int | None:
    """Where the only ML Program of a pipeline stands; None if it is no such pipeline."""
    if spec.WhichOneof("Type") != "pipeline":
        return None
    kinds = [model.WhichOneof("Type") for model in spec.pipeline.models]
    return kinds.index("mlProgram") if kinds.count("mlProgram") == 1 else None


def open_program(package: Path) -> tuple[Any, Callable[[Any], Any]]:
    """The program as coremltools' MLModel, and what puts a changed one back into its place."""
    # Inside the function: the import of coremltools costs 1.5 s.
    import coremltools as ct
    from coremltools.proto import Model_pb2

    model = ct.models.MLModel(str(package), skip_model_load=True)
    spec = model.get_spec()
    place = place_of_program(spec)
    if place is None:
        return model, lambda changed: changed

    def put_back(changed: Any) -> Any:
        whole = Model_pb2.Model()
        whole.CopyFrom(spec)
        inner = changed.get_spec()
        whole.pipeline.models[place].CopyFrom(inner)
        whole.specificationVersion = max(spec.specificationVersion, inner.specificationVersion)
        return ct.models.MLModel(whole, weights_dir=changed.weights_dir, skip_model_load=True)

    inner = spec.pipeline.models[place]
    return (
        ct.models.MLModel(inner, weights_dir=model.weights_dir, skip_model_load=True),
        put_back,
    )
