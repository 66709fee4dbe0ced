"""Documents in which any value may be any other: told as findings, never with a traceback."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbuild.release.checking.keys import public_key, with_key
from mlbuild.release.checking.release import checked
from tests.release.made import Team, team

EXAMPLES = 15
UNCHANGED = [HealthCheck.function_scoped_fixture]  # each example puts back what it changed
TEXTS = ("", "../x", "x" * 5000, "\ud800", "\x1b[2J")
WRONG = st.sampled_from([None, True, -1, 10**30, 1.5, *TEXTS, [], [[]], {}, {"a": 1}])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return team(tmp_path_factory.mktemp("team") / "project")


@pytest.fixture
def folder(made: Team, tmp_path: Path) -> Path:
    shutil.copytree(made.release(), tmp_path / "v2.0.0")
    large = tmp_path / "v2.0.0/artifacts/model/Dogs.mlpackage/Data/com.apple.CoreML/weights"
    (large / "weight.bin").write_bytes(b"small, so that a hundred checks are quick")
    return tmp_path / "v2.0.0"


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a value may be exchanged: everywhere."""
    yield path
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        yield from places(item, (*path, key))


def exchanged(value: Any, path: tuple[str | int, ...], wrong: Any) -> Any:
    if not path:
        return wrong
    at = value
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = wrong
    return value


@pytest.mark.parametrize("name", ["manifest.json", "provenance.json", "bom.cdx.json", "model.sig"])
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_any_value_may_stand_anywhere_and_is_only_ever_a_finding(
    folder: Path, made: Team, name: str, data: st.DataObject
) -> None:
    text = (made.release() / name).read_text("utf-8")
    value = json.loads(text)
    place = data.draw(st.sampled_from(list(places(value))))
    value = exchanged(value, place, data.draw(WRONG))
    changed = json.dumps(value, sort_keys=True, indent=2) + "\n"
    (folder / name).write_text(changed)
    try:
        signer = with_key(public_key(made.key), "keys/release.pub")
        for whom in (signer, None):
            found = checked(folder, signer=whom, root=None if whom else made.root)
            assert found.findings, "the weights are others, whatever else is said"
            assert found.signed_by is None
            for finding in found.findings:
                assert "\x1b" not in "\n".join(finding.lines())
                assert json.dumps(finding.event())
    finally:
        (folder / name).write_text(text, "utf-8")
