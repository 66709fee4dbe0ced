"""docs/pipeline-file.md: every key of a pipeline file, from the tables that check it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlbuild import publishing
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
    ("`release`", keys.RELEASE, "release"),
    ("`sign` of a release", keys.SIGN, ""),
    ("`card` of a release", keys.CARD, ""),
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
    "release": """
release:
  artifacts: {model: best.model, package: package.package}
  gates: {against.drop: {max_lower: 0}}               # beside those of the stages
  channels: [beta, prod]
  publish: [{folder: ../releases}]
  sign: {key_env: MLBUILD_SIGNING_KEY, public_key: keys/release.pub}
  card: {title: Dogs, intended_use: Names the breed of a dog., licence: Apache-2.0}
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
    parts.append(_publishers())
    parts.append(_LAST)
    parts.append(_types())
    parts.append(_toolchains())
    return "\n".join(parts)


def _publishers() -> str:
    lines = ["## A publisher", "", "| key | | default |", "| --- | --- | --- |"]
    for name, kind in publishing.KINDS.items():
        lines.append(f"| `{name}` | {kind.target.help} | |")
        for option, known in kind.options.items():
            default = "" if known.default is None else f"`{known.default}`"
            lines.append(f"| `{name}`: `{option}` | {known.help} | {default} |")
    return "\n".join(lines) + "\n"


_LAST = """## The last release

`release.NAME` as an input is an artifact of the last release, and gates with `max_drop` or
`max_rise` compare with it. Which release that is is frozen in the lock file; a run takes the
newest one that HEAD stands on, HEAD's own once something is changed, and `--locked` keeps to the
frozen one; so does, with a warning, a run where git cannot tell, as in a shallow clone. While
there is no release, a stage that needs one is excluded and says so, an optional input is left
out, and such a gate passes with a note, unless `first` says what holds.

Where a stage with such a gate reads an artifact that the release names, the released one is
measured on today's samples by a stage that is put in for it, `NAME-release`, so that figures of
the same data are compared. Otherwise it is held against what it recorded in the build that was
released.
"""


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
