"""Connections: proxies, certificates and credentials as the user's other tools use them."""

from __future__ import annotations

import base64
import http.client
import netrc
import os
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import IO, cast
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from mlbuild.errors import DataError
from mlbuild.toolchains.addresses import redact_address
from mlbuild.toolchains.packageindex import PackageIndex

_TIMEOUT_SECONDS = 60.0
_MAX_REDIRECTS = 8
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class Transport:
    """Opens http and https addresses."""

    cert: str | None = None
    proxy: str | None = None
    trusted_hosts: tuple[str, ...] = ()
    timeout: float = _TIMEOUT_SECONDS
    credentials: tuple[tuple[str, str], ...] = ()  # ("host", "user:password")
    tokens: tuple[tuple[str, str], ...] = ()  # ("host", "token"), for that host alone

    def open(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """A connection to ``url``; an error status raises urllib's HTTPError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise DataError(f"{redact_address(url)}: only http, https and file are fetched")
        request = urllib.request.Request(_bare(parts), headers=dict(headers))
        request.add_header("User-Agent", "mlbuild")
        permission = self._permission(parts)
        if permission is not None:
            # Unredirected: it must not follow to the next host.
            request.add_unredirected_header("Authorization", permission)
        proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies),
            urllib.request.HTTPSHandler(context=self._context(parts.hostname or "")),
            _Redirects(),
        )
        return cast(http.client.HTTPResponse, opener.open(request, timeout=self.timeout))

    def _context(self, host: str) -> ssl.SSLContext:
        bundle = self.cert or next((v for n in _BUNDLES if (v := os.environ.get(n))), None)
        usable = bundle if bundle and os.path.isfile(bundle) else None  # noqa: PTH113
        context = ssl.create_default_context(cafile=usable)
        if host in {h.partition(":")[0] for h in self.trusted_hosts}:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _permission(self, parts: SplitResult) -> str | None:
        for host, token in self.tokens:
            if host == parts.hostname:
                return f"Bearer {token}"
        login = self._login(parts)
        if login is None:
            return None
        return f"Basic {base64.b64encode(login.encode()).decode('ascii')}"

    def _login(self, parts: SplitResult) -> str | None:
        if parts.username is not None:
            return f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        for host, login in self.credentials:
            if host == parts.hostname:
                return login
        try:
            found = netrc.netrc().authenticators(parts.hostname or "")
        except (OSError, netrc.NetrcParseError):
            return None
        return f"{found[0]}:{found[2]}" if found else None


def of_index(index: PackageIndex) -> Transport:
    """The transport that pip's configuration asks for."""
    logins = []
    for url in (*index.sources(), *index.find_links):
        parts = urlsplit(url)
        if parts.username is not None and parts.hostname:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            logins.append((parts.hostname, login))
    try:
        timeout = float(index.timeout or _TIMEOUT_SECONDS)
    except ValueError:
        timeout = _TIMEOUT_SECONDS
    return Transport(index.cert, index.proxy, index.trusted_hosts, timeout, tuple(logins))


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _MAX_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage | Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuses to leave http(s), or to go from https back to http."""
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            fp.close()
            place = redact_address(newurl)
            raise DataError(f"{redact_address(req.full_url)}: refused its redirect to {place}")
        return super().redirect_request(
            req, fp, code, msg, cast(http.client.HTTPMessage, headers), newurl
        )


def _bare(parts: SplitResult) -> str:
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
