"""From the outputs of both models to figures, overall and by sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..problem.problem import Problem
from . import figures
from .samples import Sample


@dataclass(frozen=True)
class Row:
    """One sample's outputs by name, of both models."""

    sample: Sample
    reference: dict[str, np.ndarray]
    candidate: dict[str, np.ndarray]


class Classes:
    """Two classifiers."""

    about = "centred logits"

    def __init__(
        self, rows: list[Row], labels: tuple[str, ...], order: np.ndarray, topk: int
    ) -> None:
        self.rows, self.labels, self.topk = rows, labels, topk
        self.raw = np.stack([row.reference["logits"] for row in rows])
        self.raw_candidate = np.stack([row.candidate["logits"][order] for row in rows])
        self.reference, self.candidate = map(figures.centred, (self.raw, self.raw_candidate))
        _finite(rows, self.reference, self.candidate)

    @cached_property
    def by_sample(self) -> list[dict[str, Any]]:
        """Figures of each sample, in the order of the samples."""
        ours, theirs = figures.ranking(self.reference), figures.ranking(self.candidate)
        scores = [np.exp(figures.log_softmax(x)) for x in (self.reference, self.candidate)]
        distance = figures.kl_divergence(self.reference, self.candidate)
        cosine = figures.cosine(self.reference, self.candidate)
        error = np.abs(self.reference - self.candidate)
        return [
            {
                "sample": row.sample.name,
                "reference": self._best(ours[i], scores[0][i]),
                "candidate": self._best(theirs[i], scores[1][i]),
                "agrees": bool(ours[i, 0] == theirs[i, 0]),
                "in_topk": bool(ours[i, 0] in theirs[i, : self.topk]),
                "psnr_db": figures.psnr(self.reference[i], self.candidate[i]),
                "max_abs": float(error[i].max()),
                "mean_abs": float(error[i].mean()),
                "cosine": float(cosine[i]),
                "kl": float(distance[i]),
            }
            for i, row in enumerate(self.rows)
        ]

    def sides(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What is compared, by name."""
        return {"logits": (self.reference, self.candidate)}

    def _best(self, ranked: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        return {"label": self.labels[ranked[0]], "score": float(scores[ranked[0]])}

    def metrics(self) -> dict[str, Any]:
        """Figures over all samples; shares with n and interval."""
        error = np.abs(self.reference - self.candidate)
        each = self.by_sample
        return {
            "psnr_db": figures.psnr(self.reference, self.candidate),
            "max_abs": float(error.max()),
            "mean_abs": float(error.mean()),
            "cosine": float(np.mean([row["cosine"] for row in each])),
            "agreement_top1": figures.share(np.array([r["agrees"] for r in each])).to_json(),
            "agreement_topk": figures.share(np.array([r["in_topk"] for r in each])).to_json(),
            "kl": float(np.mean([row["kl"] for row in each])),
            "samples": len(each),
        }

    def worst(self, count: int) -> list[int]:
        """Samples on which the models part most: other best class first, then by divergence."""
        each = self.by_sample
        return sorted(range(len(each)), key=lambda i: (each[i]["agrees"], -each[i]["kl"], i))[
            :count
        ]


class Outputs:
    """Two models of any sort, compared output by output."""

    about = "values of each output"

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        first = rows[0]
        shared = sorted(set(first.reference) & set(first.candidate))
        # Text and whole numbers name classes or items: they agree or not, and have no distance.
        whole = [n for n in shared if first.reference[n].dtype.kind in "biuUS"]
        self.names = [name for name in shared if name not in whole]
        text = [n for n in whole if first.reference[n].dtype.kind in "US"]
        self.names = self.names or [n for n in whole if n not in text]
        self.whole = [n for n in whole if n not in self.names]
        lacking = sorted(set(first.reference) - set(first.candidate))
        if lacking or not shared:
            had = ", ".join(sorted(first.candidate)) or "no arrays"
            raise Problem(f"the candidate lacks output {', '.join(lacking) or '?'}; it has {had}")
        for row in rows:
            for name in shared:
                shapes = row.reference[name].shape, row.candidate[name].shape
                if shapes[0] != shapes[1]:
                    raise Problem(f"output {name}: shapes differ, {shapes[0]} and {shapes[1]}")
        if self.names:
            _finite(rows, *(np.concatenate([self._flat(r, s) for r in rows]) for s in (0, 1)))

    def _flat(self, row: Row, side: int, only: str | None = None) -> np.ndarray:
        arrays = (row.reference, row.candidate)[side]
        names = [only] if only else self.names
        return np.concatenate([arrays[n].astype(np.float64).reshape(-1) for n in names])

    @cached_property
    def by_sample(self) -> list[dict[str, Any]]:
        """Figures of each sample: the worst of its outputs."""
        return [
            {"sample": row.sample.name, **_worst_of([self._one([row], n) for n in self.names])}
            for row in self.rows
        ]

    @cached_property
    def by_output(self) -> dict[str, dict[str, float]]:
        """Figures of each output over all samples."""
        return {name: self._one(self.rows, name) for name in self.names}

    def metrics(self) -> dict[str, Any]:
        """The worst of the outputs; of whole numbers, the share that is the same."""
        same = {f"agreement.{n}": figures.share(self._equal(n)).to_json() for n in self.whole}
        return {**_worst_of(list(self.by_output.values())), **same, "samples": len(self.rows)}

    def sides(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What is compared, by name."""
        return {n: self._both(self.rows, n) for n in self.names}

    def worst(self, count: int) -> list[int]:
        """Samples by descending error."""
        each = self.by_sample
        return sorted(range(len(each)), key=lambda i: (-each[i]["max_abs"], i))[:count]

    def parted(self, tie: float) -> list[str]:
        """Samples whose labels differ though the reference's scores leave no doubt.

        Args:
            tie: best scores that lie nearer than this may be told either way.
        """
        text = [n for n in self.whole if self.rows[0].reference[n].dtype.kind in "US"]
        return [
            row.sample.name
            for row in self.rows
            if any((row.reference[n] != row.candidate[n]).any() for n in text)
            and not any(_near(row.reference[n], tie) for n in self.names)
        ]

    def _equal(self, name: str) -> np.ndarray:
        """Which values of an output are the same; text and numbers by what they say."""
        ours = np.concatenate([r.reference[name].reshape(-1).astype(str) for r in self.rows])
        theirs = np.concatenate([r.candidate[name].reshape(-1).astype(str) for r in self.rows])
        return ours == theirs

    def _both(self, rows: list[Row], name: str) -> tuple[np.ndarray, np.ndarray]:
        a, b = (np.concatenate([self._flat(r, side, name) for r in rows]) for side in (0, 1))
        return a, b

    def _one(self, rows: list[Row], name: str) -> dict[str, float]:
        a, b = self._both(rows, name)
        error = np.abs(a - b)
        return {
            "psnr_db": figures.psnr(a, b),
            "max_abs": float(error.max()),
            "mean_abs": float(error.mean()),
            "cosine": float(figures.cosine(a[None], b[None])[0]),
        }


def _near(scores: np.ndarray, tie: float) -> bool:
    """Whether the best two lie so near that rounding decides."""
    best = np.sort(scores.astype(np.float64).reshape(-1))[-2:]
    return len(best) == 2 and best[1] - best[0] < tie


def _worst_of(parts: list[dict[str, float]]) -> dict[str, float]:
    pick = {"psnr_db": min, "cosine": min, "max_abs": max, "mean_abs": max}
    if not parts:  # labels alone: their agreement says all
        return {"psnr_db": figures.EQUAL_DB, "cosine": 1.0, "max_abs": 0.0, "mean_abs": 0.0}
    return {name: choose(part[name] for part in parts) for name, choose in pick.items()}


def _finite(rows: list[Row], *sides: np.ndarray) -> None:
    for which, values in zip(("reference", "candidate"), sides, strict=True):
        if not np.isfinite(values).all():
            raise Problem(
                f"the {which} gives values that are not finite on {len(rows)} samples",
                hint="in float16 numbers end at 65504: convert with `precision: float32`"
                if which == "candidate"
                else None,
            )
