"""pip's configuration: which files and variables count, and what of it uv is told."""

import os
from pathlib import Path

import pytest

from mlbuild.errors import ToolchainError
from mlbuild.toolchains.packageindex import PackageIndex, configured


def _config(home: Path, text: str) -> dict[str, str]:
    file = home / ".config" / "pip" / "pip.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    # The machine's own files are masked by stronger ones, which say the same keys.
    return {"HOME": str(home), "XDG_CONFIG_DIRS": str(home / "none")}


BLANK = "index-url = https://one/simple\nextra-index-url = https://x/simple\nfind-links = /\n"


def test_variables_beat_the_install_section_which_beats_global(tmp_path: Path) -> None:
    text = f"[global]\n{BLANK}timeout = 1\ncert = /a\n[install]\ntimeout = 2\ncert = /b\n"
    env = _config(tmp_path, text) | {"PIP_CERT": "/c", "PIP_TIMEOUT": ""}
    index = configured(env, prefix=str(tmp_path))
    assert (index.timeout, index.cert) == ("2", "/c")


def test_a_later_file_beats_an_earlier_one(tmp_path: Path) -> None:
    env = _config(tmp_path, f"[global]\n{BLANK}timeout = 1\n")
    (tmp_path / "pip.conf").write_text("[global]\ntimeout = 2\n")
    assert configured(env, prefix=str(tmp_path)).timeout == "2"
    (tmp_path / "named.conf").write_text("[global]\ntimeout = 3\n")
    env["PIP_CONFIG_FILE"] = str(tmp_path / "named.conf")
    assert configured(env, prefix=str(tmp_path)).timeout == "3"


def test_lists_are_split_and_missing_local_places_left_out(tmp_path: Path) -> None:
    here = tmp_path.as_uri()
    env = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_EXTRA_INDEX_URL": f"{here}/none {here} https://x/simple",
        "PIP_FIND_LINKS": f"/none/at/all {tmp_path}\nhttps://y/files",
    }
    index = configured(env)
    assert index.extra_index_urls == (here, "https://x/simple")
    assert index.find_links == (str(tmp_path), "https://y/files")


def test_a_missing_main_index_never_falls_back_to_the_public_one(tmp_path: Path) -> None:
    env = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "file:///none/at/all"}
    assert configured(env).sources() == ()
    env["PIP_EXTRA_INDEX_URL"] = "https://x/simple"
    assert configured(env).sources() == ("https://x/simple",)


def test_uv_is_told_everything_in_its_own_words() -> None:
    index = PackageIndex(
        index_url="https://one/simple",
        extra_index_urls=("https://two/simple", "https://three/simple"),
        find_links=("/a", "/b"),
        trusted_hosts=("one",),
        cert="/ca.pem",
        proxy="http://proxy:1",
        timeout="9",
    )
    assert index.uv_environment({}) == {
        "UV_DEFAULT_INDEX": "https://one/simple",
        "UV_INDEX": "https://two/simple https://three/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/a,/b",
        "UV_INSECURE_HOST": "one",
        "SSL_CERT_FILE": "/ca.pem",
        "UV_HTTP_TIMEOUT": "9",
        "HTTP_PROXY": "http://proxy:1",
        "HTTPS_PROXY": "http://proxy:1",
    }


def test_what_the_user_tells_uv_himself_stays() -> None:
    index = PackageIndex(index_url="https://one/simple", timeout="9")
    own = {"UV_DEFAULT_INDEX": "https://own/simple", "UV_HTTP_TIMEOUT": "1"}
    assert index.uv_environment(own) == {}


def test_secrets_are_shown_nowhere() -> None:
    index = PackageIndex(
        index_url="https://me:pass%20word@one/simple", extra_index_urls=("https://tokenABC@two/s",)
    )
    text = "GET https://me:pass%20word@one/simple 'pass word' tokenABC https://u:p@other/x"
    assert index.redact(text) == "GET https://***@one/simple '***' *** https://***@other/x"


def test_a_broken_configuration_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("index-url = https://me:secret@one/simple\n")
    with pytest.raises(ToolchainError) as caught:
        configured({"PIP_CONFIG_FILE": str(file)}, prefix=str(tmp_path))
    assert caught.value.render() == (
        f"pip's configuration file {file} cannot be read\n"
        "  got: File contains no section headers.\n"
        "  hint: `pip config debug` shows it"
    )
