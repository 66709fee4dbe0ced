"""Recommenders: who had which item, perhaps how much it was liked."""

from __future__ import annotations

from typing import Any, Dict, List, Optional  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.tables import target
from ..._shared.tables.choosing import choose, learnt
from ..._shared.tables.description import sheet_for
from ..._shared.tables.sheet import Sheet
from ..._shared.turi.frames import of_table
from . import figures, splitting
from .creating import told
from .tables import reading_of, spread
from .writing import write_rows

_CONTENT = "item-content-recommender"
_OWN = ("name", "user", "item", "recommend")


class Pairs:
    """Users and items, as text, with a rating each or none."""

    def __init__(self, users: np.ndarray, items: np.ndarray, ratings: Optional[np.ndarray]) -> None:  # noqa: UP045
        self.users, self.items, self.ratings = users, items, ratings

    def __len__(self) -> int:
        return len(self.users)

    def take(self, places: np.ndarray) -> Pairs:
        """Some of them."""
        ratings = None if self.ratings is None else self.ratings[places]
        return Pairs(self.users[places], self.items[places], ratings)

    def of_users(self) -> Dict[str, Dict[str, float]]:  # noqa: UP006
        """Items with ratings (1 where there are none) by user, in the order of the file."""
        found: Dict[str, Dict[str, float]] = {}  # noqa: UP006
        for place, user in enumerate(self.users):
            rating = 1.0 if self.ratings is None else float(self.ratings[place])
            found.setdefault(user, {})[self.items[place]] = rating
        return found


class Interactions:
    """Pairs of an input, and columns of items where they are given."""

    judged = True

    def __init__(self, job: Any, turicreate: Any) -> None:
        self._job, self._tc = job, turicreate
        self.toolkit = dict(job.params.toolkit)
        self.name, self.target = self.toolkit["name"], job.params.target
        self.user, self.item = self.toolkit["user"], self.toolkit["item"]
        self.reading = reading_of(job.params)
        self.all = self._pairs(sheet_for(job.inputs["data"], {"reading": self.reading}))
        self.test: Optional[Pairs] = None  # noqa: UP045
        if "test" in job.inputs:
            self.test = self._pairs(sheet_for(job.inputs["test"], {"reading": self.reading}))
        self.side = self._items()
        if self.name == _CONTENT and self.side is None:
            raise Problem(f"{self.name} needs the input 'items': a row for each item")

    def split(self, share: float, seed: int) -> Any:
        """Some pairs of each user are held out; of users with one pair none."""
        learn, ask = splitting.by_label(self.all.users.tolist(), share, seed)
        return self.all.take(learn), self.all.take(ask)

    def learn(self, rows: Any) -> Any:
        """A model."""
        options = {k: v for k, v in self.toolkit.items() if k not in _OWN}
        create = getattr(self._tc, self.name.replace("-", "_")).create
        frame = self._frame(rows)
        if self.name == _CONTENT:
            return told(create, self.side, self.item, frame, self.user, verbose=False, **options)
        if "max_iterations" in options or self.name == "popularity-recommender":
            options["random_seed"] = self._job.params.seed
        return told(
            create, frame, self.user, self.item, self.target, item_data=self.side, verbose=False,
            **options,
        )  # fmt: skip

    def judge(self, model: Any, rows: Any) -> figures.Facts:
        """Recall and precision of the best items; the error of ratings where those are learnt."""
        job, most = self._job, int(self.toolkit["recommend"])
        held = rows.of_users()
        users = sorted(held)
        said = model.recommend(users=self._tc.SArray(users), k=most)
        given: Dict[str, List[str]] = {user: [] for user in users}  # noqa: UP006
        for user, item in zip(said[self.user], said[self.item]):  # noqa: B905
            given[user].append(item)
        hits = [len(set(given[u]) & set(held[u])) for u in users]
        found = {
            "recall_at_k": float(np.mean([h / len(held[u]) for h, u in zip(hits, users)])),  # noqa: B905
            "precision_at_k": float(np.mean([h / most for h in hits])),
            "users": len(users),
        }
        if self.target is not None and "factorization" in self.name:
            predicted = np.array(model.predict(self._frame(rows)), dtype=np.float64)
            found["rmse"] = float(np.sqrt(((predicted - rows.ratings) ** 2).mean()))
        for name, value in found.items():
            job.metric(name, value)
        return {**found, "k": most}

    def describe(self, model: Any) -> figures.Facts:
        """What the model says of itself; a sample is a map of items to ratings, as JSON."""
        return {
            "toolkit": self.name,
            "target": self.target,
            "user": self.user,
            "item": self.item,
            "task": "recommendation",
            "labels": None,
            "items": sorted({*self.all.items.tolist(), *self._known()}),
            "reading": self.reading,
            "inputs": [
                {
                    "name": name, "kind": "column", "layout": None, "shape": [], "dtype": kind,
                    "preprocessing": None,
                }
                for name, kind in (("interactions", "string"), ("k", "int64"))
            ],
            "outputs": [{"name": "scores", "gives": "value"}],
        }  # fmt: skip

    def samples(self, rows: Any) -> None:
        """What some users had, for validation."""
        users = (rows if rows is not None else self.all).of_users()
        names = sorted(users)
        chosen = [names[int(p)] for p in spread(len(names), self._job.params.samples)]
        known = len({*self.all.items.tolist(), *self._known()})
        given = [users[u] for u in chosen]
        if self.toolkit.get("similarity_type", "jaccard") == "jaccard":  # no rating counts
            given = [dict.fromkeys(items, 1.0) for items in given]
        columns = {"interactions": given, "k": [known] * len(chosen)}
        write_rows(self._job.outputs["samples"] / "samples.csv", columns)

    def _known(self) -> List[str]:  # noqa: UP006
        return [] if self.side is None else list(self.side[self.item])

    def _frame(self, rows: Any) -> Any:
        columns = {self.user: rows.users.tolist(), self.item: rows.items.tolist()}
        if rows.ratings is not None:
            columns[self.target] = rows.ratings.tolist()
        return self._tc.SFrame(columns)

    def _pairs(self, sheet: Sheet) -> Pairs:
        users, items = (
            np.array([str(v) for v in target.column(sheet, n, "category", self.reading).values])
            for n in (self.user, self.item)
        )
        rated = None if self.target is None else target.numbers(sheet, self.target, self.reading)
        return Pairs(users, items, rated)

    def _items(self) -> Any:
        if "items" not in self._job.inputs:
            return None
        sheet = sheet_for(self._job.inputs["items"], {"reading": self.reading})
        names = choose(sheet, self._job.params.include, self._job.params.exclude, [self.item])
        table = learnt(sheet, names, self._job.params.types, self._job.params)
        item = target.column(sheet, self.item, "category", self.reading)
        return of_table(table, self._tc, {self.item: [str(v) for v in item.values]})
