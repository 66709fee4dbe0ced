"""docs/pipeline-file.md: every key of a pipeline file, from the tables that check it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlbuild.api import SUFFIXES, TYPES
from mlbuild.pipeline import keys
from mlbuild.toolchains import pins

_HOLE = re.compile(r"\$\{\{[^}]*\}\}")
_TABLES = (
    ("The file", keys.TOP, ""),
    ("A dataset", keys.DATASET, "datasets"),
    ("`hf` of a dataset", keys.HUB, ""),
    ("A stage", keys.STAGE, "stages"),
    ("An input that is a map", keys.INPUT, "inputs"),
    ("An output that is a map", keys.OUTPUT, ""),
    ("A gate", keys.GATE, "gates"),
    ("`resources`", keys.RESOURCES, ""),
    ("A toolchain of the file", keys.TOOLCHAIN, "toolchains"),
)
_EXAMPLES = {
    "datasets": """
datasets:
  photos: {path: data/dogs}                                    # a file or folder; DVC keeps it
  faces: {pypi: scikit-learn==1.5.1, files: "sklearn/datasets/data/*.csv"}
  archive: {url: "https://example.org/x.tar.gz", sha256: "0123..."}
  notes: {git: "https://example.org/notes.git", rev: v1.2, path: texts}
  weights: {hf: {repo: org/net, rev: main}, files: "*.safetensors"}   # frozen to a commit
""",
    "stages": """
stages:
  train: {uses: train/image-classifier, inputs: {images: datasets.photos}, with: {seed: 7}}
  notes:
    run: python tools/notes.py ${{ inputs.report }} ${{ outputs.page }}
    inputs: {report: train.report, code: ./tools/}
    outputs: {page: build/notes.html}
""",
    "inputs": """
inputs:
  model: train.model                                  # an output of a stage
  variant: "quantize[bits=6].model"                   # of one variant
  models: {all: quantize.model}                       # of all of them
  samples: datasets.photos
  table: ./data/test.csv                              # a path
  net: {from: ./net, type: SavedModel, trust: true}
""",
    "gates": """
gates:
  psnr_db: {min: 40}
  accuracy: {min_lower: 0.9, max_drop: {value: 0.01, against: release}, first: {min: 0.9}}
  on_fail: exclude                                    # or stop, which is the default
""",
    "toolchains": """
toolchains:
  ours: {python: "3.11", requirements: ./requirements/hf.txt}
""",
}


def pipeline_markdown() -> str:
    """The whole page."""
    parts = [
        "# The pipeline file\n\n<!-- made by tools/docs.py; do not edit -->\n\n"
        "YAML, read safely: unknown keys are errors, with place, what is allowed and the nearest "
        "spelling. `mlbuild schema` prints the JSON Schema for editors.\n"
    ]
    for title, rows, example in _TABLES:
        text = f"## {title}\n\n{_table(rows)}"
        if example:
            text += f"\n```yaml{_EXAMPLES[example]}```\n"
        parts.append(text)
    parts.append(_types())
    parts.append(_toolchains())
    return "\n".join(parts)


def _table(rows: Mapping[str, Any]) -> str:
    lines = ["| key | |", "| --- | --- |"]
    for name, row in rows.items():
        text = _HOLE.sub(r"`\g<0>`", row.get("description", ""))
        lines.append(f"| `{name}` | {text} |")
    return "\n".join(lines) + "\n"


def _types() -> str:
    suffixes: dict[str, list[str]] = {}
    for suffix, name in SUFFIXES.items():
        suffixes.setdefault(name, []).append(f"`{suffix}`")
    lines = ["## Types of artifacts", "", "A special one is accepted where the general one is.", ""]
    lines += ["| type | is a | what it is | told by the suffix |", "| --- | --- | --- | --- |"]
    for name, (parent, text) in TYPES.items():
        lines.append(
            f"| `{name}` | {parent or ''} | {text} | {', '.join(suffixes.get(name, []))} |"
        )
    return "\n".join(lines) + "\n"


def _toolchains() -> str:
    lines = ["## Built-in toolchains", "", "| toolchain | Python | packages | about, MB |"]
    lines.append("| --- | --- | --- | --- |")
    for name in pins.builtin_names():
        lock = pins.builtin(name)
        lines.append(f"| `{name}` | {lock.python} | {len(lock.pins)} | {lock.size_mb} |")
    return "\n".join(lines) + "\n"
