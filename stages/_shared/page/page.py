"""A report as one HTML file that needs nothing else: text, tables, pictures inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

_THUMBNAIL = 160  # pixels of the longer side
_QUALITY = 80


@dataclass(frozen=True)
class Figure:
    """One number with what it means."""

    name: str
    value: str
    help: str = ""


@dataclass(frozen=True)
class Card:
    """One sample with its picture."""

    title: str
    lines: Sequence[str]
    picture: str | None = None  # a data URL


@dataclass(frozen=True)
class Section:
    """A heading with a table, cards or a picture below it."""

    title: str
    text: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    cards: Sequence[Card] = ()
    heat: Mapping[str, Any] = field(default_factory=dict)  # rows, columns, cells in 0 to 1


def write(
    path: Path, title: str, lead: str, figures: Sequence[Figure], sections: Sequence[Section]
) -> None:
    """Write the page; equal content is equal bytes."""
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.j2").render(
        title=title, lead=lead, figures=figures, sections=sections
    )
    path.write_text(page, encoding="utf-8")


def thumbnail(picture: Image.Image) -> str:
    """A small JPEG of a picture as a data URL."""
    small = picture.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
