"""The user's package index, as pip is configured to use it.

pip's own files and variables are read, since that is where people and companies say which index
they use, and handed to uv in its words. Precedence and places: pip's documentation,
"Configuration" (variables, then [install], then [global]; later files before earlier ones).
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlbuild.errors import Problem, ToolchainError
from mlbuild.toolchains.addresses import local_path, redact_address

_SECTIONS = ("global", "install")  # the later one wins
_TRUE = {"1", "true", "yes", "on", "y", "t"}


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """Where packages come from. Local places that do not exist are left out."""

    index_url: str | None = None  # None: the public index, unless no_index
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    client_cert: str | None = None
    proxy: str | None = None
    timeout: str | None = None
    keyring: str | None = None

    def uv_environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What uv needs beside ``environ``; what the user tells uv himself stays.

        Addresses travel in the environment, since arguments can be read by every local user.
        """
        ours: dict[str, str] = {}
        if self.index_url and not self.no_index and "UV_INDEX_URL" not in environ:
            ours["UV_DEFAULT_INDEX"] = self.index_url
        if self.extra_index_urls and not self.no_index:
            # pip takes the best version of all indexes; uv by default only the first that has one.
            ours["UV_INDEX"] = " ".join(self.extra_index_urls)
            ours["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        if self.find_links:
            ours["UV_FIND_LINKS"] = ",".join(self.find_links)
        if self.trusted_hosts:
            ours["UV_INSECURE_HOST"] = " ".join(self.trusted_hosts)
        if self.timeout:
            ours["UV_HTTP_TIMEOUT"] = self.timeout
        if self.keyring == "subprocess":
            ours["UV_KEYRING_PROVIDER"] = self.keyring
        ours |= self._network()
        return {k: v for k, v in ours.items() if k not in environ}

    def pip_environment(self) -> dict[str, str]:
        """The same for pip, which would not read the engine's own pip.conf elsewhere."""
        ours = {
            "PIP_INDEX_URL": self.index_url or "",
            "PIP_EXTRA_INDEX_URL": " ".join(self.extra_index_urls),
            "PIP_FIND_LINKS": " ".join(self.find_links),
            "PIP_NO_INDEX": "1" if self.no_index else "",
            "PIP_TRUSTED_HOST": " ".join(self.trusted_hosts),
            "PIP_CERT": self.cert or "",
            "PIP_CLIENT_CERT": self.client_cert or "",
            "PIP_PROXY": self.proxy or "",
            "PIP_DEFAULT_TIMEOUT": self.timeout or "",
        }
        return {k: v for k, v in ours.items() if v}

    def _network(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if self.cert:
            found["SSL_CERT_FILE"] = self.cert
        if self.client_cert:
            found["SSL_CLIENT_CERT"] = self.client_cert
        if self.proxy:
            found |= {"HTTP_PROXY": self.proxy, "HTTPS_PROXY": self.proxy}
        return found

    def sources(self) -> tuple[str, ...]:
        """Every index address, the main one first."""
        if self.no_index:
            return ()
        return (self.index_url or "https://pypi.org/simple", *self.extra_index_urls)

    def redact(self, text: str) -> str:
        """``text`` without passwords: neither ours nor those in any address."""
        text = redact_address(text)
        for secret in self._secrets():
            text = text.replace(secret, "***")
        return text

    def _secrets(self) -> set[str]:
        """Passwords (or tokens given as user names) in addresses, as written and decoded."""
        found: set[str] = set()
        for url in (self.index_url, *self.extra_index_urls, *self.find_links, self.proxy):
            userinfo = urlsplit(url or "").netloc.rpartition("@")[0]
            user, _, password = userinfo.partition(":")
            secret = password or user
            found |= {secret, unquote(secret)}
        return {s for s in found if len(s) >= 4}  # shorter ones would blot out ordinary text


def configured(environ: Mapping[str, str] | None = None, prefix: str | None = None) -> PackageIndex:
    """The package index of this user.

    Args:
        environ: instead of the process's own environment.
        prefix: the environment whose ``pip.conf`` counts, by default the engine's.

    Raises:
        ToolchainError: a configuration file of pip cannot be parsed.
    """
    env = os.environ if environ is None else environ
    values: dict[str, str] = {}
    for file in _files(env, Path(prefix or sys.prefix)):
        values |= _read(file)
    settings = {s: v for section in _SECTIONS for s, v in _section(values, section)}
    settings |= {
        key[4:].lower().replace("_", "-"): value
        for key, value in env.items()
        if key.startswith("PIP_") and value
    }
    return _index(settings)


def _index(settings: Mapping[str, str]) -> PackageIndex:
    main = settings.get("index-url", settings.get("pypi-url"))
    extra = [u for u in settings.get("extra-index-url", "").split() if _exists(u)]
    no_index = settings.get("no-index", "").lower() in _TRUE
    if main and not _exists(main):
        # Never fall back to the public index: what was configured is all that may be used.
        main = extra.pop(0) if extra else None
        no_index = no_index or main is None
    links = [_expanded(u) for u in settings.get("find-links", "").split()]
    return PackageIndex(
        index_url=main,
        extra_index_urls=tuple(extra),
        find_links=tuple(u for u in links if _exists(u)),
        no_index=no_index,
        trusted_hosts=tuple(settings.get("trusted-host", "").split()),
        cert=_expanded(settings["cert"]) if "cert" in settings else None,
        client_cert=_expanded(settings["client-cert"]) if "client-cert" in settings else None,
        proxy=settings.get("proxy"),
        timeout=settings.get("timeout", settings.get("default-timeout")),
        keyring=settings.get("keyring-provider"),
    )


def _exists(address: str) -> bool:
    path = local_path(address)
    return path is None or path.exists()


def _expanded(value: str) -> str:
    return str(Path(value).expanduser()) if value.startswith("~") else value


def _files(env: Mapping[str, str], prefix: Path) -> Iterator[Path]:
    """Configuration files of pip, the weakest first."""
    named = env.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = Path(env.get("HOME") or Path.home())
    for folder in reversed(env.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        yield Path(folder or "/etc/xdg") / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    if sys.platform == "darwin":
        yield Path("/Library/Application Support/pip/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    if sys.platform == "darwin":
        yield home / "Library" / "Application Support" / "pip" / "pip.conf"
    yield prefix / "pip.conf"
    if named:
        yield Path(named).expanduser()


def _read(file: Path) -> dict[str, str]:
    """``section.key`` -> value of one file; empty values count as unset, as in pip."""
    try:
        text = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError):
        return {}
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text, str(file))
    except configparser.Error as error:
        what = f"pip's configuration file {file} cannot be read"
        got = redact_address(str(error).splitlines()[0])
        raise ToolchainError(Problem(what, got=got, hint="`pip config debug` shows it")) from error
    return {
        f"{section}.{key.lower().replace('_', '-')}": value
        for section in parser.sections()
        for key, value in parser.items(section)
        if value
    }


def _section(values: Mapping[str, str], name: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        section, _, option = key.partition(".")
        if section == name:
            yield option, value
