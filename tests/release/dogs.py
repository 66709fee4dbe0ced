"""What stages record of the classifier of dogs that `facts_of` releases."""

from __future__ import annotations

import hashlib
import math
from typing import Any

BREEDS = ("beagle", "boxer", "chow", "collie", "pug", "saluki")

# layer, shape, bits; one byte of a palette more or less does not matter here
_LAYERS = [
    ("stem", (32, 3, 3, 3), 16),
    ("block_1_depthwise", (32, 1, 3, 3), 16),
    ("block_1_project", (16, 32, 1, 1), 16),
    ("block_2_expand", (96, 16, 1, 1), 16),
    ("block_2_depthwise", (96, 1, 3, 3), 16),
    ("block_5_expand", (240, 40, 1, 1), 8),
    ("block_5_depthwise", (240, 1, 5, 5), 8),
    ("block_9_expand", (480, 80, 1, 1), 8),
    ("block_9_project", (80, 480, 1, 1), 8),
    ("block_12_expand", (672, 112, 1, 1), 6),
    ("block_12_project", (112, 672, 1, 1), 6),
    ("block_15_expand", (1152, 192, 1, 1), 6),
    ("block_15_project", (320, 1152, 1, 1), 6),
    ("head", (1280, 320, 1, 1), 6),
    ("classifier", (len(BREEDS), 1280), 8),
]


def md5(text: str, folder: bool = False) -> str:
    """Some MD5, as the ledger has it."""
    return hashlib.md5(text.encode()).hexdigest() + (".dir" if folder else "")


def key(text: str) -> str:
    """Some stage key."""
    return hashlib.sha256(text.encode()).hexdigest()


def share(right: int, n: int) -> dict[str, Any]:
    """A share as stages record it, with Wilson's interval."""
    z, p = 1.959963984540054, right / n
    spread = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / spread
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / spread
    return {"value": p, "n": n, "low": max(0.0, centre - half), "high": min(1.0, centre + half)}


def model() -> dict[str, Any]:
    """What `mlbuild inspect --json` tells of the model."""
    weights = [
        {
            "layer": layer,
            "operator": "linear" if layer == "classifier" else "conv",
            "input": "weight",
            "value": f"{layer}_weight",
            "shape": list(shape),
            "dtype": "fp16",
            "compression": [] if bits == 16 else ["palette"],
            "bits": bits,
            "elements": math.prod(shape),
            "bytes": math.prod(shape) * bits // 8,
            "sparsity": 0.0,
        }
        for layer, shape, bits in _LAYERS
    ]
    return {
        "type": "mlProgram",
        "spec_version": 8,
        "target": "iOS17",
        "inputs": [
            {
                "name": "image",
                "kind": "image",
                "type": "image 224 x 224 RGB",
                "width": 224,
                "height": 224,
                "color": "RGB",
            }
        ],
        "outputs": [
            {"name": "classLabel", "kind": "string", "type": "string"},
            {
                "name": "classLabel_probs",
                "kind": "dictionary",
                "type": "dictionary of string to double",
            },
        ],
        "labels": len(BREEDS),
        "class_labels": list(BREEDS),
        "metadata": {"description": "Names the breed of a dog.", "license": "Apache-2.0"},
        "size_bytes": sum(w["bytes"] for w in weights) + 4117,
        "opset": "iOS17",
        "operators": {"add": 10, "clip": 33, "conv": 49, "linear": 1, "softmax": 1},
        "weights": weights,
        "weight_bytes": sum(w["bytes"] for w in weights),
        "parameters": sum(w["elements"] for w in weights),
        "multiply_adds": 384058592,
    }


# Rows are the truth, columns the answers.
CONFUSIONS = (
    (38, 1, 0, 1, 0, 0),
    (1, 36, 0, 0, 3, 0),
    (0, 0, 40, 0, 0, 0),
    (2, 0, 0, 35, 0, 3),
    (0, 1, 0, 0, 39, 0),
    (0, 0, 0, 1, 0, 37),
)


def accuracy_metrics() -> dict[str, Any]:
    """What validate/accuracy records of CONFUSIONS."""
    n = sum(map(sum, CONFUSIONS))
    right = sum(row[i] for i, row in enumerate(CONFUSIONS))
    metrics: dict[str, Any] = {
        "accuracy": share(right, n),
        "accuracy_topk": share(n - 1, n),
        "agreement_top1": share(n - 2, n),
        "reference_accuracy": share(right + 1, n),
        "drop": 1 / n,
        "f1_macro": 0.9447,
        "log_loss": 0.1893,
        "calibration_error": 0.0231,
        "samples": n,
        "size_mb": 0.974789,
    }
    for i, breed in enumerate(BREEDS):
        said = sum(row[i] for row in CONFUSIONS)
        metrics[f"recall.{breed}"] = share(CONFUSIONS[i][i], sum(CONFUSIONS[i]))
        metrics[f"precision.{breed}"] = share(CONFUSIONS[i][i], said)
    return metrics
