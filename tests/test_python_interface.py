"""`mlbuild.Pipeline`: the same facts as the command line, as objects."""

from collections.abc import Callable
from pathlib import Path

import pytest

import mlbuild
from mlbuild.build import RunOptions
from mlbuild.errors import PipelineError
from mlbuild.records import Decision, Outcome

TEXT = """\
stages:
  copy: {run: "cp ${{ inputs.i }} ${{ outputs.o }}", inputs: {i: ./in.txt}, outputs: {o: o.txt}}
"""


@pytest.fixture
def loaded(project: Path, pipeline: Callable[[str], Path]) -> mlbuild.Pipeline:
    (project / "in.txt").write_text("one")
    return mlbuild.Pipeline.load(pipeline(TEXT))


def test_a_build_is_returned_as_facts(loaded: mlbuild.Pipeline, project: Path) -> None:
    result = loaded.run()
    (stage,) = result.stages
    assert (result.ok, result.exit_code, stage.outcome) == (True, 0, Outcome.RAN)
    assert stage.outputs == {"o": "o.txt"}
    assert (project / "o.txt").read_text() == "one"


def test_a_second_build_of_the_same_object_sees_what_changed(
    loaded: mlbuild.Pipeline, project: Path
) -> None:
    loaded.run()
    assert loaded.run().stages[0].outcome is Outcome.REUSED
    (project / "in.txt").write_text("two")
    assert loaded.plan()[0].decision is Decision.RUN
    assert loaded.run().stages[0].outcome is Outcome.RAN
    assert (project / "o.txt").read_text() == "two"


def test_a_failing_stage_is_a_result_and_no_exception(
    project: Path, pipeline: Callable[[str], Path]
) -> None:
    file = pipeline('stages: {a: {run: "exit 3 # ${{ outputs.o }}", outputs: {o: a.txt}}}\n')
    result = mlbuild.Pipeline.load(file).run()
    assert (result.ok, result.exit_code) == (False, 1)
    assert result.stages[0].failure is not None


def test_options_say_what_to_build(loaded: mlbuild.Pipeline) -> None:
    loaded.run()
    forced = loaded.run(RunOptions(targets=["copy"], force=["copy"]))
    assert forced.stages[0].outcome is Outcome.RAN


def test_a_wrong_pipeline_is_an_error_with_all_its_problems(
    project: Path, pipeline: Callable[[str], Path]
) -> None:
    file = pipeline("stages: {a: {rum: x, outputs: {o: a.txt}, nedds: []}}\n")
    with pytest.raises(PipelineError) as caught:
        mlbuild.Pipeline.load(file)
    assert len(caught.value.problems) >= 2


def test_importing_the_package_imports_nothing_else() -> None:
    assert set(vars(mlbuild)) >= {"__version__", "__all__"}
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = mlbuild.nothing  # type: ignore[attr-defined]
