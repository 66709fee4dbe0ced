"""What services and connections complain about, in words that hold no secret."""

from __future__ import annotations

import email.utils
import re
from typing import Any
from urllib.parse import urlsplit

import requests

_TOLD = 300  # characters of a service's complaint

HINTS = {
    401: "the token is wrong or has expired",
    403: "the token may not do that",
    404: "check its name, and that the token may see it",
}


def origin(address: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: who is spoken to."""
    parts = urlsplit(address)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def shown(url: str) -> str:
    """An address without its query, which may be signed, and without a user."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def kind_of(error: BaseException) -> str:
    """What went wrong, in words of ours: a library's own may hold addresses with secrets."""
    for kind, words in _KINDS:
        if isinstance(error, kind):
            return words
    return "the connection broke"


_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (requests.exceptions.ProxyError, "the proxy did not answer"),
    (requests.exceptions.SSLError, "its certificate is not trusted"),
    (requests.exceptions.ConnectTimeout, "no connection in time"),
    (requests.Timeout, "no answer in time"),
    (requests.exceptions.InvalidURL, "no address"),
)


def json_of(response: requests.Response) -> Any:
    """The body as JSON; None where it is none."""
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return None


def complaint(response: requests.Response) -> str:
    """What the service says is wrong, in one line."""
    try:
        said = json_of(response)
    except requests.RequestException:
        return ""
    if not isinstance(said, dict):
        return ""
    more = said.get("errors")
    parts: list[Any] = [said.get("message") or said.get("error") or ""]
    parts += more if isinstance(more, list) else []
    return re.sub(r"\s+", " ", "; ".join(filter(None, map(_words, parts))))[:_TOLD]


def _words(part: Any) -> str:
    if isinstance(part, dict):
        known = [str(part[k]) for k in ("field", "code", "message") if part.get(k)]
        return " ".join(known) or "; ".join(f"{k} {_words(v)}" for k, v in part.items())
    if isinstance(part, list):
        return ", ".join(map(_words, part))
    return str(part)


def is_limit(response: requests.Response) -> bool:
    """Whether the service has been asked too much, rather than forbids."""
    headers = response.headers
    return "Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0"


def asked_wait(response: requests.Response, now: float) -> float | None:
    """Seconds until the service wants to be asked again."""
    after = response.headers.get("Retry-After", "").strip()
    if after.isdecimal():
        return float(after)
    if after:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - now)
        except ValueError:
            return None
    reset = response.headers.get("X-RateLimit-Reset", "")
    spent = response.headers.get("X-RateLimit-Remaining") == "0"
    return max(0.0, float(reset) - now) if spent and reset.isdecimal() else None
