"""Pictures in and out: loading a file as a model wants it, and the layout of its pixels.

Core ML itself never scales: a picture of another size is an error. Vision does scale, by one of
three rules, and so does ``load_image``:

- ``scaleFill``: stretched to the size, the aspect ratio is lost.
- ``scaleFit``: the whole picture is shown, the rest filled with black.
- ``centerCrop``: the shorter side fits, the middle of the longer one is kept.

Source: Apple, Vision, VNImageCropAndScaleOption; Core ML specification, ImageFeatureType.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .description import Feature, ImageLayout
from .errors import ExecutionError, InputError, UnsupportedError

SCALINGS = ("scaleFill", "scaleFit", "centerCrop")
_MODES = {"GRAYSCALE": "L", "GRAYSCALE_FLOAT16": "F", "RGB": "RGB", "BGR": "RGB"}


def load_image(
    path: str | Path,
    size: tuple[int, int] | None = None,
    scaling: str = "scaleFill",
    color: str = "RGB",
) -> Any:
    """Load a picture upright (EXIF orientation), scaled, in the colours a model wants.

    Args:
        path: Any format that Pillow reads.
        size: (width, height); without it the picture keeps its own.
        scaling: How to reach the size, one of ``SCALINGS``; resampled bilinearly.
        color: GRAYSCALE, GRAYSCALE_FLOAT16, RGB or BGR (a PIL picture is RGB for both).

    Returns:
        A PIL picture of that size.
    """
    from PIL import Image, ImageOps  # lazy: Pillow is optional

    if scaling not in SCALINGS:
        raise InputError("unknown way to scale", got=scaling, allowed=SCALINGS)
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture = _converted(picture, _MODES[color])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"not a readable picture: {error}", place=str(path)) from error
    return picture if size is None else scale(picture, size, scaling)


def scale(picture: Any, size: tuple[int, int], scaling: str = "scaleFill") -> Any:
    """Bring a PIL picture to (width, height) by one of ``SCALINGS``."""
    from PIL import Image, ImageOps  # lazy: Pillow is optional

    bilinear = Image.Resampling.BILINEAR
    if scaling == "scaleFill":
        return picture if picture.size == size else picture.resize(size, bilinear)
    if scaling == "centerCrop":
        return ImageOps.fit(picture, size, bilinear)
    if scaling == "scaleFit":
        return ImageOps.pad(picture, size, bilinear, color=0)
    raise InputError("unknown way to scale", got=scaling, allowed=SCALINGS)


def load_for(feature: Feature, path: str | Path, scaling: str = "scaleFill") -> Any:
    """Load a picture as an image input of a model wants it."""
    layout = _layout(feature)
    return load_image(path, (layout.width, layout.height), scaling, layout.color)


def to_planes(feature: Feature, value: Any) -> Any:
    """An image input as a float32 array of shape [1, channels, height, width], 0 to 255.

    Takes a PIL picture, a path, or an array of shape [height, width] or [height, width, channels]
    with channels in the order red, green, blue; a fourth one is ignored, as in pixel buffers.
    GRAYSCALE_FLOAT16 takes any number that float16 holds, the others what eight bits hold.
    """
    layout = _layout(feature)
    if isinstance(value, str | Path):
        value = load_image(value, color=layout.color)
    if hasattr(value, "convert"):
        value = np.asarray(_converted(value, _MODES[layout.color]))
    pixels = np.asarray(value)
    if pixels.ndim == 2 and layout.channels == 1:
        pixels = pixels[:, :, None]
    if pixels.ndim == 3 and pixels.shape[2] == 4 and layout.channels == 3:
        pixels = pixels[:, :, :3]
    if pixels.ndim != 3 or pixels.shape[2] != layout.channels or pixels.dtype.kind not in "uif":
        raise InputError(
            "not a picture of this kind",
            place=f"input '{feature.name}'",
            got=f"an array of shape {list(pixels.shape)}"
            + (f" and type {pixels.dtype}" if pixels.dtype.kind not in "uif" else ""),
            allowed=(f"a path, a PIL picture, an array [height, width, {layout.channels}]",),
        )
    _check_size(feature, layout, pixels.shape[1], pixels.shape[0])
    if layout.color == "BGR":
        pixels = pixels[:, :, ::-1]
    pixels = _in_depth(feature, layout, pixels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)[None]


def from_planes(layout: ImageLayout, planes: Any) -> Any:
    """An image output of shape [1, channels, height, width] as a PIL picture.

    Real numbers are rounded to the nearest of 0 to 255; GRAYSCALE_FLOAT16 is a picture of mode F.
    """
    try:
        from PIL import Image  # lazy: Pillow is optional
    except ImportError as error:
        raise UnsupportedError("image outputs need Pillow", hint="pip install pillow") from error
    pixels = np.asarray(planes, dtype=np.float32)
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.ndim < 3 or pixels.shape[-3] != layout.channels or prod(pixels.shape[:-3]) != 1:
        raise ExecutionError(
            "the model made no picture where it describes one",
            got=f"an array of shape {list(pixels.shape)}",
            allowed=(f"[1, {layout.channels}, height, width]",),
        )
    pixels = pixels.reshape(pixels.shape[-3:])
    if layout.color == "GRAYSCALE_FLOAT16":
        with np.errstate(over="ignore"):
            return Image.fromarray(pixels[0].astype(np.float16).astype(np.float32))
    pixels = np.nan_to_num(np.clip(np.rint(pixels), 0, 255)).astype(np.uint8)
    if layout.color == "GRAYSCALE":
        return Image.fromarray(pixels[0])
    if layout.color == "BGR":
        pixels = pixels[::-1]
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _in_depth(feature: Feature, layout: ImageLayout, pixels: Any) -> Any:
    """Pixels as the bits of a pixel buffer hold them."""
    if layout.color == "GRAYSCALE_FLOAT16":
        with np.errstate(over="ignore"):
            return pixels.astype(np.float16)
    if pixels.dtype == np.uint8 or not pixels.size:
        return pixels
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= 255):  # so that NaN is refused too
        raise InputError(
            "pixels that eight bits cannot hold",
            place=f"input '{feature.name}'",
            got=f"{low} to {high}",
            allowed=("0 to 255",),
        )
    return np.rint(pixels)


def _layout(feature: Feature) -> ImageLayout:
    if feature.image is None:
        raise InputError("takes no picture", place=f"input '{feature.name}'", got=str(feature))
    return feature.image


def _check_size(feature: Feature, layout: ImageLayout, width: int, height: int) -> None:
    if layout.accepts(width, height):
        return
    sizes = [(layout.width, layout.height), *layout.sizes]
    allowed = [f"{w} x {h}" for w, h in dict.fromkeys(sizes)]
    if layout.ranges:
        text = [f"{low}..{'' if high is None else high}" for low, high in layout.ranges]
        allowed = [" x ".join(text)]
    raise InputError(
        "a picture of the wrong size",
        place=f"input '{feature.name}'",
        got=f"{width} x {height}",
        allowed=allowed,
        hint="Core ML does not scale: use mlbuild.coreml.images.load_image(path, size)",
    )


def _converted(picture: Any, mode: str) -> Any:
    """A picture in another mode, its sixteen bits scaled to eight where it has them."""
    if picture.mode == mode:
        return picture
    if picture.mode.startswith("I;16"):  # Pillow itself would cut at 255
        from PIL import Image  # lazy: Pillow is optional

        wide = np.asarray(picture, dtype=np.float32)
        picture = Image.fromarray(np.rint(wide / 257).astype(np.uint8))
    return _flat(picture).convert(mode)


def _flat(picture: Any) -> Any:
    """A picture with transparency, laid over black as Core ML's pixel buffers are."""
    if picture.mode not in ("RGBA", "LA", "PA") and "transparency" not in picture.info:
        return picture
    from PIL import Image  # lazy: Pillow is optional

    rgba = picture.convert("RGBA")
    ground = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, rgba).convert("RGB")
