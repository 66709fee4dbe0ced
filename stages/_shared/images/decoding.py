"""Opening pictures: any common format, upright, eight bits, without transparency."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..problem.problem import Problem

_COMMON = (".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp")
_RARE = (".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k", ".avif", ".ico")
_APPLE = (".heic", ".heif")  # listed, so that they are not passed over in silence
SUFFIXES = frozenset(_COMMON + _RARE + _APPLE)
_DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
_LIMIT = 200_000_000  # pixels; more is a mistake or an attack


class UnreadableImage(Problem):
    """A file that should be a picture and is not, or only in part."""


def open_picture(path: Path) -> Image.Image:
    """The picture of a file, turned as its EXIF orientation says; mode "L" or "RGB".

    Raises:
        UnreadableImage: the file is missing, no picture, damaged or truncated.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata in sound pictures
            with Image.open(path) as file:
                if file.width * file.height > _LIMIT:
                    raise UnreadableImage(f"{file.width} by {file.height} pixels are too many")
                file.load()
                return _plain(ImageOps.exif_transpose(file))
    except UnreadableImage:
        raise
    except Exception as error:  # each of Pillow's decoders has its own
        raise UnreadableImage(_reason(path, error)) from error


def _plain(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP:
        return _eight_bits(image)
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.has_transparency_data:
        # Transparent pixels hold any colour; on white they look as viewers show them.
        image = image.convert("RGBA")
        page = Image.new("RGBA", image.size, (255, 255, 255, 255))
        page.alpha_composite(image)
        return page.convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    top = float(values.max(initial=0.0))
    # 16-bit files keep their scale; others (float, 32-bit) are told by what they hold.
    full = 1.0 if top <= 1.0 else 255.0 if top <= 255.0 and image.mode == "F" else 65535.0
    scaled = np.clip(np.rint(values * (255.0 / full)), 0, 255).astype(np.uint8)
    return Image.fromarray(scaled)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if path.suffix.lower() in _APPLE:
        return "HEIC is not supported: export it as JPEG or PNG"
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a picture in a known format"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
