"""From a photograph to what the network reads: the same code in training, validation, conversion.

Two steps. ``fit`` brings a picture to the network's size and colour; that picture is also what a
converted model's image input takes. ``to_tensor`` scales its values, and a converted model does
that itself.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..problem.problem import Problem

if TYPE_CHECKING:  # other toolchains prepare pictures too, some without torch
    import torch

COLOURS = {"RGB": 3, "BGR": 3, "GRAY": 1}
RESIZES = ("crop", "squash", "pad")
INTERPOLATIONS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input: ``(pixel - mean) / std`` per channel, 0 to 255.

    ``crop`` is the share of the shorter side that the central square keeps. ``resize`` is "crop"
    (central crop), "squash" (the whole picture, proportions lost) or "pad" (the whole picture on a
    border of the mean colour).
    """

    height: int
    width: int
    colour: str = "RGB"
    mean: tuple[float, ...] = (127.0, 127.0, 127.0)
    std: tuple[float, ...] = (128.0, 128.0, 128.0)
    resize: str = "crop"
    crop: float = 0.875
    interpolation: str = "bicubic"

    @property
    def channels(self) -> int:
        """How many values a pixel has."""
        return COLOURS[self.colour]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of a batch of one: [1, C, H, W]."""
        return (1, self.channels, self.height, self.width)

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``model.json``."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def fit(self, image: Image.Image) -> Image.Image:
        """The picture in the network's size, as mode "RGB" or "L"."""
        image = image.convert("L" if self.colour == "GRAY" else "RGB")
        size, method = (self.width, self.height), INTERPOLATIONS[self.interpolation]
        if image.size == size and (self.resize != "crop" or self.crop == 1.0):
            return image
        if self.resize == "squash":
            return image.resize(size, method)
        if self.resize == "pad":
            return self._padded(image, method)
        return image.resize(size, method, box=self._box(image.size))

    def to_tensor(self, image: Image.Image) -> torch.Tensor:
        """A fitted picture as float32, shape [C, H, W]."""
        import torch  # lazy: as above

        return torch.from_numpy(self.to_array(image))

    def to_array(self, image: Image.Image) -> np.ndarray:
        """A fitted picture as float32, shape [C, H, W]."""
        pixels = np.asarray(image, dtype=np.float32)
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        if self.colour == "BGR":
            pixels = pixels[:, :, ::-1]
        scaled = (pixels - np.float32(self.mean)) / np.float32(self.std)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """A picture of any size as the network's input: float32, shape [C, H, W]."""
        return self.to_tensor(self.fit(image))

    def _box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        # The largest centred rectangle of the network's proportions, then the share of it.
        zoom = min(size[0] / self.width, size[1] / self.height) * self.crop
        # A rounding error must not reach over the edge.
        wide, high = min(self.width * zoom, size[0]), min(self.height * zoom, size[1])
        left, top = (size[0] - wide) / 2, (size[1] - high) / 2
        return (left, top, left + wide, top + high)

    def _padded(self, image: Image.Image, method: Image.Resampling) -> Image.Image:
        zoom = min(self.width / image.size[0], self.height / image.size[1])
        inner = tuple(max(1, round(side * zoom)) for side in image.size)
        colour = tuple(round(m) for m in self.mean)
        colour = colour[::-1] if self.colour == "BGR" else colour
        page = Image.new(
            image.mode, (self.width, self.height), colour[0] if len(colour) == 1 else colour
        )
        page.paste(
            image.resize(inner, method),
            ((self.width - inner[0]) // 2, (self.height - inner[1]) // 2),
        )
        return page


def from_json(data: Any) -> Preprocessing:
    """Read what ``to_json`` wrote.

    Raises:
        Problem: a value is missing, unknown or out of its range.
    """
    try:
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in dict(data).items()}
        made = Preprocessing(**values)
    except (TypeError, ValueError) as error:
        raise Problem(f"preprocessing cannot be read: {error}") from error
    complaint = _complaint(made)
    if complaint:
        raise Problem(f"preprocessing: {complaint}")
    return made


def _complaint(made: Preprocessing) -> str | None:
    if made.colour not in COLOURS:
        return f"colour is {made.colour!r}, allowed: {', '.join(COLOURS)}"
    if made.resize not in RESIZES:
        return f"resize is {made.resize!r}, allowed: {', '.join(RESIZES)}"
    if made.interpolation not in INTERPOLATIONS:
        return f"interpolation is {made.interpolation!r}, allowed: {', '.join(INTERPOLATIONS)}"
    if not all(isinstance(n, int) and 0 < n <= 8192 for n in (made.height, made.width)):
        return f"size is {made.height} by {made.width}, allowed: 1 to 8192"
    if not 0 < made.crop <= 1:
        return f"crop is {made.crop}, allowed: above 0 and up to 1"
    if len(made.mean) != made.channels or len(made.std) != made.channels:
        return f"mean and std need {made.channels} values for {made.colour}"
    if not all(np.isfinite(made.mean)) or not all(np.isfinite(made.std)) or min(made.std) <= 0:
        return "mean and std must be finite, std above 0"
    return None
