"""All attacks, and the table of them in docs/verifying.md: python -m tests.release.attacks."""

from __future__ import annotations

from pathlib import Path

from tests.release import attacks_on_files, attacks_on_meaning
from tests.release.scene import ATTACKS

PAGE = Path(__file__).parents[2] / "docs/verifying.md"
BEGIN, END = "<!-- attacks -->\n", "<!-- /attacks -->\n"
FILES, MEANING = attacks_on_files, attacks_on_meaning  # imported, they note their rows


def table() -> str:
    """The rows as Markdown."""
    head = ("What is done", "What is said, with the key", "Tag and ledger only", "Folder only")
    told = [f"| {' | '.join(head)} |", "|---|---|---|---|"]
    for row in ATTACKS:
        said = f"`{row.said.rstrip()}`" if "`" not in row.said else row.said
        marks = [f"refused: {a}" if a else "**not noticed**" for a in (row.project, row.alone)]
        told.append(f"| {row.name} | {said} | {' | '.join(marks)} |")
    return "\n".join(told) + "\n"


def page() -> str:
    """The page with the table as it should be."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
