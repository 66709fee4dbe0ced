"""Writes docs/classical.md. Run it with the classical toolchain's Python, from the root."""

import importlib
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Load the registry as a stage does, and write the page."""
    stages = types.ModuleType("stages_of_this_checkout")
    stages.__path__ = [str(ROOT / "stages")]
    sys.modules[stages.__name__] = stages
    page = importlib.import_module(f"{stages.__name__}._shared.classical.page")
    (ROOT / "docs" / "classical.md").write_text(page.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
