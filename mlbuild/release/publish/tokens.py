"""Tokens from the environment: found by name, and never told."""

from __future__ import annotations

from collections.abc import Mapping

from mlbuild.release.publish.protocol import PublishError


def token(name: str, environ: Mapping[str, str], variable: str, rights: str) -> str:
    """The token that a variable holds.

    Args:
        name: the publisher, for messages.
        environ: the environment.
        variable: the variable's name.
        rights: what the token must be allowed to do.

    Raises:
        PublishError: it is not set, or holds what no token holds.
    """
    value = environ.get(variable, "").strip()
    if not value:
        raise PublishError(
            f"{name}: {variable} is not set", hint=f"set it to a token with {rights}"
        )
    # A header with a line break would be refused by the HTTP library, with the token in its words.
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise PublishError(f"{name}: {variable} holds characters that no token has")
    return value


def refuse_other_server(
    name: str, environ: Mapping[str, str], variable: str, api_url: str, given: bool
) -> None:
    """Keeps a CI server's token from going to the public service that is the default.

    Raises:
        PublishError: this CI runs elsewhere, and the pipeline file does not say where to publish.
    """
    here = environ.get(variable, "").rstrip("/")
    if here and here != api_url and not given:
        raise PublishError(
            f"{name}: this CI belongs to another server than {api_url}",
            hint=f"say which one is meant: api_url: {here}",
        )
