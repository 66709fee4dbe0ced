"""Networks for arrays that are no pictures: sound, movement, tokens, columns of a table.

What brings raw values to scale is part of each network, in a module called ``front``: a converted
model computes that in float32 where the rest is float16 (raw values may be beyond 65504). Inputs
may come without a dimension for a batch, as a converted model gives them. ``head`` is the last
layer, from features to logits or to a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from . import generator_net
from .log_mel import LogMel

FLOAT32_MODULES = ["front"]
_LEAST_STD = 1e-6


class Scale(nn.Module):
    """Each channel less its mean, by its deviation; one that never changed is left at zero."""

    def __init__(self, channels: int, trailing: int = 0) -> None:
        super().__init__()
        shape = (channels, *[1] * trailing)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("factor", torch.ones(shape))

    def fit(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Take over what was measured, each of shape [channels]."""
        self.mean.copy_(mean.view_as(self.mean))
        factor = torch.where(std > _LEAST_STD, 1 / std.clamp(min=_LEAST_STD), torch.zeros(()))
        self.factor.copy_(factor.view_as(self.factor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [N, channels, ...] -> the same."""
        return (x - self.mean) * self.factor


class SoundFront(nn.Module):
    """Samples to a picture of log-mel energies of mean 0 and deviation 1."""

    def __init__(self, mel: LogMel, samples: int) -> None:
        super().__init__()
        self.mel, self.samples = mel, samples
        self.scale = Scale(mel.bands, trailing=1)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Shapes [N, samples] -> [N, 1, bands, frames]."""
        return self.scale(self.mel(audio.reshape(-1, self.samples))).unsqueeze(1)


class SoundNet(nn.Module):
    """Log-mel energies, convolutions over frequency and time, a dense layer on what they found."""

    def __init__(
        self,
        classes: int,
        samples: int,
        mel: LogMel,
        channels: Sequence[int],
        dense: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.front = SoundFront(mel, samples)
        layers: list[nn.Module] = []
        for before, width in zip([1, *channels[:-1]], channels, strict=True):
            layers += [
                nn.Conv2d(before, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(kernel_size=2, stride=2),
            ]
        self.body = nn.Sequential(*layers)
        halved = 2 ** len(channels)
        found = channels[-1] * (mel.bands // halved) * (mel.frames(samples) // halved)
        self.dense = nn.Sequential(nn.Linear(found, dense), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(dense, classes)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Logits, shapes [N, samples] -> [N, K]."""
        x = self.body(self.front(audio))
        # When a sound begins is part of what it is: its place in the window is kept.
        return self.head(self.dropout(self.dense(torch.flatten(x, 1))))


class ActivityFront(nn.Module):
    """Columns of a window as channels of mean 0 and deviation 1."""

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.scale = Scale(channels, trailing=1)

    def forward(self, *columns: torch.Tensor) -> torch.Tensor:
        """Shapes [N, window], one for each channel -> [N, channels, window]."""
        return self.scale(torch.stack([c.reshape(-1, self.window) for c in columns], dim=1))


class ActivityNet(nn.Module):
    """Convolutions over time, a recurrent layer over what they found, a dense layer."""

    def __init__(
        self,
        classes: int,
        channels: int,
        window: int,
        filters: Sequence[int],
        kernel: int,
        recurrent: int,
        dense: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.front = ActivityFront(channels, window)
        layers: list[nn.Module] = []
        width = channels
        for count in filters:
            layers += [
                nn.Conv1d(width, count, kernel, stride=2, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(count),
                nn.ReLU(),
            ]
            width = count
        self.body = nn.Sequential(*layers)
        self.recurrent = nn.LSTM(width, recurrent, batch_first=True) if recurrent else None
        self.dense = nn.Sequential(nn.Linear(recurrent or width, dense), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(dense, classes)

    def forward(self, *columns: torch.Tensor) -> torch.Tensor:
        """Logits, shapes [N, window], one for each channel -> [N, K]."""
        x = self._over_time(self.body(self.front(*columns)))
        return self.head(self.dropout(self.dense(x)))

    def _over_time(self, x: torch.Tensor) -> torch.Tensor:
        if self.recurrent is None:
            return x.mean(dim=2)
        return self.recurrent(x.transpose(1, 2))[0][:, -1]


class TextNet(nn.Module):
    """Embedded tokens, averaged or searched by convolutions; token 0 is padding."""

    def __init__(
        self,
        classes: int,
        vocabulary: int,
        length: int,
        width: int,
        filters: int,
        kernels: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.length = length
        # The vector of padding is masked, not zero: a row of zeros has no scale to quantize it by.
        self.embedding = nn.Embedding(vocabulary, width)
        # Large random vectors of words that are seen once would stay as they are.
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.searches = nn.ModuleList(
            [nn.Conv1d(width, filters, kernel, padding=kernel // 2) for kernel in kernels]
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(filters * len(kernels) if kernels else width, classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits, shapes int [N, length] -> [N, K]."""
        ids = ids.reshape(-1, self.length)
        there = (ids > 0).to(torch.float32)
        embedded = self.embedding(ids) * there.unsqueeze(-1)
        if len(self.searches):
            found = [torch.relu(search(embedded.transpose(1, 2))) for search in self.searches]
            x = torch.cat([f.amax(dim=2) for f in found], dim=1)
        else:
            # A mean, not a sum: a float16 sum over long texts grows without bound.
            count = there.mean(dim=1, keepdim=True).clamp(min=1.0 / self.length)
            x = embedded.mean(dim=1) / count
        return self.head(self.dropout(x))


class TabularFront(nn.Module):
    """Numbers to scale, with the mean where there is none, and whether there was one."""

    def __init__(self, numbers: int, indicators: Sequence[int]) -> None:
        super().__init__()
        self.scale = Scale(numbers)
        self.indicators = list(indicators)

    def forward(self, *columns: torch.Tensor) -> torch.Tensor:
        """Shapes [N, 1], one for each number -> [N, numbers + indicators]; missing is NaN."""
        numbers = torch.cat([column.reshape(-1, 1) for column in columns], dim=1)
        missing = numbers != numbers
        scaled = self.scale(torch.where(missing, self.scale.mean.expand_as(numbers), numbers))
        # Far outside of what was learnt, in float16 even infinite: hold it.
        scaled = torch.clamp(scaled, -10.0, 10.0)
        if not self.indicators:
            return scaled
        told = [missing[:, place : place + 1].to(torch.float32) for place in self.indicators]
        return torch.cat([scaled, *told], dim=1)


class TabularNet(nn.Module):
    """A multilayer perceptron on scaled numbers and embedded categories."""

    def __init__(
        self,
        classes: int,
        numbers: int,
        indicators: Sequence[int],
        categories: Sequence[int],
        layers: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.numbers = numbers
        self.front = TabularFront(numbers, indicators) if numbers else None
        widths = [embedding_width(count) for count in categories]
        self.embeddings = nn.ModuleList(
            [
                nn.Embedding(count + 1, width)
                for count, width in zip(categories, widths, strict=True)
            ]
        )
        body: list[nn.Module] = []
        before = numbers + len(indicators) + sum(widths)
        for width in layers:
            body += [nn.Linear(before, width), nn.ReLU(), nn.Dropout(dropout)]
            before = width
        self.body = nn.Sequential(*body)
        self.head = nn.Linear(before, classes or 1)
        self.unscale = Unscale() if not classes else None

    def forward(self, *columns: torch.Tensor) -> torch.Tensor:
        """Logits [N, K], or values [N, 1], of columns of shape [N, 1]: numbers, then categories.

        A category is its index plus 1; 0 stands for one that is missing or was never seen.
        """
        parts = []
        if self.front is not None:
            parts.append(self.front(*columns[: self.numbers]))
        for column, embedding in zip(columns[self.numbers :], self.embeddings, strict=True):
            parts.append(embedding(column.reshape(-1)))
        x = self.head(self.body(torch.cat(parts, dim=1)))
        return x if self.unscale is None else self.unscale(x)


class Unscale(nn.Module):
    """From a value of mean 0 and deviation 1 to the target's own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("std", torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [N, 1] -> [N, 1]."""
        return x * self.std + self.mean


def embedding_width(count: int) -> int:
    """How many numbers stand for one of ``count`` categories."""
    return max(2, min(16, round(1.6 * count**0.56)))


def _sound(
    classes: int,
    samples: int = 8000,
    rate: int = 8000,
    fft: int = 256,
    hop: int = 128,
    bands: int = 40,
    low: float = 50.0,
    high: float = 4000.0,
    channels: Sequence[int] = (16, 32, 64),
    dense: int = 64,
    dropout: float = 0.2,
) -> nn.Module:
    mel = LogMel(rate, fft, hop, bands, low, high)
    return SoundNet(classes, samples, mel, list(channels), dense, dropout)


def _activity(
    classes: int,
    channels: int,
    window: int,
    filters: Sequence[int] = (32, 64),
    kernel: int = 5,
    recurrent: int = 64,
    dense: int = 64,
    dropout: float = 0.2,
) -> nn.Module:
    return ActivityNet(classes, channels, window, filters, kernel, recurrent, dense, dropout)


def _text(
    classes: int,
    vocabulary: int,
    length: int,
    width: int = 32,
    filters: int = 64,
    kernels: Sequence[int] = (),
    dropout: float = 0.2,
) -> nn.Module:
    return TextNet(classes, vocabulary, length, width, filters, kernels, dropout)


def _tabular(
    classes: int,
    numbers: int = 0,
    indicators: Sequence[int] = (),
    categories: Sequence[int] = (),
    layers: Sequence[int] = (64, 32),
    dropout: float = 0.1,
) -> nn.Module:
    return TabularNet(classes, numbers, indicators, categories, layers, dropout)


BUILDERS: dict[str, Callable[..., Any]] = {
    "sound-cnn": _sound,
    "activity-net": _activity,
    "text-net": _text,
    "tabular-net": _tabular,
    **generator_net.BUILDERS,
}
