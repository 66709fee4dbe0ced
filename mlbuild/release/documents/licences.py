"""Licences by their SPDX identifier: what hubs and bills of materials call them."""

from __future__ import annotations

# SPDX identifiers of licences that models and data are given under, and which hubs know in lower
# case. Others are told by their name: an invented identifier would make a document invalid.
_KNOWN = (
    "AFL-3.0", "AGPL-3.0", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause",
    "BSD-3-Clause-Clear", "BSL-1.0", "C-UDA-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0",
    "CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "CC-BY-SA-3.0",
    "CC-BY-SA-4.0", "CC0-1.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0",
    "ECL-2.0", "EPL-1.0", "EPL-2.0", "EUPL-1.1", "EUPL-1.2", "GPL-2.0", "GPL-3.0", "ISC",
    "LGPL-2.1", "LGPL-3.0", "LPPL-1.3c", "MIT", "MPL-2.0", "MS-PL", "NCSA", "ODbL-1.0", "OFL-1.1",
    "OSL-3.0", "PostgreSQL", "Unlicense", "WTFPL", "Zlib",
)  # fmt: skip
_BY_LOWER = {name.lower(): name for name in _KNOWN}
_HUB = {"odbl-1.0": "odbl", "c-uda-1.0": "c-uda"}  # where a hub leaves the version out


def spdx(licence: str) -> str | None:
    """The SPDX identifier in its own spelling; None of another text."""
    return _BY_LOWER.get(licence.strip().lower())


def hub(licence: str) -> str | None:
    """As model hubs write it; None where they know it only as `other`."""
    known = spdx(licence)
    return None if known is None else _HUB.get(known.lower(), known.lower())
