"""ML Program or NeuralNetwork: what coremltools is told, and what it leaves to be done.

A NeuralNetwork is what iOS 13 and 14 read, and what can be trained on a device. Its specification
does not say what is computed in float16; that its weights are is up to us.
"""

from __future__ import annotations

from typing import Any

import coremltools as ct
from coremltools.models.neural_network.quantization_utils import quantize_weights

NETWORK = "neuralnetwork"


def options(params: Any, precision: Any) -> dict[str, Any]:
    """Of ct.convert: format, target, and what is computed in float16."""
    target = getattr(ct.target, params.target)
    if params.format == NETWORK:
        return {"convert_to": NETWORK, "minimum_deployment_target": target}
    return {
        "convert_to": "mlprogram",
        "minimum_deployment_target": target,
        "compute_precision": precision,
    }


def settled(mlmodel: Any, params: Any) -> Any:
    """A NeuralNetwork with the names, weights and version that were asked for."""
    if params.format != NETWORK:
        return mlmodel
    spec = mlmodel.get_spec()
    if params.precision == "float16":
        found = quantize_weights(ct.models.MLModel(spec, skip_model_load=True), nbits=16)
        spec = found.get_spec() if hasattr(found, "get_spec") else found
    scores = spec.description.predictedProbabilitiesName
    if scores:
        ct.utils.rename_feature(spec, scores, f"{params.label_output}_probs")
    # coremltools writes the oldest version that has the layers; the target is what was asked for.
    wanted = getattr(ct.target, params.target).value
    spec.specificationVersion = max(spec.specificationVersion, wanted)
    return ct.models.MLModel(spec, skip_model_load=True)
