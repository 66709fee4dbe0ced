"""A scikit-learn model that learns on the device: linear models and neighbours."""

from __future__ import annotations

from typing import Any

from ..._shared.problem.problem import told
from ..._shared.torch_setup.configure import configure
from .estimator import read
from .finish import finish
from .linear import linear
from .neighbours import neighbours
from .rows import cases_of
from .trial import Trial


@told
def run(job: Any) -> None:
    """Read, map, train for a trial, save."""
    configure(job, job.params.seed)
    source = read(job)
    job.progress(0, 3, "mapping")
    made = (neighbours if source.is_neighbours else linear)(source, job.params)
    job.progress(1, 3, "training for a trial")
    finish(job, made, Trial(made, cases_of(job, source, made), job.params))
