"""A model that stands in a file of its own.

The file is looked for in the folders of the search path, relative ones from where this model
lies (for a package also from where the package lies). Core ML links compiled models; what is
run here is the ``.mlmodel`` or ``.mlpackage`` of the same name. The search paths that begin with
``$`` name bundles of an app, which do not exist here.

Source: Core ML specification, LinkedModel.proto.
"""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import Any

from .body import Body, Options
from .body import open_body as open_any
from .errors import ModelFileError, UnsupportedError
from .package import open_model

_ENDINGS = (".mlmodel", ".mlpackage")
_opening: ContextVar[tuple[Path, ...]] = ContextVar("models that link to this one", default=())


def open_body(spec: Any, folder: Path, options: Options) -> Body:
    """The body of the model that is linked to.

    Raises:
        ModelFileError: It is not there, or links back to a model that links to it.
        UnsupportedError: It can only be found or read by Core ML.
    """
    if spec.linkedModel.WhichOneof("LinkType") is None:
        raise ModelFileError("there is no link", place="linkedModel")
    path = _find(spec.linkedModel.linkedModelFile, folder).resolve()
    chain = (*_opening.get(), path)
    if path in chain[:-1]:
        shown = " -> ".join(each.name for each in chain[chain.index(path) :])
        raise ModelFileError("models link in a circle", place="linkedModel", got=shown)
    token = _opening.set(chain)
    try:
        files = open_model(path)
        return open_any(files.spec, files.folder, options)
    finally:
        _opening.reset(token)


def _find(link: Any, folder: Path) -> Path:
    name = link.linkedModelFileName.defaultValue
    if not name or PurePosixPath(name).name != name:
        raise ModelFileError("the link names no file", place="linkedModel", got=repr(name))
    stem = Path(name).stem
    names = [name] if name.endswith(_ENDINGS) else [stem + ending for ending in _ENDINGS]
    places = [
        base / part
        for part in (link.linkedModelSearchPath.defaultValue or ".").split(":")
        if not part.startswith("$")
        for base in _bases(folder)
    ]
    for place in places:
        for candidate in names:
            if (place / candidate).exists():
                return place / candidate
    if not places or any((place / name).exists() for place in places):
        raise UnsupportedError(
            "the linked model can only be found or read by Core ML",
            place="linkedModel",
            got=f"{name} in {link.linkedModelSearchPath.defaultValue or '.'}",
            hint=f"put {' or '.join(names)} beside this model",
        )
    raise ModelFileError(
        f"the linked model {name} is missing",
        place="linkedModel",
        allowed=[f"{candidate} in {place}" for place in places for candidate in names],
    )


def _bases(folder: Path) -> list[Path]:
    packages = [parent for parent in folder.parents if parent.suffix == ".mlpackage"]
    return [folder, *(package.parent for package in packages)]
