"""The example in docs/release-example: the documents of the release that `facts_of` tells of.

python -m tests.release.example     writes it anew
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mlbuild.release.documents import write_documents
from tests.release.facts_of import released

PLACE = Path(__file__).parents[2] / "docs/release-example"


def example(folder: Path) -> dict[str, bytes]:
    """The documents by name, made in an empty folder."""
    write_documents(released(folder), folder / "release")
    return {f.name: f.read_bytes() for f in (folder / "release").iterdir() if f.is_file()}


def main() -> None:
    """Write the example."""
    with tempfile.TemporaryDirectory() as folder:
        made = example(Path(folder))
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    for name, data in made.items():
        (PLACE / name).write_bytes(data)


if __name__ == "__main__":
    main()
