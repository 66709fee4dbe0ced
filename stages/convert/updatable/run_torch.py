"""A torch classifier or regressor as a neural network that learns on the device."""

from __future__ import annotations

from typing import Any

from ..._shared.problem.problem import told
from ..._shared.torch_model.model_file import load
from ..._shared.torch_setup.configure import configure
from .finish import finish
from .network import convert
from .pictures import cases_of
from .trial import Trial


@told
def run(job: Any) -> None:
    """Read, convert, rebuild, train for a trial, save."""
    configure(job, job.params.seed)
    model = load(job.inputs["model"])
    job.progress(0, 3, "converting")
    made = convert(model, job.params, job.log)
    job.progress(1, 3, "training for a trial")
    cases = cases_of(job, model, made)
    finish(job, made, Trial(made, cases, job.params))
