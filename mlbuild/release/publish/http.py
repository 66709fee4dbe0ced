"""Requests to services: tries again where that is safe, waits when told to, and tells no secret.

A token goes to the service's own addresses only: redirects are followed by hand, without it where
they lead elsewhere. Proxies and certificates are those of the environment; a `.netrc` is not read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase

from mlbuild.errors import Problem
from mlbuild.release.publish.complaints import (
    HINTS,
    asked_wait,
    complaint,
    is_limit,
    json_of,
    kind_of,
    origin,
    shown,
)
from mlbuild.release.publish.contents import digest_of
from mlbuild.release.publish.protocol import Bundle, Patience, PublishError
from mlbuild.release.publish.upload import Upload

T = TypeVar("T")
R = TypeVar("R")

_REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_PIECE = 1 << 20


class UnsureError(PublishError):
    """No answer: the service may have done what it was asked, or not."""

    wait: float = 0.0  # seconds that it asks to be left alone


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said."""

    status: int
    url: str
    json: Any = None
    links: Mapping[str, str] = field(default_factory=dict)  # rel -> address
    headers: Mapping[str, str] = field(default_factory=dict)


class _Permission(AuthBase):
    """The service's own header; being there keeps `requests` from reading `.netrc`."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class _Passing(Exception):  # noqa: N818 - no failure yet
    """Something that may pass: it is tried again, after ``wait`` seconds where that is said."""

    def __init__(self, why: str, wait: float | None = None, *, undone: bool = False) -> None:
        super().__init__(why)
        self.why, self.wait = why, wait
        self.undone = undone  # the service did nothing for certain


def understood(step: Callable[[Any, Bundle], R]) -> Callable[[Any, Bundle], R]:
    """A step of a publisher that tells, without a traceback, of answers that nobody documented."""

    @functools.wraps(step)
    def told(self: Any, release: Bundle) -> R:
        try:
            return step(self, release)
        except (KeyError, TypeError, IndexError) as error:
            message = f"{self.name}: the service answered otherwise than its documentation says"
            raise PublishError(message, hint="is its address right?") from error

    return told


class Client:
    """A service: where its token may go, how to ask it, what its complaints mean."""

    def __init__(
        self,
        name: str,
        origins: tuple[str, ...],
        permission: Mapping[str, str],
        patience: Patience,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.patience = patience
        self._origins = {origin(address) for address in origins}
        self._permission = permission
        self._headers = {"User-Agent": "mlbuild", **(headers or {})}
        self._session = requests.Session()

    def trusts(self, address: str) -> bool:
        """Whether the token may go there."""
        return origin(address) in self._origins

    def ask(
        self,
        method: str,
        url: str,
        *allowed: int,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        harmless: bool = False,
    ) -> Answer:
        """A small question; tried again until it is answered.

        Args:
            method: the HTTP method.
            url: the address.
            allowed: statuses that the caller understands (default: 200).
            json: the body.
            data: the body, where it is no JSON.
            headers: more of them.
            harmless: a POST that changes nothing, so that it may be repeated.

        Raises:
            PublishError: another answer came.
            UnsureError: none came, to something that must not simply be repeated.
        """

        def once() -> Answer:
            known = allowed or (200,)
            answer = self._answer(method, url, known, json=json, data=data, headers=headers)
            if method == "GET" and answer.status == 200 and answer.json is None:
                hint = "is its address right? a proxy may have answered in its place"
                raise PublishError(f"{self.name}: {shown(url)} answered no JSON", hint=hint)
            return answer

        return self._patiently(once, repeatable=harmless or method in _REPEATABLE)

    def send(
        self,
        method: str,
        url: str,
        upload: Upload,
        *allowed: int,
        headers: Mapping[str, str],
    ) -> Answer:
        """One try to send a file; what to do next is the caller's to decide.

        Raises:
            UnsureError: it did not end well, and may have left something.
        """
        with upload:
            # An empty body has no pieces; as a stream it would be sent without a length.
            body: Upload | bytes = upload if len(upload) else b""
            try:
                return self._answer(
                    method, url, allowed, data=body, headers=headers, wait=self.patience.digest
                )
            except _Passing as passing:
                raise self._unsure(passing) from passing.__cause__

    def digest(
        self, url: str, headers: Mapping[str, str], tell: Callable[[int], None] | None = None
    ) -> tuple[int, str]:
        """Size and SHA-256 of what lies at an address, read in pieces and not kept."""

        def once() -> tuple[int, str]:
            response = self._follow("GET", url, headers=headers)
            with response:
                if response.status_code != 200:
                    raise self._failed(response, "GET")
                try:
                    return digest_of(response.iter_content(_PIECE), tell)
                except requests.RequestException as error:
                    raise _Passing(kind_of(error)) from error

        return self._patiently(once, repeatable=True)

    def pages(self, url: str) -> Iterator[Any]:
        """The items of a list that comes in pages."""
        following: str | None = url
        while following:
            answer = self.ask("GET", following)
            if not isinstance(answer.json, list):
                raise PublishError(f"{self.name}: {shown(following)} answered no list")
            yield from answer.json
            following = answer.links.get("next")
            if following and not self.trusts(following):
                raise PublishError(f"{self.name}: refused to go on at {shown(following)}")

    def until(self, act: Callable[[], T | None], what: str) -> T:
        """Tries an act that begins with a look, until it has a result.

        Raises:
            PublishError: it had none after all tries.
        """
        why = "it did not arrive"
        for wait in [*self.patience.waits(), None]:
            asked = 0.0
            try:
                result = act()
                if result is not None:
                    return result
            except UnsureError as error:
                why, asked = error.problems[0].got or why, error.wait
            if wait is not None:
                self.patience.sleep(max(wait, asked))
        message = f"{self.name}: {what} failed {self.patience.tries} times"
        raise PublishError(Problem(message, got=why, hint="run it again: it goes on from there"))

    def scrub(self, text: str) -> str:
        """A text without the token."""
        for value in self._permission.values():
            for secret in (value, value.rpartition(" ")[2]):
                text = text.replace(secret, "***") if secret else text
        return text

    # --- one question ----------------------------------------------------------------------------

    def _patiently(self, once: Callable[[], T], *, repeatable: bool) -> T:
        for wait in [*self.patience.waits(), None]:
            try:
                return once()
            except _Passing as passing:
                if not (repeatable or passing.undone):
                    raise self._unsure(passing) from passing.__cause__
                if wait is None:
                    raise PublishError(*self._unsure(passing).problems) from passing.__cause__
                self.patience.sleep(max(wait, passing.wait or 0))
        raise AssertionError("the last try returns or raises")

    def _unsure(self, passing: _Passing) -> UnsureError:
        hint = "run it again: it goes on from there"
        why = self.scrub(passing.why)
        error = UnsureError(Problem(f"{self.name}: no answer", got=why, hint=hint))
        error.wait = passing.wait or 0.0
        return error

    def _answer(
        self,
        method: str,
        url: str,
        allowed: tuple[int, ...],
        *,
        wait: float | None = None,
        **more: Any,
    ) -> Answer:
        with self._follow(method, url, wait=wait, **more) as response:
            if response.status_code not in allowed:
                raise self._failed(response, method)
            try:
                return Answer(
                    response.status_code,
                    response.url,
                    json_of(response),
                    {rel: str(link.get("url", "")) for rel, link in response.links.items()},
                    response.headers,
                )
            except requests.RequestException as error:  # cut in the middle of the answer
                raise _Passing(kind_of(error)) from error

    def _follow(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        wait: float | None = None,
        **more: Any,
    ) -> requests.Response:
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._request(method, url, headers or {}, wait, more)
            target = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or not target:
                return response
            response.close()
            url = self._redirected(method, url, urljoin(url, target))
        raise PublishError(f"{self.name}: {shown(url)} redirects without end")

    def _redirected(self, method: str, old: str, new: str) -> str:
        downgraded = urlsplit(old).scheme == "https" and urlsplit(new).scheme != "https"
        if downgraded or (method != "GET" and not self.trusts(new)):
            raise PublishError(
                f"{self.name}: refused the redirect of {shown(old)} to {shown(new)}",
                hint="it may have been renamed: give its address of today",
            )
        return new

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        wait: float | None,
        more: Mapping[str, Any],
    ) -> requests.Response:
        permission = self._permission if self.trusts(url) else {}
        try:
            response = self._session.request(
                method,
                url,
                headers={**self._headers, **headers},
                auth=_Permission(permission),
                timeout=(self.patience.connect, wait or self.patience.answer),
                allow_redirects=False,
                stream=True,
                **more,
            )
        except (requests.exceptions.SSLError, requests.exceptions.InvalidProxyURL) as error:
            message = f"{self.name}: no safe connection to {shown(url)}: {kind_of(error)}"
            hint = "set REQUESTS_CA_BUNDLE to your certificates, HTTPS_PROXY to your proxy"
            raise PublishError(message, hint=hint) from error
        except (requests.ConnectionError, requests.Timeout, OSError) as error:
            raise _Passing(f"{shown(url)}: {kind_of(error)}") from error
        except requests.RequestException as error:
            raise PublishError(f"{self.name}: {shown(url)}: {kind_of(error)}") from error
        return response

    # --- complaints ------------------------------------------------------------------------------

    def _failed(self, response: requests.Response, method: str) -> Exception:
        status, where = response.status_code, shown(response.url)
        told = self.scrub(complaint(response))
        if status == 429 or (status == 403 and is_limit(response)):
            return self._passing(response, "the service asks to wait", undone=True)
        if status >= 500:
            return self._passing(response, f"{where}: {status} {told}".rstrip(), undone=False)
        return PublishError(
            Problem(
                f"{self.name}: {method} {where} was refused",
                got=f"{status} {told}".rstrip(),
                hint=HINTS.get(status),
            )
        )

    def _passing(self, response: requests.Response, why: str, *, undone: bool) -> Exception:
        wait, longest = asked_wait(response, self.patience.now()), self.patience.longest_wait
        if wait is not None and wait > longest:
            message = f"{self.name}: the service asks to wait {wait:.0f} s"
            hint = f"run it again then (up to {longest:.0f} s are waited for)"
            return PublishError(message, hint=hint)
        return _Passing(why, wait, undone=undone)
