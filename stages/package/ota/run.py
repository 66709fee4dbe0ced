"""A signed bundle for updates of a model without an update of the app."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..._shared.ota.client import Client, texts
from ..._shared.ota.earlier import Earlier, next_sequence, returned_to, revoked
from ..._shared.ota.keys import EncryptionKey, encryption_key, public_keys, signing_keys
from ..._shared.ota.model import Model, read, spec_version
from ..._shared.ota.opening import check_signature, earlier_of, open_bundle
from ..._shared.ota.payload import Payload, entries, update_size
from ..._shared.ota.sealing import METHOD, SEGMENT
from ..._shared.ota.wire import FILES, FORMAT, MANIFEST, SIGNATURE, WHOLE, canonical
from ..._shared.problem.problem import Problem, told
from ..._shared.swift.platforms import platforms


@told
def run(job: Any) -> None:
    """Pack, sign, open again what was written, generate the client."""
    keys = signing_keys(job.params.signing_keys, os.environ)
    pinned = public_keys(job.params.public_keys, keys)
    master = encryption_key(job.params.encryption_key, os.environ)
    bundle = job.outputs["bundle"]
    name = bundle.name.removesuffix(".ota")
    earlier = [earlier_of(path, name, master) for path in job.inputs.get("previous") or []]
    model, oldest = _model(job, earlier, pinned)
    sequence = next_sequence(earlier, job.params.sequence)
    version = job.params.version or str(sequence)
    payload = Payload(name, version, job.params.compression, master)
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "sequence": sequence,
        "minimum_app": job.params.minimum_app,
        "minimum_os": dict(oldest),
        "rollout": round(job.params.rollout * WHOLE / 100),
        "expires": _moment(job.params.expires),
        "revoked": revoked(earlier, job.params.revoked, job.params.rollback_to, sequence),
        "rollback_to": job.params.rollback_to,
        "encryption": _encryption(master),
        "model": {"file": model.file(name), "sha256": model.sha256, "size": model.size},
        "files": entries(model, name, earlier, payload),
    }
    signed = canonical(manifest)
    _write(bundle, signed, "".join(key.line(signed) for key in keys), payload.files)
    if open_bundle(bundle, name, master).model != model:
        raise Problem("the bundle does not open to the model that went into it")
    client = Client(name, version, sequence, pinned, tuple(oldest), job.params.url, master)
    for path, text in texts(client).items():
        file = job.outputs["client"] / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    _measure(job, manifest, model, earlier)


def _model(
    job: Any, earlier: Sequence[Earlier], pinned: Sequence[bytes]
) -> tuple[Model, list[tuple[str, str]]]:
    """What is delivered, and the oldest systems that run it."""
    if job.params.rollback_to is None:
        model = read(job.inputs["model"])
    else:
        again = returned_to(earlier, job.params.rollback_to)
        assert again.where is not None  # it is a bundle
        check_signature(again.where, pinned)
        model = again.model
    return model, platforms(spec_version(model), job.params.platforms)


def _moment(text: str | None) -> str | None:
    if text is not None:
        try:
            datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
        except ValueError as error:
            raise Problem(f"expires: {text!r} is no moment that the calendar knows") from error
    return text


def _encryption(master: EncryptionKey | None) -> dict[str, Any] | None:
    if master is None:
        return None
    return {"method": METHOD, "key": master.id, "segment": SEGMENT}


def _write(bundle: Path, manifest: bytes, signatures: str, files: dict[str, bytes]) -> None:
    (bundle / FILES).mkdir(parents=True)
    for digest, data in files.items():
        (bundle / FILES / digest).write_bytes(data)
    (bundle / MANIFEST).write_bytes(manifest)
    (bundle / SIGNATURE).write_text(signatures, encoding="ascii")


def _measure(job: Any, manifest: dict[str, Any], model: Model, earlier: Sequence[Earlier]) -> None:
    files = manifest["files"]
    full = sum(file["transport"]["size"] for file in files)
    job.metric("size_mb", full / 1e6)
    job.metric("model_mb", model.size / 1e6)
    job.metric("sequence", manifest["sequence"])
    for version in earlier:
        size = update_size(files, version)
        job.log(f"from {version.label}: {size} of {full} bytes")
        if version.sequence is not None:
            job.metric(f"update_mb_from.{version.sequence}", size / 1e6)
    # Bundles before bare models, the greatest number first; of bare models the last given.
    newest = max(enumerate(earlier), key=lambda e: (e[1].sequence or 0, e[0]), default=None)
    update = full if newest is None else update_size(files, newest[1])
    job.metric("update_mb", update / 1e6)
    job.metric("update_ratio", update / full if full else 1.0)
