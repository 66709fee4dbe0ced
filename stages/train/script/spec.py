"""train/script: a user's own Python file in a toolchain."""

from typing import Any

from mlbuild.api import Field, In, Kind, Params


class ScriptParams(Params):
    """What the file is called with."""

    params: dict[str, Any] = Field(
        default_factory=dict, description="Handed to the file as `job.params`, by name."
    )
    seed: int = Field(
        0, ge=0, description="Seeds Python, numpy and, where they are there, torch and TensorFlow."
    )


KIND = Kind(
    summary="Runs a Python file of your own in a toolchain, with inputs and outputs it declares.",
    toolchain="torch",
    params=ScriptParams,
    inputs={"script": In("File", "A Python file that defines run(job).")},
    outputs={},
    open=True,
    plots=True,
    fresh=True,
    details=(
        "The file defines `run(job)`, as a stage kind does: `job.params` holds what stands under "
        "`params`, `job.inputs[role]` and `job.outputs[name]` are paths, `job.progress(done, "
        "total, text)`, `job.log(text)`, `job.metric(name, value, n=None)` and `job.plot(name, "
        "rows)` report, `job.fail(message, hint)` ends it with an error for people. The stage "
        "names whatever inputs and outputs it needs; an output says its type where its name does "
        "not, so that later stages can tell: `{path: build/net, type: SavedModel}`. Files that it "
        "imports lie beside it or below `code`, an input of yours. `toolchain` chooses where it "
        "runs, torch if not said: a built-in one, or one of the pipeline's own, also with CUDA. "
        "Every metric that it records can be gated."
    ),
    example={"params": {"epochs": 3}, "seed": 7},
)
