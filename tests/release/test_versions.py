"""Which version a release gets."""

import pytest

from mlbuild.errors import UsageError
from mlbuild.release.facts import Change
from mlbuild.release.versions import Decided, decide
from mlbuild.released import Tagged


def tagged(version: str, *, withdrawn: bool = False) -> Tagged:
    return Tagged("dogs", version, f"dogs@v{version}", "4f6c1d0e9b7a" + "0" * 28, withdrawn)


def decided(level: str, last: str | None, **more: object) -> Decided | None:
    base = tagged(last) if last else None
    existing = more.pop("existing", [base] if base else [])
    return decide(Change(level, ()), base, existing, first="1.0.0", **more)  # type: ignore[arg-type]


def refused(*arguments: object, **more: object) -> str:
    with pytest.raises(UsageError) as error:
        decided(*arguments, **more)  # type: ignore[arg-type]
    return error.value.render()


@pytest.mark.parametrize(
    ("last", "level", "version"),
    [
        (None, "first", "1.0.0"),
        ("1.2.3", "major", "2.0.0"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "patch", "1.2.4"),
        ("0.2.3", "major", "0.3.0"),  # nothing is promised before 1.0.0
        ("0.2.3", "minor", "0.2.4"),
        ("0.2.3", "patch", "0.2.4"),
    ],
)
def test_the_level_of_a_change_makes_the_version(
    last: str | None, level: str, version: str
) -> None:
    assert decided(level, last) == Decided(version)


def test_where_nothing_changed_there_is_no_version() -> None:
    assert decided("none", "1.0.0") is None


def test_another_version_than_the_computed_one_has_its_reason_recorded() -> None:
    found = decided("patch", "1.0.0", asked="v3.0.0", reason=" a new line of models ")
    assert found == Decided("3.0.0", "a new line of models")


def test_the_computed_version_needs_no_reason_when_it_is_asked_for() -> None:
    assert decided("minor", "1.0.0", asked="1.1.0") == Decided("1.1.0")


def test_a_pre_release_may_be_asked_for_and_be_followed_by_its_release() -> None:
    first = decided("minor", "1.0.0", asked="1.1.0-rc.1", reason="for the testers")
    assert first == Decided("1.1.0-rc.1", "for the testers")
    existing = [tagged("1.0.0"), tagged("1.1.0-rc.1")]
    assert decided("minor", "1.0.0", existing=existing) == Decided("1.1.0")


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_a_version_without_reason_is_refused(reason: str | None) -> None:
    assert refused("minor", "1.0.0", asked="2.0.0", reason=reason) == (
        "version 2.0.0 needs a reason: the computed version is 1.1.0\n"
        '  hint: --version 2.0.0 --reason "why"'
    )


def test_where_nothing_changed_a_version_needs_a_reason_too() -> None:
    assert refused("none", "1.0.0", asked="1.0.1").startswith(
        "version 1.0.1 needs a reason: nothing changed\n"
    )


def test_a_version_that_is_none_is_refused() -> None:
    assert refused("minor", "1.0.0", asked="1.1", reason="x") == (
        "--version is no semantic version\n"
        "  got: 1.1\n"
        "  hint: three numbers, and at most a pre-release: 1.2.0 or 1.2.0-rc.1"
    )


def test_a_version_below_the_last_release_is_refused() -> None:
    assert refused("minor", "1.2.0", asked="1.1.9", reason="x") == (
        "version 1.1.9 is no step forward from 1.2.0, on which HEAD stands\n  hint: at least 1.2.1"
    )


def test_a_version_that_exists_is_refused() -> None:
    existing = [tagged("1.0.0"), tagged("2.0.0")]
    assert refused("minor", "1.0.0", existing=existing, asked="2.0.0", reason="x") == (
        "version 2.0.0 is taken: dogs@v2.0.0 is at commit 4f6c1d0e9b7a\n  hint: take a higher one"
    )


def test_a_computed_version_that_another_branch_has_is_refused() -> None:
    existing = [tagged("1.0.0"), tagged("1.1.0")]
    assert refused("minor", "1.0.0", existing=existing) == (
        "version 1.1.0 is taken: dogs@v1.1.0 is at commit 4f6c1d0e9b7a\n"
        "  hint: merge that branch, or name another one: --version X --reason TEXT"
    )


def test_a_withdrawn_version_is_not_given_again() -> None:
    existing = [tagged("1.0.0"), tagged("1.1.0", withdrawn=True)]
    assert "is at commit 4f6c1d0e9b7a, and was withdrawn\n" in refused(
        "minor", "1.0.0", existing=existing
    )
