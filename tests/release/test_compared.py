"""Releases of a pipeline that reads the release before and is held against it."""

import pytest

from mlbuild.errors import DataError
from tests.release.projects import FILE, Team
from tests.test_last_release import CODE, PIPELINE, SPEC

pytestmark = pytest.mark.slow  # a toolchain is made


@pytest.fixture
def words(empty: Team) -> Team:
    """A kind of the project, a toolchain of its own; built and committed."""
    kind = empty.root / "stages/my/count"
    kind.mkdir(parents=True)
    (kind / "spec.py").write_text(SPEC)
    (kind / "run.py").write_text(CODE)
    (empty.root / "plain.txt").touch()
    (empty.root / "source.txt").write_text("aabb")
    (empty.root / "samples.txt").write_text("ab")
    (empty.root / ".gitignore").write_text("/releases\n__pycache__\n")
    (empty.root / FILE).write_text(PIPELINE)
    empty.built()
    return empty


def test_each_release_is_compared_with_the_one_before(words: Team) -> None:
    first = words.release()
    assert first.facts is not None
    judge = next(s for s in first.facts.stages if s.name == "judge")
    assert "start" not in judge.inputs  # there was no release to start from
    assert judge.meanings == {"found": {"description": "How many.", "unit": "", "better": "max"}}
    assert [g.released for g in first.gates] == [None]

    (words.root / "source.txt").write_text("aabbb")
    words.built()
    second = words.release()
    assert second.facts is not None
    assert (second.facts.version, second.facts.previous) == ("1.1.0", "1.0.0")
    assert [(g.stage, g.value, g.released) for g in second.gates] == [("judge", 5.0, 4.0)]
    judge = next(s for s in second.facts.stages if s.name == "judge")
    assert judge.inputs["start"]["from"] == "datasets.release.model"
    (model,) = second.facts.datasets
    assert (model.name, model.scheme) == ("release.model", "release")
    assert model.source["tag"] == "words@v1.0.0"
    assert {"judge", "judge-release"} <= {s.name for s in second.facts.stages}

    words.commit("nothing of the pipeline")
    assert words.release().outcome == "nothing"

    (words.root / "source.txt").write_text("a")
    assert not words.try_build()  # four letters fewer: the gate holds the build up
    words.commit("a worse one")
    third = words.release()
    assert (third.outcome, third.exit_code) == ("gate_failed", 5)
    assert [g.released for g in third.gates] == [5.0]


def test_a_build_from_before_the_last_release_is_stale_or_refused(words: Team) -> None:
    words.release()
    (words.root / "source.txt").write_text("aabbb")
    words.built()
    words.release()
    (words.root / "source.txt").write_text("aabbbb")
    words.commit("not built since")
    done = words.release()
    assert (done.outcome, done.exit_code) == ("stale", 4)
    words.built()
    assert words.release(version="2.0.0", reason="a new line").outcome == "released"
    with pytest.raises(DataError, match=r"the build was compared with release 1\.1\.0"):
        words.commit("something else")
        words.release(version="3.0.0", reason="again")
