"""The section `artifacts` of dvc.yaml."""

import pytest
import yaml

from mlbuild.errors import LedgerError
from mlbuild.records import Output, ReleaseSpec, Stage, StageOutput
from mlbuild.store.artifacts import artifact_of, rows_of, spliced

FILE = "pipelines/dogs.yaml"
STAGES = {
    "best": Stage(
        "best", "best", outputs=(Output("model", "build/Dogs.mlpackage", "CoreMLModel"),)
    ),
    "package": Stage(
        "package", "package", outputs=(Output("package", "build/Dogs", "SwiftPackage"),)
    ),
}
SPEC = ReleaseSpec(
    "dogs", {"model": StageOutput("best", "model"), "App": StageOutput("package", "package")}
)
HEAD = "stages:\n  a:\n    cmd: x\n"


def rows(file: str = FILE) -> dict:
    return rows_of(SPEC, STAGES, file)


def test_the_main_artifact_bears_the_name_that_tags_have() -> None:
    found = rows()
    assert list(found) == ["dogs", "dogs-app"]
    assert (found["dogs"]["path"], found["dogs"]["type"]) == ("build/Dogs.mlpackage", "model")
    assert (found["dogs-app"]["path"], found["dogs-app"]["type"]) == ("build/Dogs", "swift-package")


def test_a_pipeline_without_a_release_has_none() -> None:
    assert rows_of(None, STAGES, FILE) == {}


def test_a_summary_is_the_description() -> None:
    spec = ReleaseSpec(
        "dogs", {"model": StageOutput("best", "model")}, card={"summary": "Names: x"}
    )
    text = spliced(HEAD, FILE, rows_of(spec, STAGES, FILE))
    assert yaml.safe_load(text)["artifacts"]["dogs"]["desc"] == "Names: x"


def test_the_section_is_added_behind_everything_else() -> None:
    text = spliced(HEAD, FILE, rows())
    assert text.startswith(HEAD + "artifacts:\n  dogs:\n")
    assert yaml.safe_load(text)["artifacts"].keys() == {"dogs", "dogs-app"}


def test_writing_it_again_changes_nothing() -> None:
    text = spliced(HEAD, FILE, rows())
    assert spliced(text, FILE, rows()) == text


def test_an_artifact_that_is_gone_goes_and_users_own_stay_byte_for_byte() -> None:
    mine = "artifacts:\n  # about mine\n  mine:\n    path: a   # here\n    type: model\n"
    text = spliced(HEAD + mine, FILE, rows())
    assert mine in text
    assert spliced(text, FILE, {}) == HEAD + mine


def test_the_section_goes_with_its_last_artifact() -> None:
    assert spliced(spliced(HEAD, FILE, rows()), FILE, {}) == HEAD


def test_what_stands_behind_the_section_stays() -> None:
    tail = "plots:\n  - x.json\n"
    text = HEAD + "artifacts:\n  mine:\n    path: a\n" + tail
    found = spliced(text, FILE, rows())
    assert found.endswith(tail)
    assert yaml.safe_load(found)["artifacts"].keys() == {"mine", "dogs", "dogs-app"}


def test_artifacts_of_other_pipelines_stay() -> None:
    other = {"cats": {"path": "c", "meta": {"mlbuild": {"artifact": "m", "pipeline": "cats.yaml"}}}}
    text = spliced(spliced(HEAD, "cats.yaml", other), FILE, rows())
    assert yaml.safe_load(text)["artifacts"].keys() == {"cats", "dogs", "dogs-app"}
    assert yaml.safe_load(spliced(text, FILE, {}))["artifacts"].keys() == {"cats"}


def test_a_users_artifact_of_the_same_name_is_refused() -> None:
    with pytest.raises(LedgerError, match="artifact 'dogs' is there already") as caught:
        spliced(HEAD + "artifacts:\n  dogs:\n    path: a\n", FILE, rows())
    assert "release: {name: ...}" in caught.value.render()


def test_a_section_in_braces_is_refused() -> None:
    with pytest.raises(LedgerError, match="is not a block"):
        spliced(HEAD + "artifacts: {mine: {path: a}}\n", FILE, rows())


@pytest.mark.parametrize(
    ("name", "row", "found"),
    [
        ("dogs", rows()["dogs"], "model"),
        ("dogs-app", rows()["dogs-app"], "App"),
        ("dogsled", rows()["dogs"], None),
        ("dogs", {"path": "a"}, None),
        ("dogs", "nonsense", None),
    ],
)
def test_the_pipelines_name_is_read_back(name: str, row: object, found: str | None) -> None:
    assert artifact_of("dogs", name, row) == found
