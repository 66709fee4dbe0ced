"""Loads and runs the models that it is sent; started by test_fuzzed_models.py.

Reads frames of a specification and a weight file, answers a line of JSON each. It has little
address space beyond what it needs when it starts, so that a model that asks for memory which no
check refused makes it fail.
"""

import json
import resource
import struct
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np
import torch

from mlbuild.coreml import CoreMLError
from mlbuild.coreml.mil.operator import supported
from mlbuild.coreml.model import load_spec
from mlbuild.coreml.package import parse_spec

ROOM = 2 * 1024**3


def value(feature):
    """A value that the description takes, of moderate size."""
    if feature.image is not None:
        return np.full((feature.image.height, feature.image.width, feature.image.channels), 7.0)
    if feature.array is not None:
        shape = feature.array.shape
        return np.ones(shape if min(shape, default=0) >= 0 and np.prod(shape) < 1e6 else 1)
    plain = {"int64": 1, "double": 1.0, "string": "a", "sequence": []}
    return plain.get(feature.kind, {"a": 1.0} if feature.key_type == "string" else {1: 1.0})


def attempt(spec, folder):
    """What becomes of one model: it runs, it is refused, or something else is raised."""
    try:
        model = load_spec(parse_spec(spec, "fuzzed"), folder)
        images = [f.image for f in model.description.inputs if f.image is not None]
        if any(min(i.width, i.height) < 0 or i.width * i.height > 1e6 for i in images):
            return "large", ""  # too large, or of no size at all, to make a picture for
        outputs = model.predict({f.name: value(f) for f in model.description.inputs})
    except CoreMLError as error:
        return "refused", str(error)
    except Exception:
        return "raised", traceback.format_exc()
    return "ran", ", ".join(outputs)


def main():
    torch.set_num_threads(1)
    supported()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    given, answers = sys.stdin.buffer, sys.stdout
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "weights").mkdir()
        while header := given.read(16):
            spec, weights = (given.read(n) for n in struct.unpack("<QQ", header))
            file = Path(name) / "weights" / "weight.bin"
            file.unlink(missing_ok=True)  # the former one may still be mapped
            file.write_bytes(weights)
            outcome, text = attempt(spec, Path(name))
            answers.write(json.dumps({"outcome": outcome, "text": text}) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
