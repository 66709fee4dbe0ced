"""The texts of a client in Swift."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..problem.problem import Problem
from ..swift.names import comment, literal
from ..swift.syntax import complaint
from .keys import EncryptionKey, key_id

_TEMPLATES = Path(__file__).parent / "swift"
_ATTEMPTS = 3  # as the template of Configuration says
_SOURCES = (
    "Assembly",
    "Configuration",
    "Fetching",
    "Manifest",
    "Patching",
    "Paths",
    "Refusal",
    "Rollout",
    "Rules",
    "Sealing",
    "Signatures",
    "Store",
    "Unpacking",
    "Updater",
)


@dataclass(frozen=True)
class Client:
    """What a client is made for."""

    name: str
    version: str
    sequence: int
    public_keys: Sequence[bytes]
    platforms: Sequence[tuple[str, str]]
    url: str | None
    encryption: EncryptionKey | None

    @property
    def module(self) -> str:
        """The package and its module."""
        return f"{self.name}OTA"


def texts(client: Client) -> dict[str, str]:
    """All text files by their path in the package.

    Raises:
        Problem: what came out is no Swift.
    """
    pages = {"Package.swift": "Package", "README.md": "README"}
    for source in _SOURCES:
        own = f"{client.name}{source}" if source == "Updater" else source
        pages[f"Sources/{client.module}/{own}.swift"] = source
    pages[f"Tests/{client.module}Tests/{client.module}Tests.swift"] = "Tests"
    environment, values = _environment(), _values(client)
    written = {}
    for path, template in pages.items():
        suffix = Path(path).suffix
        text = environment.get_template(f"{template}{suffix}.j2").render(values)
        wrong = complaint(text) if suffix == ".swift" else None
        if wrong:
            raise Problem(f"the Swift made for this bundle does not parse: {path}:{wrong}")
        written[path] = text
    return written


def _values(client: Client) -> dict[str, object]:
    encryption = None if client.encryption is None else client.encryption.id
    arguments = [] if client.url else ["source: address"]
    if encryption:
        arguments.append("encryptionKeys: [key]")
    return {
        "name": client.name,
        "module": client.module,
        "type": f"{client.name}Updater",
        "version": client.version,
        "sequence": client.sequence,
        "url": client.url,
        "keys": [base64.b64encode(key).decode() for key in client.public_keys],
        "ids": [key_id(key) for key in client.public_keys],
        "platforms": client.platforms,
        "encryption": encryption,
        "arguments": ", ".join(arguments),
        "attempts": _ATTEMPTS,
    }


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(literal=literal, comment=comment)
    return environment
