"""What tests of Core AI share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tree():  # type: ignore[no-untyped-def]
    """``tree(folder) -> {relative path: bytes}``."""

    def read(folder: Path) -> dict[str, bytes]:
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}

    return read
