"""Plays CI and writes what is to be seen into docs/releasing.md: `python tools/played_ci.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.played import CHAPTERS, begin, for_page, story  # noqa: E402 - after the path is set
from tests.starting.comments import serving  # noqa: E402

PAGE = ROOT / "docs/releasing.md"
BEGIN, END = "<!-- made by tools/played_ci.py -->\n", "<!-- end of what it made -->\n"


def played() -> str:
    """All chapters, as Markdown."""
    with tempfile.TemporaryDirectory() as folder, serving() as comments:
        world = begin(Path(folder).resolve(), comments.address)
        seen = {name: for_page(text, world) for name, text in story(world).items()}
    return "\n".join(
        f"**{heading}**\n\n```console\n{seen[name]}```\n" for name, heading in CHAPTERS.items()
    )


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{played()}\n{END}{rest.split(END)[1]}", encoding="utf-8")
