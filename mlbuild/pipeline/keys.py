"""Every key that a pipeline file may hold: the one table behind the checks and the JSON Schema.

A row is the key's JSON Schema. ``{"$ref": "#/$defs/..."}`` names what ``schema.py`` defines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlbuild.pipeline.fields import NAME

VERSION = 1  # of the pipeline file; newer ones are refused

Row = Mapping[str, Any]
_NAMED = f"^{NAME.pattern}$"


def _ref(name: str, description: str) -> Row:
    return {"$ref": f"#/$defs/{name}", "description": description}


def _map(of: str, description: str) -> Row:
    return {
        "type": "object",
        "propertyNames": {"pattern": _NAMED},
        "additionalProperties": {"$ref": f"#/$defs/{of}"},
        "description": description,
    }


TOP: Mapping[str, Row] = {
    "version": {"const": VERSION, "description": "Version of this file format."},
    "name": {
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
        "description": "The pipeline's name; without it, the file's. Outputs lie in build/NAME/.",
    },
    "params": {
        "type": "object",
        "propertyNames": {"pattern": _NAMED},
        "description": "Values to be used as ${{ params.NAME }}; --set NAME=VALUE changes them.",
    },
    "datasets": _map("dataset", "Data that stages read as datasets.NAME."),
    "toolchains": _map("toolchain", "Environments beside the built-in ones."),
    "stages": _map("stage", "The stages, in any order: edges come from their inputs."),
    "release": _ref("release", "What `mlbuild release` releases, and under what terms."),
    "profiles": {
        "type": "object",
        "propertyNames": {"pattern": _NAMED},
        "additionalProperties": {"$ref": "#/$defs/profile"},
        "description": "Variations of this file; --profile NAME lays one over the rest.",
    },
    "ledger": {
        "enum": ["dvc", "none"],
        "description": "none: build without recording outputs with DVC.",
    },
    "strict": {
        "type": "boolean",
        "description": "true: a stage that opens a file of the project which it did not declare "
        "fails; false: it is a warning.",
    },
}

STAGE: Mapping[str, Row] = {
    "uses": _ref("kind", "The stage kind; `mlbuild stages` lists them."),
    "run": {
        "type": "string",
        "description": "A shell command. It names ${{ inputs.ROLE }} and ${{ outputs.NAME }}.",
    },
    "inputs": {
        "type": "object",
        "propertyNames": {"pattern": _NAMED},
        "additionalProperties": {"$ref": "#/$defs/input"},
        "description": "Role -> where it comes from.",
    },
    "outputs": {
        "type": "object",
        "propertyNames": {"pattern": _NAMED},
        "additionalProperties": {"$ref": "#/$defs/output"},
        "description": "Name -> path. A kind's outputs have a place already.",
    },
    "with": {"type": "object", "description": "Parameters of the kind."},
    "metrics": {"type": "string", "description": "JSON file of numbers that the command writes."},
    "plots": {"type": "string", "description": "File or folder of plots that the command writes."},
    "matrix": _ref("matrix", "One variant of the stage for each combination of values."),
    "needs": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "Stages that must be done before; nothing is read from them.",
    },
    "gates": _ref("gates", "Limits that recorded metrics must hold."),
    "resources": _ref("resources", "What the stage occupies while it runs."),
    "timeout_minutes": _ref("amount", "The stage is killed after so many minutes."),
    "retries": _ref("count", "How often a failed stage is tried again."),
    "env": {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean"]},
        "description": "Environment variables; a change reruns the stage.",
    },
    "secrets": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Environment variables of the caller that are passed through and masked.",
    },
    "toolchain": {"type": "string", "description": "The environment; a kind has one of its own."},
    "if": {
        "type": ["boolean", "string"],
        "description": "A parameter that is true or false: false takes the stage away.",
    },
}

# Only these go with `uses`, and only those with `run`.
USES_ONLY = ("with",)
RUN_ONLY = ("metrics", "plots")

HUB: Mapping[str, Row] = {
    "repo": {"type": "string", "description": "ORG/NAME."},
    "rev": {"type": "string", "description": "Branch, tag or commit; frozen in the lock file."},
    "type": {
        "enum": ["model", "dataset", "space"],
        "description": "What it is; model if not said.",
    },
}

DATASET: Mapping[str, Row] = {
    "path": {"type": "string", "description": "A file or folder; inside the project DVC keeps it."},
    "pypi": {"type": "string", "description": "A pinned distribution: NAME==VERSION."},
    "url": {"type": "string", "description": "A file to download; needs sha256 or md5."},
    "git": {"type": "string", "description": "A repository; needs rev."},
    "hf": {
        "type": "object",
        "additionalProperties": False,
        "required": ["repo", "rev"],
        "properties": dict(HUB),
        "description": "A repository on the model hub: {repo: ORG/NAME, rev: v1}.",
    },
    "files": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "Glob of the files to take.",
    },
    "sha256": {"type": "string", "description": "Digest of the downloaded file."},
    "md5": {"type": "string", "description": "Digest of the downloaded file."},
    "extract": {"type": "boolean", "description": "false: keep an archive as it is."},
    "rev": {"type": "string", "description": "Branch, tag or commit; frozen in the lock file."},
}
# scheme -> the keys that go with it
SCHEMES: Mapping[str, tuple[str, ...]] = {
    "path": (),
    "pypi": ("files",),
    "url": ("sha256", "md5", "extract", "files"),
    "git": ("rev", "path"),
    "hf": ("files",),
}

TOOLCHAIN: Mapping[str, Row] = {
    "python": {"type": "string", "description": 'Version of Python, in quotes: "3.11".'},
    "requirements": {"type": "string", "description": "A requirements file of the project."},
}

RESOURCES: Mapping[str, Row] = {
    "cpu": _ref("count", "Cores; also the number of threads. Part of the stage's key."),
    "gpu": _ref("count", "Graphics processors."),
    "memory_gb": _ref("amount", "Memory in GB."),
    "macos": _ref("count", "1: only a Mac can run it."),
}

OUTPUT: Mapping[str, Row] = {
    "path": {"type": "string", "description": "Relative to the project root."},
    "type": _ref("type", "What it is, so that inputs can be checked."),
    "cache": {"type": "boolean", "description": "false: small, kept in git and not in the cache."},
    "push": {
        "type": "boolean",
        "description": "false: large and quickly made again: `push` leaves it here, and a clone "
        "that needs it makes its own.",
    },
}

INPUT: Mapping[str, Row] = {
    "from": _ref("reference", "Where it comes from."),
    "all": {
        "anyOf": [
            {"$ref": "#/$defs/reference"},
            {"type": "array", "items": {"$ref": "#/$defs/reference"}},
        ],
        "description": "All variants of a stage, as one list.",
    },
    "trust": {
        "type": "boolean",
        "description": "true: formats that run code when they are read, as pickle, may be read.",
    },
    "type": {
        "type": "string",
        "description": "What a file or folder is, where its name does not tell: SavedModel.",
    },
}

_SINCE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["value", "against"],
    "properties": {
        "value": {"$ref": "#/$defs/amount"},
        "against": {"enum": ["release"]},
        "relative": {"type": "boolean"},
    },
}
# Limits that are plain numbers: of a metric, or of an end of its interval.
LIMITS: Mapping[str, Row] = {
    "min": _ref("amount", "The metric is at least this."),
    "max": _ref("amount", "The metric is at most this."),
    "min_lower": _ref("amount", "The lower end of its 95 % interval is at least this."),
    "min_upper": _ref("amount", "The upper end of its 95 % interval is at least this."),
    "max_lower": _ref("amount", "The lower end of its 95 % interval is at most this."),
    "max_upper": _ref("amount", "The upper end of its 95 % interval is at most this."),
}
# Limits of the distance to the last release.
SINCE = ("max_drop", "max_rise")
GATE: Mapping[str, Row] = {
    **LIMITS,
    "max_drop": {
        **_SINCE,
        "description": "How far below the last release's figure it may be; with `relative: true` "
        "as a share of that figure.",
    },
    "max_rise": {
        **_SINCE,
        "description": "How far above the last release's figure it may be: sizes, errors.",
    },
    "first": {
        "type": "object",
        "additionalProperties": False,
        "properties": {k: {"$ref": "#/$defs/amount"} for k in ("min", "max", "min_lower")},
        "description": "What holds instead of max_drop and max_rise while there is no release.",
    },
}
ON_FAIL = ("stop", "exclude")

_TEXT: Row = {"type": "string"}
_TEXTS: Row = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
CARD: Mapping[str, Row] = {
    "title": {**_TEXT, "description": "What people call the model."},
    "summary": {**_TEXT, "description": "What it does, in a sentence or two."},
    "intended_use": {**_TEXTS, "description": "What it is made for."},
    "out_of_scope": {**_TEXTS, "description": "What it must not be used for."},
    "limits": {**_TEXTS, "description": "Where it is known to fail."},
    "ethics": {**_TEXTS, "description": "What to consider: people, bias, risk."},
    "licence": {**_TEXT, "description": "SPDX identifier of the model's licence: Apache-2.0."},
    "language": {**_TEXTS, "description": "Languages that it understands: en, de."},
    "tags": {**_TEXTS, "description": "Words by which it is found."},
    "authors": {**_TEXTS, "description": "Who made it."},
    "contact": {**_TEXT, "description": "Whom to ask."},
}
SIGN: Mapping[str, Row] = {
    "key_env": {**_TEXT, "description": "Environment variable: the private key or its path."},
    "key": {**_TEXT, "description": "Path of the private key, which git must not have."},
    "public_key": {**_TEXT, "description": "Path of the public key, which belongs into git."},
    "keyless": {"type": "boolean", "description": "true: sign with the identity that CI has."},
    "identity": {**_TEXT, "description": "Who may have signed without a key."},
    "issuer": {**_TEXT, "description": "Who vouches for that identity."},
}
RELEASE: Mapping[str, Row] = {
    "name": {**_TEXT, "description": "Its name in tags; the pipeline's, if not said."},
    "artifacts": {
        "type": "object",
        "propertyNames": {"pattern": _NAMED},
        "additionalProperties": {"$ref": "#/$defs/reference"},
        "minProperties": 1,
        "description": "Name -> STAGE.OUTPUT; the first one is what the release is about.",
    },
    "gates": {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/gate"},
        "description": "STAGE.METRIC -> limits, beside those of the stages.",
    },
    "first": {**_TEXT, "description": "The first version; 1.0.0, if not said."},
    "channels": {**_TEXTS, "description": "To what a release may be assigned: beta, prod."},
    "publish": {
        "type": "array",
        "items": {"type": "object"},
        "description": "Where it goes: {folder: DIR}, {s3: URL}, {github: OWNER/REPO}, "
        "{gitlab: PROJECT}, {hub: DIR}.",
    },
    "sign": {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(SIGN),
        "description": "How it is signed; not at all, if not said.",
    },
    "card": {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(CARD),
        "description": "What the model card says beside figures.",
    },
}
