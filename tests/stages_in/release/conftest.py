"""Bundles that tests make, with the model of an app in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stages_in.conftest import _harness

# Keys of tests only: 32 bytes that count, and their fellows.
SIGNING = base64.b64encode(bytes(range(32))).decode()
OTHER_SIGNING = base64.b64encode(bytes(range(1, 33))).decode()
ENCRYPTION = base64.b64encode(bytes(range(2, 34))).decode()
_SPEC_OF_IOS_17 = b"\x08\x08"


def set_keys(patch: pytest.MonkeyPatch) -> None:
    """Put the keys where a stage looks for them."""
    patch.setenv("MLBUILD_OTA_SIGNING_KEY", SIGNING)
    patch.setenv("OTHER_SIGNING_KEY", OTHER_SIGNING)
    patch.setenv("OTA_KEY", ENCRYPTION)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys are set."""
    set_keys(monkeypatch)


def write_model(
    path: Path,
    weights: bytes,
    head: bytes = _SPEC_OF_IOS_17,
    text: bytes = b"what the network is",
    indent: int = 4,
) -> Path:
    """A package with the files of a real one; the stage reads no more of it than its version."""
    data = path / "Data/com.apple.CoreML"
    (data / "weights").mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(head + text * 40)
    (data / "weights/weight.bin").write_bytes(weights)
    entries = {
        "M": {"path": "com.apple.CoreML/model.mlmodel"},
        "W": {"path": "com.apple.CoreML/weights"},
    }
    manifest = {"itemInfoEntries": entries, "rootModelIdentifier": "M"}
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=indent))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """``model(weights, head=...) -> Path``."""
    made = iter(range(1000))
    return lambda weights, **facts: write_model(
        tmp_path / f"m{next(made)}/Dogs.mlpackage", weights, **facts
    )


@pytest.fixture
def pack(monkeypatch: pytest.MonkeyPatch, keys: None, tmp_path: Path) -> Callable[..., Any]:
    """``pack(model, previous=[...], **params) -> Ran``: the stage, by the real worker."""
    return packer(_harness().runner(monkeypatch, "release"), tmp_path)


def packer(run: Any, folder: Path) -> Callable[..., Any]:
    """The same for fixtures of a whole module."""

    def pack(model: Path, previous: list[Path] | None = None, **params: Any) -> Any:
        inputs: dict[str, Any] = {"model": model}
        if previous:
            inputs["previous"] = previous
        return run("package/ota", params=params, inputs=inputs, tmp_path=folder)

    return pack
