"""Who computes which part of a program."""

from __future__ import annotations

from typing import Any


def partitioners(params: Any) -> list[Any] | None:
    """What takes parts of the graph for a backend; None leaves all to portable kernels."""
    # Each backend's compiler is imported only where it is asked for.
    if params.backend == "xnnpack":
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

        return [XnnpackPartitioner()]
    if params.backend == "coreml":
        import coremltools as ct
        from executorch.backends.apple.coreml.compiler import CoreMLBackend
        from executorch.backends.apple.coreml.partition import CoreMLPartitioner

        specs = CoreMLBackend.generate_compile_specs(
            minimum_deployment_target=getattr(ct.target, params.target)
        )
        return [CoreMLPartitioner(compile_specs=specs)]
    return None
