"""A Caffe model in a folder: a .prototxt, a .caffemodel, perhaps a mean and labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple  # noqa: UP035 - evaluated, on 3.8 too

from ..problem.problem import Problem

_LABELS = ("labels.txt", "synset_words.txt")
_TRAINING = ("Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData")
_OLD = re.compile(r"^\s*layers\s*[:{]", re.MULTILINE)
_TYPE = re.compile(r"\btype\s*:\s*[\"']?(\w+)[\"']?")


@dataclass(frozen=True)
class Blob:
    """An input: its name and its shape as the net was described, [N, C, H, W] mostly."""

    name: str
    shape: Tuple[int, ...]  # noqa: UP006


@dataclass(frozen=True)
class CaffeFolder:
    """The files of a net and what its description says."""

    network: Path
    weights: Path
    mean: Optional[Path]  # noqa: UP045
    labels: Tuple[str, ...]  # noqa: UP006
    labels_file: Optional[Path]  # noqa: UP045
    inputs: Tuple[Blob, ...]  # noqa: UP006
    text: str  # of the .prototxt

    @property
    def size(self) -> int:
        """Bytes of the net."""
        return self.network.stat().st_size + self.weights.stat().st_size


def read(folder: Path) -> CaffeFolder:
    """Look at a folder.

    Raises:
        Problem: a file is missing, or the net is one for training.
    """
    if not folder.is_dir():
        raise Problem(f"{folder.name} is no folder with a Caffe net")
    network = _only(folder, ".prototxt", needed=True)
    weights = _only(folder, ".caffemodel", needed=True)
    mean = _only(folder, ".binaryproto", needed=False)
    assert network is not None and weights is not None
    text = _without_comments(network.read_text("utf-8", "replace"))
    _check(network, text)
    named = [folder / name for name in _LABELS if (folder / name).is_file()]
    labels = tuple(_labels(named[0])) if named else ()
    inputs = tuple(_inputs(network, text))
    return CaffeFolder(network, weights, mean, labels, named[0] if named else None, inputs, text)


def _only(folder: Path, suffix: str, needed: bool) -> Optional[Path]:  # noqa: UP045
    found = sorted(p for p in folder.rglob(f"*{suffix}") if p.is_file())
    if suffix == ".prototxt" and len(found) > 1:
        # Solvers and nets for training lie beside the one that is deployed.
        found = [p for p in found if "deploy" in p.name] or found
    if len(found) == 1 or not (found or needed):
        return found[0] if found else None
    what = ", ".join(p.name for p in found) or "none"
    hint = "keep the one for deployment, deploy.prototxt" if suffix == ".prototxt" else None
    raise Problem(f"{folder.name} must hold one {suffix} file, found: {what}", hint=hint)


def _check(network: Path, text: str) -> None:
    if "{" not in text:
        raise Problem(f"{network.name} describes no net")
    if _OLD.search(text):
        raise Problem(
            f"{network.name} is of an old form: its layers stand under `layers`, not `layer`",
            hint="upgrade_net_proto_text and upgrade_net_proto_binary of Caffe bring it up to date",
        )
    types = set(_TYPE.findall(text))
    training = sorted(types & set(_TRAINING))
    if training:
        raise Problem(
            f"{network.name} is for training: it reads its data with a layer {training[0]}",
            hint="give the net for deployment, deploy.prototxt, with a layer Input",
        )
    lost = sorted(t for t in types if t.endswith("Loss") or t == "Accuracy")
    if lost:
        raise Problem(
            f"{network.name} is for training: it ends in a layer {lost[0]}",
            hint="give the net for deployment, deploy.prototxt, which ends in Softmax",
        )


def _inputs(network: Path, text: str) -> List[Blob]:  # noqa: UP006
    found = [Blob(top, shape) for top, shape in _input_layers(text)]
    names = re.findall(r"^\s*input\s*:\s*[\"']([^\"']+)[\"']", text, re.MULTILINE)
    if names and not found:
        shapes = [_dims(block) for block in _blocks(text, "input_shape")]
        flat = [int(n) for n in re.findall(r"^\s*input_dim\s*:\s*(\d+)", text, re.MULTILINE)]
        shapes = shapes or [tuple(flat[i : i + 4]) for i in range(0, len(flat), 4)]
        found = [Blob(name, shape) for name, shape in zip(names, shapes)]  # noqa: B905
    if not found or any(not blob.shape for blob in found):
        raise Problem(
            f"{network.name} does not say what goes in",
            hint='layer { name: "data" type: "Input" top: "data" input_param '
            "{ shape: { dim: 1 dim: 3 dim: 224 dim: 224 } } }",
        )
    return found


def _input_layers(text: str) -> List[Tuple[str, Tuple[int, ...]]]:  # noqa: UP006
    found = []
    for block in _blocks(text, "layer"):
        if "Input" not in _TYPE.findall(block):
            continue
        tops = re.findall(r"\btop\s*:\s*[\"']([^\"']+)[\"']", block)
        shapes = [_dims(shape) for shape in _blocks(block, "shape")]
        shapes = shapes * len(tops) if len(shapes) == 1 else shapes
        found += list(zip(tops, shapes))  # noqa: B905
    return found


def _dims(block: str) -> Tuple[int, ...]:  # noqa: UP006
    return tuple(int(n) for n in re.findall(r"\bdim\s*:\s*(\d+)", block))


def _blocks(text: str, name: str) -> List[str]:  # noqa: UP006
    """What stands in the braces of each `name { ... }`."""
    found = []
    for start in re.finditer(rf"(?<![\w]){name}\s*:?\s*\{{", text):
        depth, place = 1, start.end()
        while depth and place < len(text):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            place += 1
        found.append(text[start.end() : place - 1])
    return found


def _without_comments(text: str) -> str:
    return re.sub(r"#[^\n]*", "", text)


def _labels(file: Path) -> List[str]:  # noqa: UP006
    found = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
    for label in found:
        if found.count(label) > 1:
            raise Problem(f"{file.name}: the label '{label}' stands twice")
    return found


def layers(text: str) -> List[Tuple[str, str, List[str]]]:  # noqa: UP006
    """Type, name and results of each layer."""
    found = []
    for block in _blocks(text, "layer"):
        kind, name = _TYPE.findall(block), re.findall(r"\bname\s*:\s*[\"']([^\"']+)[\"']", block)
        tops = re.findall(r"\btop\s*:\s*[\"']([^\"']+)[\"']", block)
        found.append((kind[0] if kind else "", name[0] if name else "", tops))
    return found
