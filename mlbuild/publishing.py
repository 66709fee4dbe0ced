"""Where releases can be published to, and what each place may be told: `release: publish:`.

Stands low and imports no library of the network: the pipeline file is checked with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from mlbuild.errors import Problem, did_you_mean

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")  # a token (ghp_..., hf_...) has small letters
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[^/?#\s]+)*/?")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9._-]+")
_GROUP = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*)+")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Option:
    """A key of a publisher; ``wrong`` tells what is wrong with a value, without showing it."""

    help: str
    wrong: Callable[[object], str | None]
    default: object = None
    choices: tuple[str, ...] = ()
    secret: bool = False  # a wrong value may be a secret, and is not shown


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of place: the key that names it, and what else it may be told."""

    target: Option
    options: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a publisher, and under which key (None: the publisher itself)."""

    problem: Problem
    key: str | None = None


def _text(value: object) -> str | None:
    good = isinstance(value, str) and value.strip() == value != ""
    return None if good else "it must be a text"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "it must be true or false"


def _matches(pattern: re.Pattern[str], what: str) -> Callable[[object], str | None]:
    def wrong(value: object) -> str | None:
        return None if isinstance(value, str) and pattern.fullmatch(value) else f"it must be {what}"

    return wrong


def _one_of(*allowed: str) -> Callable[[object], str | None]:
    return lambda value: None if value in allowed else f"it must be {' or '.join(allowed)}"


def _project(value: object) -> str | None:
    number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    path = isinstance(value, str) and (value.isdecimal() or _GROUP.fullmatch(value))
    return None if number or path else "it must be GROUP/PROJECT, or the project's number"


def _address(value: object) -> str | None:
    """An address that a token may be sent to: https, or a server on this machine."""
    if not isinstance(value, str):
        return "it must be an https address"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it must be an https address"
    if parts.username is not None or parts.password is not None:
        return "it must not hold a user or a password"
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        return "it must be an https address"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "it must be https: a token is sent there"
    return None


_API = "address of its API"
_TOKEN = _matches(_VARIABLE, "the name of an environment variable, not the token itself")
_ASSETS = Option(
    "how artifacts become flat files: each a zip, or those that are one file as they are",
    _one_of("zip", "files"),
    default="zip",
    choices=("zip", "files"),
)

KINDS: Mapping[str, Kind] = {
    "folder": Kind(Option("a folder, relative to the project", _text)),
    "s3": Kind(
        Option("s3://BUCKET/PREFIX", _matches(_BUCKET, "s3://BUCKET or s3://BUCKET/PREFIX")),
        {
            "endpoint_url": Option("address of a storage that is not Amazon's", _address),
            "profile": Option("profile of the user's AWS configuration", _text),
            "region": Option("region of the bucket", _text),
        },
    ),
    "github": Kind(
        Option("OWNER/REPO", _matches(_OWNER, "OWNER/REPO")),
        {
            "api_url": Option(_API, _address, default="https://api.github.com"),
            "token_env": Option(
                "variable that holds the token", _TOKEN, default="GITHUB_TOKEN", secret=True
            ),
            "assets": _ASSETS,
        },
    ),
    "gitlab": Kind(
        Option("GROUP/PROJECT, or the project's number", _project),
        {
            "api_url": Option(_API, _address, default="https://gitlab.com/api/v4"),
            "token_env": Option(
                "variable that holds the token (default: GITLAB_TOKEN, else CI_JOB_TOKEN)",
                _TOKEN,
                secret=True,
            ),
            "assets": _ASSETS,
        },
    ),
    "hub": Kind(
        Option("a model hub's repository: its folder here, or ORG/NAME on the hub", _text),
        {
            "git": Option("commit and tag in that folder", _flag, default=False),
            "endpoint": Option("address of the hub", _address, default="https://huggingface.co"),
            "token_env": Option(
                "variable that holds the token", _TOKEN, default="HF_TOKEN", secret=True
            ),
        },
    ),
}

_EXAMPLE = "publish: [{folder: ../releases}, {github: OWNER/REPO}]"


def kind_of(spec: Mapping[str, object]) -> str:
    """The kind of a publisher that was checked."""
    return next(kind for kind in KINDS if kind in spec)


def is_hub_name(target: str) -> bool:
    """Whether a hub's repository is named (ORG/NAME) rather than its folder here."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", target) is not None


def option(spec: Mapping[str, object], key: str) -> str:
    """The text that a checked publisher has for a key, or that key's default; "" for none."""
    chosen = spec.get(key, KINDS[kind_of(spec)].options[key].default)
    return str(chosen) if chosen is not None else ""


def check_spec(spec: object) -> Fault | None:
    """The first thing that is wrong with an item of `release: publish:`; None where all is well."""
    if not isinstance(spec, Mapping):
        return Fault(Problem("a publisher is a map from its kind to its target", hint=_EXAMPLE))
    named = [kind for kind in KINDS if kind in spec]
    if not named:
        return _unnamed(cast(Mapping[object, object], spec))
    if len(named) > 1:
        message = f"one publisher names two places: {' and '.join(named)}"
        return Fault(Problem(message, hint="make each an item of the list"), named[1])
    kind = KINDS[named[0]]
    allowed = {named[0]: kind.target, **kind.options}
    for key, value in spec.items():
        if key not in allowed:
            hint = did_you_mean(str(key), kind.options)
            message = f"a publisher to {named[0]} has no '{key}'"
            return Fault(Problem(message, allowed=tuple(kind.options), hint=hint), str(key))
        if fault := _value(named[0], str(key), value, allowed[str(key)]):
            return fault
    return _hub(spec) if named[0] == "hub" else None


def _unnamed(spec: Mapping[object, object]) -> Fault:
    key = next(iter(spec), None)
    hint = next((h for word in spec if (h := did_you_mean(str(word), KINDS))), _EXAMPLE)
    message = "a publisher must name its place"
    got = ", ".join(map(str, spec)) or "nothing"
    problem = Problem(message, got=got, allowed=tuple(KINDS), hint=hint)
    return Fault(problem, None if key is None else str(key))


def _value(kind: str, key: str, value: object, known: Option) -> Fault | None:
    wrong = known.wrong(value)
    if wrong is None:
        return None
    hint = did_you_mean(str(value), known.choices) if known.choices else None
    got = None if known.secret or "password" in wrong else repr(value)
    message = f"publisher to {kind}: wrong '{key}': {wrong}"
    return Fault(Problem(message, got=got, allowed=known.choices, hint=hint), key)


def _hub(spec: Mapping[object, object]) -> Fault | None:
    target = str(spec["hub"])
    foreign = ("git",) if is_hub_name(target) else ("endpoint", "token_env")
    key = next((k for k in foreign if k in spec), None)
    if key is None:
        return None
    if is_hub_name(target):
        message = f"publisher to hub: '{key}' is for a folder, and {target} is a name on the hub"
        return Fault(Problem(message, hint=f"a folder begins with ./: hub: ./{target}"), key)
    message = f"publisher to hub: '{key}' is for ORG/NAME on the hub, and '{target}' is a folder"
    return Fault(Problem(message), key)
