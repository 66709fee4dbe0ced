"""The text classifier and the topic model: what learns from words."""

from __future__ import annotations

from typing import Any, List, Optional  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.tables.description import sheet_for
from ..._shared.tables.sheet import Sheet
from ..._shared.tables.table import require
from ..._shared.turi import asking
from ..._shared.turi.toolkits import TEXT
from . import figures, splitting
from .creating import told
from .tables import labels_in, reading_of, spread
from .writing import write_rows


class Rows:
    """Texts, and the label of each where there are labels."""

    def __init__(self, texts: List[str], truth: Optional[List[str]]) -> None:  # noqa: UP006, UP045
        self.texts, self.truth = texts, truth

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, places: np.ndarray) -> Rows:
        """Some of them."""
        truth = None if self.truth is None else [self.truth[int(p)] for p in places]
        return Rows([self.texts[int(p)] for p in places], truth)


class Texts:
    """A column of text, and a column of labels or none."""

    def __init__(self, job: Any, turicreate: Any) -> None:
        self._job, self._tc = job, turicreate
        self.toolkit = dict(job.params.toolkit)
        self.name, self.target = self.toolkit["name"], job.params.target
        self.reading = reading_of(job.params)
        sheet = sheet_for(job.inputs["data"], {"reading": self.reading})
        self.column = self._text_column(sheet)
        self.all = self._rows(sheet)
        self.test: Optional[Rows] = None  # noqa: UP045
        if "test" in job.inputs:
            self.test = self._rows(sheet_for(job.inputs["test"], {"reading": self.reading}))

    @property
    def judged(self) -> bool:
        """Topics are judged by nothing but the texts themselves."""
        return self.name == TEXT

    def split(self, share: float, seed: int) -> Any:
        """Texts to learn and texts to ask."""
        learn, ask = splitting.by_label(self.all.truth or [], share, seed)
        return self.all.take(learn), self.all.take(ask)

    def learn(self, rows: Any) -> Any:
        """A model."""
        options = {k: v for k, v in self.toolkit.items() if k not in ("name", "text")}
        if self.name != TEXT:
            return self._topics(rows, options)
        return told(
            self._tc.text_classifier.create,
            self._frame(rows), self.target, features=[self.column], validation_set=None, **options,
        )  # fmt: skip

    def judge(self, model: Any, rows: Any) -> figures.Facts:
        """Figures on texts that were not learnt, or of topics on all."""
        if self.name != TEXT:
            found = told(model.evaluate, self._bags(self.all))
            self._job.metric("perplexity", found["perplexity"])
            return {"perplexity": found["perplexity"], "topics": _topics_of(model)}
        answers = asking.texts(model, self.describe(model), self._frame(rows))
        said, scores = answers[self.target], answers[f"{self.target}Probability"]
        return figures.classes(self._job, rows.truth, said, scores, asking.labels_of(model))

    def describe(self, model: Any) -> figures.Facts:
        """What the model says of itself; `words` tells how text becomes what Core ML takes."""
        inputs = [
            {
                "name": self.column, "kind": "column", "layout": None, "shape": [],
                "dtype": "string", "preprocessing": None, "words": "turicreate",
            }
        ]  # fmt: skip
        found: figures.Facts = {
            "toolkit": self.name,
            "target": self.target,
            "inputs": inputs,
            "columns": [{"name": self.column, "type": "category"}],
            "reading": self.reading,
            "labels": None,
            "task": "topics",
            "outputs": [{"name": "topics", "gives": "probabilities"}],
        }
        if self.name == TEXT:
            found.update(
                labels=asking.labels_of(model), task="text-classification",
                outputs=asking.of_classifier(self.target),
            )  # fmt: skip
        return found

    def samples(self, rows: Any) -> None:
        """Texts for validation, as a table."""
        asked = rows if rows is not None else self.all
        chosen = asked.take(spread(len(asked), self._job.params.samples))
        write_rows(self._job.outputs["samples"] / "samples.csv", {self.column: chosen.texts})

    def _topics(self, rows: Any, options: figures.Facts) -> Any:
        options.pop("drop_stop_words", None)  # `_bags` does it
        return told(self._tc.topic_model.create, self._bags(rows), **options)

    def _bags(self, rows: Any) -> Any:
        bags = self._tc.text_analytics.count_words(self._tc.SArray(rows.texts))
        if not self.toolkit.get("drop_stop_words", True):
            return bags
        return bags.dict_trim_by_keys(self._tc.text_analytics.stop_words(), exclude=True)

    def _frame(self, rows: Any) -> Any:
        columns = {self.column: rows.texts}
        if rows.truth is not None:
            columns[self.target] = rows.truth
        return self._tc.SFrame(columns)

    def _rows(self, sheet: Sheet) -> Rows:
        require(sheet, self.column)
        texts = ["" if cell is None else str(cell) for cell in sheet.columns[self.column]]
        truth = labels_in(sheet, self.target, self.reading) if self.judged else None
        return Rows(texts, truth)

    def _text_column(self, sheet: Sheet) -> str:
        named = self.toolkit.get("text")
        if named is not None:
            require(sheet, named)
            return str(named)
        left = [name for name in sheet.columns if name != self.target]
        if len(left) != 1:
            raise Problem(
                f"{sheet.name}: which column holds the text?",
                hint=f"toolkit: {{name: {self.name}, text: ...}}, one of {', '.join(left)}",
            )
        return left[0]


def _topics_of(model: Any) -> List[List[str]]:  # noqa: UP006
    words = model.get_topics(num_words=8, output_type="topic_words")["words"]
    return [list(topic) for topic in words]
