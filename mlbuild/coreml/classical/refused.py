"""The types of model whose semantics are not public: what each one is, and why it is refused.

Source: Core ML specification, Model.proto and the proto files of the named types.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a type of model can only be run by Apple's frameworks."""

    what: str
    reason: str
    hint: str = "run it on an Apple system, or put a model of an open type in its place"


_LANGUAGE = (
    "its parameters are bytes in an unpublished encoding that only Apple's Natural Language "
    "framework reads"
)
_BUILT_IN = (
    "its file holds no weights: the network belongs to Apple's operating systems, where {} runs it"
)

REFUSED = {
    "textClassifier": Refusal("assigns a label to a text", _LANGUAGE),
    "wordTagger": Refusal("splits a text into tokens and tags each one", _LANGUAGE),
    "gazetteer": Refusal("looks up the label of a term", _LANGUAGE),
    "wordEmbedding": Refusal("maps words to vectors", _LANGUAGE),
    "visionFeaturePrint": Refusal(
        "turns an image into features",
        _BUILT_IN.format("the Vision framework"),
        "convert an open feature extractor, such as MobileNetV2, and put it in its place",
    ),
    "audioFeaturePrint": Refusal(
        "turns sound into features",
        _BUILT_IN.format("the Sound Analysis framework"),
        "convert an open feature extractor, such as YAMNet, and put it in its place",
    ),
    "serializedModel": Refusal(
        "a model in a private encoding",
        "the specification reserves it for Apple and promises nothing about its contents",
    ),
}
