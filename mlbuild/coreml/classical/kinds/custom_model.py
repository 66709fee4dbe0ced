"""A model whose function is code of an app; here a Python class that was registered for it.

Source: Core ML specification, CustomModel.proto; Apple, Core ML, MLCustomModel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...body import Ran
from ...errors import ExecutionError, UnsupportedError
from ..custom import custom_models
from ..kind import Computation, Given, kind


@kind("customModel")
def custom_model(given: Given) -> Computation:
    """Makes one object of the registered class and asks it for each prediction."""
    name = given.params.className
    known = custom_models()
    if name not in known:
        raise UnsupportedError(
            f"the custom model '{name}' is code of an app",
            place=given.type,
            allowed=sorted(known),
            hint=f"register a Python class: mlbuild.coreml.register_custom_model({name!r})",
        )
    parameters = {
        key: getattr(value, which)
        for key, value in sorted(given.params.parameters.items())
        if (which := value.WhichOneof("value"))
    }
    model = known[name](parameters)
    wanted = [feature.name for feature in given.description.outputs]

    def run(values: Mapping[str, Any]) -> Ran:
        outputs = model.predict({key: _shown(value) for key, value in values.items()})
        if missing := [key for key in wanted if key not in outputs]:
            raise ExecutionError(
                f"the custom model '{name}' gave no {', '.join(missing)}",
                got=", ".join(outputs) or "nothing",
                allowed=wanted,
            )
        return Ran({key: outputs[key] for key in wanted}, {})

    return Computation(run)


def _shown(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value
