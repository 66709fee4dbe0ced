"""Writes the folder of a self-test: recording, tolerances, script, the modules it stands on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import mlbuild.coreml.golden
from mlbuild.coreml.golden.digest import model_digest
from mlbuild.coreml.golden.folder import INPUTS, write_golden
from mlbuild.coreml.golden.selfcheck import FACTS, FORMAT, RECORDED, RECORDING, VERSION, digests
from mlbuild.coreml.golden.tolerances import TIE, Tolerance

from ..files.copying import copy_tree

# What the script stands on: no torch, no protobuf, nothing but numpy and, to ask, coremltools.
_MODULES = ("folder.py", "judging.py", "mac.py", "selfcheck.py", "tolerances.py")
_PACKAGE = "mlbuild_selftest"


@dataclass(frozen=True)
class Recorded:
    """One sample: what the model was given, and what it answered."""

    sample: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


def write(
    folder: Path,
    model: Path,
    name: str,
    recorded: Sequence[Recorded],
    tolerances: Mapping[str, Tolerance],
    *,
    include: bool,
) -> None:
    """Write everything; equal content is equal bytes.

    Args:
        folder: where.
        model: the package or file that answered.
        name: what it is called here.
        recorded: samples and answers.
        tolerances: by compute unit.
        include: whether the model is copied beside the script.
    """
    folder.mkdir(parents=True)
    file = name + model.suffix
    _recording(folder / RECORDING, model, file, recorded, include)
    files = digests(model)
    if model.is_file():  # by the name that it has here
        files = {file: files[model.name]}
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "model": {"file": file, "included": include, "files": files},
        "tolerances": {unit: asdict(limit) for unit, limit in tolerances.items()},
    }
    _json(folder / FACTS, facts)
    if include:
        copy_tree(model, folder / file)
    shutil.copyfile(Path(__file__).parent / "selftest.py", folder / "selftest.py")
    _modules(folder / _PACKAGE)
    pictures = any(hasattr(v, "convert") for r in recorded for v in r.inputs.values())
    text = _readme(
        name=name,
        model=file,
        included=include,
        pictures=pictures,
        tolerances=list(tolerances.items()),
        samples=len(recorded),
        tie=TIE,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _readme(**facts: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    return environment.get_template("README.md.j2").render(facts)


def _recording(
    folder: Path, model: Path, file: str, recorded: Sequence[Recorded], include: bool
) -> None:
    facts = {"path": f"../{file}" if include else file, "sha256": model_digest(model), "type": ""}
    parts = {
        INPUTS: [dict(r.inputs) for r in recorded],
        RECORDED: [dict(r.outputs) for r in recorded],
    }
    system = {"os": "mlbuild's reference runtime"}
    write_golden(folder, facts, system, [r.sample for r in recorded], parts)


def _modules(folder: Path) -> None:
    """Copies of mlbuild's own modules, under a name that no installed package has."""
    source = Path(mlbuild.coreml.golden.__file__).parent
    (folder / "golden").mkdir(parents=True)
    for file in _MODULES:
        shutil.copyfile(source / file, folder / "golden" / file)
    shutil.copyfile(source.parent / "errors.py", folder / "errors.py")
    for where, what in ((folder, "Parts of mlbuild"), (folder / "golden", "Reading and comparing")):
        (where / "__init__.py").write_text(f'"""{what}, as they are."""\n', encoding="utf-8")


def _json(file: Path, value: Any) -> None:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
