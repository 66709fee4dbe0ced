"""Facts of a release as a small team would have them: a second version of a classifier of dogs.

`released(folder)` writes the artifacts too, so that sizes and digests are those of real files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from mlbuild.fingerprint import listing_md5
from mlbuild.release.facts import (
    DatasetFacts,
    ReleasedArtifact,
    ReleasedFile,
    ReleaseFacts,
    StageFacts,
)
from tests.release.card_of import CARD, change, gates
from tests.release.dogs import BREEDS, CONFUSIONS, accuracy_metrics, key, md5, model, share

COMMIT = "4f6c1d0e9b7a85236e1f0c4d2b9a7586f3e2d1c0"
BEFORE = "0b1a2c3d4e5f60718293a4b5c6d7e8f901234567"


def stages() -> tuple[StageFacts, ...]:
    """Parents first."""
    train = {"backbone": "efficientnet-lite0", "epochs": 12, "seed": 7}
    rows: list[tuple[str, str | None, dict[str, Any], dict[str, Any], list[str], dict[str, Any]]]
    rows = [
        ("split", "data/split", {"test": 0.15}, {"data": "datasets.photos"}, ["train", "test"], {}),
        (
            "train",
            "train/image-classifier",
            train,
            {"images": "split.train"},
            ["model"],
            {"accuracy": share(512, 540), "labels": 6, "epochs": 12},
        ),
        (
            "convert",
            "convert/coreml",
            {"precision": "float16", "target": "iOS17"},
            {"model": "train.model"},
            ["model"],
            {"operators": 105, "size_mb": 1.93, "specification_version": 8},
        ),
        (
            "quantize[bits=6]",
            "quantize/palettize",
            {"bits": 6},
            {"model": "convert.model"},
            ["model"],
            {"bits_mean": 6.48, "ratio": 2.41},
        ),
        (
            "quantize[bits=4]",
            "quantize/palettize",
            {"bits": 4},
            {"model": "convert.model"},
            ["model"],
            {"bits_mean": 4.51, "ratio": 3.4},
        ),
        (
            "validate[bits=4]",
            "validate/parity",
            {"topk": 5},
            {"reference": "train.model", "candidate": "quantize[bits=4].model"},
            ["report"],
            {"psnr_db": 21.07, "margin_db": 3.9, "agreement_top1": share(131, 238)},
        ),
        (
            "validate[bits=6]",
            "validate/parity",
            {"topk": 5},
            {
                "reference": "train.model",
                "candidate": "quantize[bits=6].model",
                "samples": "split.test",
            },
            ["report"],
            {
                "psnr_db": 43.18,
                "margin_db": 12.2,
                "max_abs": 0.636,
                "cosine": 0.98799,
                "agreement_top1": share(236, 238),
                "kl": 0.00709,
                "samples": 238,
            },
        ),
        (
            "best",
            "select/best",
            {"by": "size_mb"},
            {
                "models": ["quantize[bits=4].model", "quantize[bits=6].model"],
                "reports": ["validate[bits=4].report", "validate[bits=6].report"],
            },
            ["model", "report"],
            {"candidates": 2, "chosen": 1},
        ),
        (
            "accuracy",
            "validate/accuracy",
            {"topk": 5},
            {"model": "best.model", "samples": "split.test"},
            ["report"],
            accuracy_metrics(),
        ),
        (
            "package",
            "package/swift",
            {},
            {"model": "best.model", "reports": ["best.report", "validate[bits=4].report"]},
            ["package"],
            {"files": 2},
        ),
    ]
    return tuple(_stage(*row) for row in rows)


_PACKAGES = {
    "quantize[bits=6].model": "artifacts/model/Dogs.mlpackage/",
    "best.model": "artifacts/model/Dogs.mlpackage/",  # `best` hands on what it chose
    "package.package": "artifacts/package/Dogs/",
}


def _made(place: str) -> str:
    """The MD5 of what a stage made; of artifacts, that of their files."""
    inside = _PACKAGES.get(place)
    if inside is None:
        return md5(place, True)
    return listing_md5(
        (path.removeprefix(inside), hashlib.md5(data).hexdigest())
        for path, data in contents().items()
        if path.startswith(inside)
    )[0]


def _origin(come: Any) -> Any:
    if isinstance(come, list):
        return [_origin(one) for one in come]
    return {"from": come, "md5": _made(come)}


def _stage(
    name: str,
    kind: str | None,
    params: dict[str, Any],
    inputs: dict[str, Any],
    outputs: list[str],
    metrics: dict[str, Any],
) -> StageFacts:
    toolchain = None if kind is None else "torch"
    return StageFacts(
        name=name,
        kind=kind,
        command=None,
        key=key(name),
        parts={"code": key(f"code of {kind}"), "params": params, "toolchain": key("torch")},
        toolchain=toolchain,
        inputs={role: _origin(come) for role, come in inputs.items()},
        outputs={
            out: {
                "path": f"build/dogs/{name}/{out}",
                "type": "Report" if out == "report" else "Folder",
                "md5": _made(f"{name}.{out}"),
                "size": 1000,
            }
            for out in outputs
        },
        metrics=metrics,
    )


@cache
def contents() -> dict[str, bytes]:
    """Every file of the artifacts; the weights are as large as the model says."""
    weights = model()["weight_bytes"]
    package = "artifacts/model/Dogs.mlpackage"
    pattern = hashlib.sha256(b"weights").digest()
    return {
        f"{package}/Manifest.json": b'{"fileFormatVersion": "1.0.0"}\n',
        f"{package}/Data/com.apple.CoreML/model.mlmodel": b"\x08\x08" * 2043,
        f"{package}/Data/com.apple.CoreML/weights/weight.bin": (pattern * (weights // 32 + 1))[
            :weights
        ],
        "artifacts/package/Dogs/Package.swift": b"// swift-tools-version: 5.9\n",
        "artifacts/package/Dogs/Sources/Dogs/Dogs.swift": b"import CoreML\n",
    }


def artifact(name: str, path: str, kind: str, stage: str, output: str) -> ReleasedArtifact:
    """One artifact over `contents()`."""
    files = tuple(
        ReleasedFile(file, len(data), hashlib.sha256(data).hexdigest())
        for file, data in sorted(contents().items())
        if file == path or file.startswith(path + "/")
    )
    return ReleasedArtifact(
        name=name,
        path=path,
        source=f"build/dogs/{stage}/{path.rpartition('/')[2]}",
        type=kind,
        stage=stage,
        output=output,
        key=key(stage),
        md5=_made(f"{stage}.{output}"),
        size=sum(f.size for f in files),
        files=files,
        model=model() if kind == "CoreMLModel" else None,
    )


def facts_of(**changes: Any) -> ReleaseFacts:
    """The facts, with fields exchanged."""
    facts = ReleaseFacts(
        name="dogs",
        version="2.0.0",
        commit=COMMIT,
        repository="https://git.example.org/pets/dogs.git",
        pipeline="pipelines/dogs.yaml",
        profiles=("photos",),
        sets=("bits=6",),
        params={"backbone": "efficientnet-lite0", "bits": 6, "photos": "data/dogs"},
        artifacts=(
            artifact("model", "artifacts/model/Dogs.mlpackage", "CoreMLModel", "best", "model"),
            artifact("package", "artifacts/package/Dogs", "SwiftPackage", "package", "package"),
        ),
        stages=stages(),
        datasets=(
            DatasetFacts("photos", "path", "data/dogs", md5("new", True), 412345678),
            DatasetFacts(
                "samples",
                "pypi",
                "foolbox==3.3.4",
                md5("samples", True),
                1234567,
                {"version": "3.3.4", "sha256": key("foolbox")},
            ),
            DatasetFacts(
                "breeds",
                "hf",
                "pets/breeds",
                md5("breeds"),
                2048,
                {"commit": "9a8b7c6d5e4f30211203f4e5d6c7b8a9f0e1d2c3"},
            ),
        ),
        toolchains={
            "torch": {
                "python": "3.11",
                "digest": key("torch"),
                "packages": {"coremltools": "9.0", "numpy": "2.3.5", "torch": "2.13.0+cpu"},
            }
        },
        gates=gates(),
        change=change(),
        previous="1.1.0",
        previous_commit=BEFORE,
        card=CARD,
        mlbuild="0.1.0",
    )
    return replace(facts, **changes)


def confusion_rows() -> list[dict[str, str]]:
    """`plots/confusion.json` of validate/accuracy: a row for each picture."""
    return [
        {"actual": BREEDS[t], "predicted": BREEDS[p]}
        for t, row in enumerate(CONFUSIONS)
        for p, count in enumerate(row)
        for _ in range(count)
    ]


def released(folder: Path, **changes: Any) -> ReleaseFacts:
    """Writes the artifacts into `folder/release` and plots beside it, and gives back the facts."""
    for path, data in contents().items():
        file = folder / "release" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    (plots / "confusion.json").write_text(json.dumps(confusion_rows()), encoding="utf-8")
    reliability = [
        {"confidence": 0.52, "n": 11, "accuracy": 0.545},
        {"confidence": 0.74, "n": 29, "accuracy": 0.793},
        {"confidence": 0.97, "n": 198, "accuracy": 0.99},
    ]
    (plots / "reliability.json").write_text(json.dumps(reliability), encoding="utf-8")
    return facts_of(plots={"accuracy": plots}, **changes)


def turned(facts: ReleaseFacts) -> ReleaseFacts:
    """The same facts with every mapping in the opposite order, all the way down."""
    return replace(
        facts,
        params=_turned(facts.params),
        card=_turned(facts.card),
        plots=dict(reversed(facts.plots.items())),
        toolchains=_turned(facts.toolchains),
        stages=tuple(
            replace(
                stage,
                parts=_turned(stage.parts),
                inputs=_turned(stage.inputs),
                outputs=_turned(stage.outputs),
                metrics=_turned(stage.metrics),
            )
            for stage in facts.stages
        ),
        artifacts=tuple(
            replace(a, model=None if a.model is None else _turned(a.model)) for a in facts.artifacts
        ),
        datasets=tuple(replace(d, source=_turned(d.source)) for d in facts.datasets),
        gates=tuple(replace(g, limits=_turned(g.limits)) for g in facts.gates),
        change=replace(
            facts.change,
            **{
                name: tuple(_turned(row) for row in getattr(facts.change, name))
                for name in ("params", "data", "code", "toolchains", "metrics", "sizes")
            },
        ),
    )


def _turned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _turned(v) for k, v in reversed(value.items())}
    if isinstance(value, list | tuple):
        return [_turned(v) for v in value]
    return value
