"""Datasets at an address: ``url: https://...`` with ``sha256`` or ``md5``."""

from __future__ import annotations

from mlbuild.datasets import archives
from mlbuild.datasets.cached import Facts
from mlbuild.datasets.contents import place
from mlbuild.datasets.download import download
from mlbuild.datasets.options import expected, file_name, unpacked
from mlbuild.datasets.order import Order
from mlbuild.datasets.transport import Transport
from mlbuild.toolchains.addresses import local_path, redact_address


def make(order: Order) -> Facts:
    """Fetches the file, and unpacks it where it is an archive."""
    dataset = order.dataset
    if order.offline and local_path(dataset.location) is None:
        raise order.forbidden(redact_address(dataset.location))
    known = {"sha256": str(order.frozen["sha256"])} if order.frozen.get("sha256") else {}
    name = file_name(dataset)
    file = order.downloads / name
    digests = download(
        dataset.location,
        file,
        expected=known | expected(dataset),
        label=order.label,
        progress=order.progress,
        transport=Transport(),
    )
    facts: Facts = {"sha256": digests["sha256"], "size": file.stat().st_size}
    if not unpacked(dataset):
        file.rename(order.content / name)
        return facts | {"single": name}
    held = archives.members(file, order.label)
    names = {name: name for name, member in held.items() if member.kind != "folder"}
    places, single = place(dataset, names)
    archives.unpack(file, order.content, places, held, label=order.label, progress=order.progress)
    return facts | ({"single": single} if single else {})
