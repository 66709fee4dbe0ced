"""Learning of nearest neighbours: the samples become part of the model.

Source: Core ML specification, NearestNeighbors.proto (floatSamples and class labels go in pairs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError, ModelFileError


def learn_neighbours(
    spec: Any, samples: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]
) -> None:
    """Append labelled samples to a kNN classifier's specification, in place.

    Args:
        spec: The specification; its first training input is the vector, the other one the label.
        samples: In neutral form.
        parameters: There are none: the number of neighbours belongs to prediction.
    """
    if parameters:
        raise InputError(
            "nearest neighbours are learnt without parameters", got=", ".join(sorted(parameters))
        )
    classifier = spec.kNearestNeighborsClassifier
    dimensions = classifier.nearestNeighborsIndex.numberOfDimensions
    label = spec.description.predictedFeatureName
    vectors = [f.name for f in spec.description.trainingInput if f.name != label]
    if len(vectors) != 1:
        raise ModelFileError(
            "a model of nearest neighbours learns from one vector and its label",
            got=", ".join(f.name for f in spec.description.trainingInput),
        )
    labels = getattr(classifier, classifier.WhichOneof("ClassLabels") or "stringClassLabels")
    for number, sample in enumerate(samples):
        vector = sample[vectors[0]].reshape(-1)
        if len(vector) != dimensions:
            raise InputError(
                "a vector of the wrong length",
                place=f"sample {number}",
                got=str(len(vector)),
                allowed=(str(dimensions),),
            )
        entry = classifier.nearestNeighborsIndex.floatSamples.add()
        entry.vector.extend(vector.double().tolist())
        labels.vector.append(sample[label])
