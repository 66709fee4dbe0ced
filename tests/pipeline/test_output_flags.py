"""What a pipeline file may say of an output besides its path."""

from pathlib import Path

import pytest

from mlbuild.errors import PipelineError
from mlbuild.pipeline.load import load
from mlbuild.pipeline.resolve import resolve
from mlbuild.records import Output, ResolvedPipeline
from mlbuild.registry import Registry
from mlbuild.store.dvcyaml import definition

TEXT = """version: 1
name: p
stages:
  a:
    run: echo > ${{ outputs.o }}
    outputs: {o: {path: build/o, FLAGS}}
"""


def resolved(tmp_path: Path, flags: str) -> ResolvedPipeline:
    file = tmp_path / "p.yaml"
    file.write_text(TEXT.replace("FLAGS", flags))
    return resolve(load(file), Registry.load(tmp_path, trusted=True), root=tmp_path)


@pytest.mark.parametrize(
    ("flags", "output", "dvc"),
    [
        ("push: false", Output("o", "build/o", push=False), {"push": False}),
        ("cache: false", Output("o", "build/o", cache=False), {"cache": False}),
        (
            "push: false, cache: false",
            Output("o", "build/o", cache=False, push=False),
            {"cache": False, "push": False},
        ),
    ],
)
def test_flags_become_dvcs_own(
    tmp_path: Path, flags: str, output: Output, dvc: dict[str, bool]
) -> None:
    (stage,) = resolved(tmp_path, flags).stages
    assert stage.outputs == (output,)
    assert definition(stage, "p-a", "p.yaml", "p-lock.json", ())["outs"] == [{"build/o": dvc}]


def test_what_is_pushed_and_cached_needs_no_flag(tmp_path: Path) -> None:
    (stage,) = resolved(tmp_path, "push: true, cache: true").stages
    assert definition(stage, "p-a", "p.yaml", "p-lock.json", ())["outs"] == ["build/o"]


def test_a_persistent_output_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        resolved(tmp_path, "persist: true")
    assert caught.value.render() == (
        f"{tmp_path}/p.yaml:6:34: stage 'a': output 'o': a stage that reads what it wrote before "
        "gives another result each time it runs\n"
        "   6 |     outputs: {o: {path: build/o, persist: true}}\n"
        "     |                                  ^\n"
        "  hint: without 'persist' it starts from nothing; what it should start from is an input, "
        "e.g. an output of another stage or a dataset"
    )


def test_a_flag_is_true_or_false(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="output 'o': 'push'"):
        resolved(tmp_path, "push: 3")
