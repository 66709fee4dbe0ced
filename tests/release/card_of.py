"""Card, change and gates of the release that `facts_of` tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlbuild.release.facts import Change, GateFacts
from tests.release.dogs import accuracy_metrics, key, md5, share

CARD: Mapping[str, Any] = {
    "title": "Dogs",
    "summary": "Names the breed of a dog in a photograph, on the phone, in three milliseconds.",
    "intended_use": "Suggests a breed in an album app; a person confirms it.",
    "out_of_scope": "Veterinary or legal decisions. Pictures with several dogs.",
    "limits": "Puppies and crossbreeds were not in the photographs. Dark pictures are often wrong.",
    "ethics": "Photographs were taken by the team; nobody can be recognised in them.",
    "licence": "Apache-2.0",
    "language": "en",
    "tags": ["dogs"],
    "authors": ["The Dogs Team"],
    "contact": "dogs@example.org",
}


def change() -> Change:
    """From 1.1.0 to 1.2.0: more photographs, one breed more, six bits."""
    return Change(
        level="major",
        why=("the labels changed: 1 came, 1 went",),
        interface=("labels: 'akita' went, 'saluki' came",),
        params=(
            {"stage": "train", "name": "epochs", "before": 8, "after": 12},
            {"stage": "quantize[bits=6]", "name": "bits", "before": 8, "after": 6},
        ),
        data=({"name": "photos", "before": md5("old", True), "after": md5("new", True)},),
        code=({"name": "train/image-classifier", "before": key("c1"), "after": key("c2")},),
        toolchains=({"name": "torch", "before": "torch==2.12.1", "after": "torch==2.13.0"},),
        metrics=(
            {
                "stage": "accuracy",
                "metric": "accuracy",
                "before": share(219, 238),
                "after": accuracy_metrics()["accuracy"],
            },
            {"stage": "accuracy", "metric": "log_loss", "before": 0.2417, "after": 0.1893},
            {
                "stage": "accuracy",
                "metric": "recall.collie",
                "before": share(37, 40),
                "after": share(35, 40),
            },
            {"stage": "validate[bits=6]", "metric": "psnr_db", "before": 47.9, "after": 43.18},
        ),
        sizes=({"artifact": "model", "before": 1212345, "after": 974789},),
        labels_added=("saluki",),
        labels_removed=("akita",),
    )


def gates() -> tuple[GateFacts, ...]:
    """Two that hold, one that is waived."""
    return (
        GateFacts(
            "validate[bits=6]", "psnr_db", {"min": 40}, 43.18, None, True, "psnr_db 43.18 holds"
        ),
        GateFacts(
            "accuracy",
            "accuracy",
            {"max_drop": 0.01, "against": "release"},
            0.9454,
            0.9202,
            True,
            "accuracy 0.9454 (n=238, 95 % 0.909 to 0.968) holds",
        ),
        GateFacts(
            "accuracy",
            "recall.collie",
            {"min": 0.9},
            0.875,
            None,
            False,
            "recall.collie 0.875 (n=40, 95 % 0.739 to 0.945) is below min 0.9",
            waiver="collies of the new photographs are mostly puppies; told in the limits",
        ),
    )
