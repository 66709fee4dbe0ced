"""What a publisher may be told: the whole table, and every way to get it wrong."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.publishing import KINDS, check_spec, kind_of, option
from tests.conftest import ROOT

GOOD: list[dict[str, object]] = [
    {"folder": "../releases"},
    {"s3": "s3://bucket"},
    {"s3": "s3://bucket/models/dogs", "endpoint_url": "https://s3.example.com", "region": "eu-1"},
    {"s3": "s3://bucket/models/", "profile": "team"},
    {"github": "OWNER/repo.name", "token_env": "RELEASE_TOKEN", "assets": "files"},
    {"github": "o/r", "api_url": "http://127.0.0.1:8000"},
    {"gitlab": "group/sub/project"},
    {"gitlab": 42},
    {"gitlab": "42", "api_url": "https://git.example.com/api/v4"},
    {"hub": "../hub", "git": True},
    {"hub": "ORG/dogs-model", "token_env": "HF_TOKEN"},
]


@pytest.mark.parametrize("spec", GOOD, ids=str)
def test_what_a_team_would_write_is_right(spec: dict[str, object]) -> None:
    assert check_spec(spec) is None
    assert kind_of(spec) == next(iter(spec))


def test_a_key_that_is_not_given_has_its_default() -> None:
    assert option({"github": "o/r"}, "api_url") == "https://api.github.com"
    assert option({"github": "o/r", "assets": "files"}, "assets") == "files"
    assert option({"gitlab": "g/p"}, "token_env") == ""


WRONG: list[tuple[object, str | None, str]] = [
    (
        "../releases",
        None,
        "a publisher is a map from its kind to its target\n"
        "  hint: publish: [{folder: ../releases}, {github: OWNER/REPO}]",
    ),
    (
        {"githb": "o/r"},
        "githb",
        "a publisher must name its place\n  got: githb\n"
        "  allowed: folder, s3, github, gitlab, hub\n  hint: did you mean 'github'?",
    ),
    (
        {},
        None,
        "a publisher must name its place\n  got: nothing\n"
        "  allowed: folder, s3, github, gitlab, hub\n"
        "  hint: publish: [{folder: ../releases}, {github: OWNER/REPO}]",
    ),
    (
        {"folder": "x", "s3": "s3://bucket"},
        "s3",
        "one publisher names two places: folder and s3\n  hint: make each an item of the list",
    ),
    (
        {"github": "o/r", "api_uri": "https://x"},
        "api_uri",
        "a publisher to github has no 'api_uri'\n  allowed: api_url, token_env, assets\n"
        "  hint: did you mean 'api_url'?",
    ),
    (
        {"github": "o/r", "assets": "zips"},
        "assets",
        "publisher to github: wrong 'assets': it must be zip or files\n  got: 'zips'\n"
        "  allowed: zip, files\n  hint: did you mean 'zip'?",
    ),
    (
        {"github": "just-a-name"},
        "github",
        "publisher to github: wrong 'github': it must be OWNER/REPO\n  got: 'just-a-name'",
    ),
    (
        {"gitlab": True},
        "gitlab",
        "publisher to gitlab: wrong 'gitlab': it must be GROUP/PROJECT, or the project's number\n"
        "  got: True",
    ),
    (
        {"s3": "bucket/models"},
        "s3",
        "publisher to s3: wrong 's3': it must be s3://BUCKET or s3://BUCKET/PREFIX\n"
        "  got: 'bucket/models'",
    ),
    ({"folder": ""}, "folder", "publisher to folder: wrong 'folder': it must be a text\n  got: ''"),
    (
        {"github": "o/r", "api_url": "http://git.example.com"},
        "api_url",
        "publisher to github: wrong 'api_url': it must be https: a token is sent there\n"
        "  got: 'http://git.example.com'",
    ),
    (
        {"github": "o/r", "api_url": "https://[bad"},
        "api_url",
        "publisher to github: wrong 'api_url': it must be an https address\n  got: 'https://[bad'",
    ),
    (
        {"hub": "ORG/NAME", "git": True},
        "git",
        "publisher to hub: 'git' is for a folder, and ORG/NAME is a name on the hub\n"
        "  hint: a folder begins with ./: hub: ./ORG/NAME",
    ),
    (
        {"hub": "../hub", "token_env": "HF_TOKEN"},
        "token_env",
        "publisher to hub: 'token_env' is for ORG/NAME on the hub, and '../hub' is a folder",
    ),
    (
        {"hub": "../hub", "git": "yes"},
        "git",
        "publisher to hub: wrong 'git': it must be true or false\n  got: 'yes'",
    ),
]


@pytest.mark.parametrize(("spec", "key", "message"), WRONG, ids=[str(row[0]) for row in WRONG])
def test_a_wrong_publisher_is_told_with_its_key(
    spec: object, key: str | None, message: str
) -> None:
    fault = check_spec(spec)
    assert fault is not None
    assert (fault.key, fault.problem.render()) == (key, message)


@pytest.mark.parametrize("token", ["ghp_0123456789abcdef", "glpat-XYZ", "hf_abc", "github_pat_1"])
def test_a_token_in_place_of_its_variable_is_refused_and_not_repeated(token: str) -> None:
    fault = check_spec({"github": "o/r", "token_env": token})
    assert fault is not None
    assert "the name of an environment variable, not the token itself" in fault.problem.render()
    assert token not in fault.problem.render()


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    fault = check_spec({"github": "o/r", "api_url": "https://me:hunter2@git.example.com"})
    assert fault is not None
    assert fault.problem.render() == (
        "publisher to github: wrong 'api_url': it must not hold a user or a password"
    )


def test_every_kind_and_key_says_what_it_is() -> None:
    assert all(k.target.help and all(o.help for o in k.options.values()) for k in KINDS.values())


def test_checking_and_opening_load_no_library_of_the_network() -> None:
    code = (
        "import sys, pathlib; from mlbuild.release.publish.opening import open_publishers;"
        "open_publishers([{'folder': 'x'}], pathlib.Path('.'), {});"
        "print(sorted({'requests', 'urllib3', 'botocore', 'dvc'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page_names_every_key_and_its_default() -> None:
    page = (ROOT / "docs/publishing.md").read_text(encoding="utf-8")
    rows = [[c.strip(" `") for c in r.split("|")[1:-1]] for r in page.splitlines() if r[:1] == "|"]
    told: dict[str, dict[str, str]] = {}
    kind = ""
    for first, keys, default, _ in rows[2:]:
        kind = first or kind
        told.setdefault(kind, {}).update(dict.fromkeys(re.findall(r"\w+", keys), default))
    assert {name: set(keys) for name, keys in told.items()} == {
        name: {name, *known.options} for name, known in KINDS.items()
    }
    for name, known in KINDS.items():
        for key, one in known.options.items():
            if one.default is not None:
                shown = "false" if one.default is False else str(one.default)
                assert told[name][key] == shown


_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.floats()
_KEYS = st.sampled_from([*KINDS, *(k for kind in KINDS.values() for k in kind.options), "other"])


@given(st.dictionaries(_KEYS | st.integers(), _LEAVES | st.lists(_LEAVES, max_size=2)))
def test_whatever_is_written_there_is_right_or_told(spec: dict[object, object]) -> None:
    fault = check_spec(spec)
    assert fault is None or (fault.problem.render() and fault.key in (None, *map(str, spec)))
