"""A Core ML package as one reproducible file."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from ..._shared.digests.tree import files_of, tree_sha256
from ..._shared.packaging.facts import accepted, model_facts, read
from ..._shared.problem.problem import told

VERSION = 1
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that zip knows
_MODE = 0o100644 << 16
_UNIX = 3
_METHODS = {"store": zipfile.ZIP_STORED, "deflate": zipfile.ZIP_DEFLATED}


@told
def run(job: Any) -> None:
    """Zip the package and write the manifest."""
    package, archive = job.inputs["model"], job.outputs["archive"]
    facts = read(package)
    name = archive.name.removesuffix(".zip")
    files = files_of(package)
    _zip(package, archive, name, files, _METHODS[job.params.compression])
    packed = archive.read_bytes()
    manifest = {
        "version": VERSION,
        "name": name.removesuffix(".mlpackage"),
        "archive": {
            "file": archive.name,
            "size_bytes": len(packed),
            "sha256": hashlib.sha256(packed).hexdigest(),
        },
        "model": {"file": name, "sha256": tree_sha256(files), **model_facts(facts)},
        "files": files,
        "accepted_with": accepted(
            job.inputs.get("reports") or [], job.axes.get("reports") or [], package
        ),
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    job.outputs["manifest"].write_text(text + "\n", encoding="utf-8")
    job.metric("size_mb", len(packed) / 1e6)
    job.metric("files", len(files))


def _zip(package: Path, archive: Path, name: str, files: list[dict[str, Any]], method: int) -> None:
    with zipfile.ZipFile(archive, "w") as packing:
        for file in files:
            entry = zipfile.ZipInfo(f"{name}/{file['path']}", _DATE)
            entry.compress_type, entry.external_attr = method, _MODE
            entry.create_system = _UNIX
            packing.writestr(entry, (package / file["path"]).read_bytes())
