"""`.dvc/`: what `dvc init` makes, and what of its settings concerns us."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from mlbuild.errors import LedgerError
from mlbuild.store.files import explained, write_atomic
from mlbuild.store.gitignore import git_top

_HEADING = re.compile(r"\[(.*)\]\s*(?:#.*)?$")
_IGNORE = b"""\
# What DVC and mlbuild leave out of folders, one pattern a line.
# Python leaves its caches beside code; a folder of code that was run is not another folder.
__pycache__/
"""
_REMOTE = re.compile(r'\s*remote\s*"(.*)"\s*$', re.IGNORECASE)


class Setting(NamedTuple):
    """What a file says, and the file's folder: relative paths start there."""

    value: str
    folder: Path


def dvc_folder(root: Path) -> Path | None:
    """The `.dvc` that a project belongs to: its own, or one above it, as DVC looks for it.

    In git the search ends at the top of the work tree. Outside, a `.dvc` in the home folder or at
    the top of the disk is nobody's project.
    """
    top = git_top(root)
    ends = {Path.home(), Path(root.anchor)} - {root, top}
    for folder in (root, *root.parents):
        if folder in ends:
            break
        if (folder / ".dvc").is_dir():
            return folder / ".dvc"
        if folder == top:
            break
    return None


def ensure_dvc(root: Path) -> str | None:
    """Makes a DVC repository where there is none.

    Returns:
        What was done, for the summary; None where there was one already.
    """
    if dvc_folder(root) is not None:
        return None
    folder, top = root / ".dvc", git_top(root)
    with explained("making the DVC repository", folder):
        (folder / "tmp").mkdir(parents=True)
        if top is None:
            write_atomic(folder / "config", b"[core]\n    no_scm = True\n")
        else:
            write_atomic(folder / "config", b"")
            write_atomic(folder / ".gitignore", b"/config.local\n/tmp\n/cache\n")
        ignore = root / ".dvcignore"
        if not ignore.exists():
            write_atomic(ignore, _IGNORE)
    where = "outside git" if top is None else "commit .dvc/ and .dvcignore"
    return f"made a DVC repository in {folder} ({where})"


def dvc_config(root: Path) -> dict[str, dict[str, str]]:
    """DVC's settings as they apply here: system, user, repository, local; the last one wins."""
    found: dict[str, dict[str, str]] = {}
    for file in _config_files(root):
        for section, options in _parse(file).items():
            found.setdefault(section, {}).update(options)
    return found


def remote_settings(root: Path) -> tuple[str | None, dict[str, dict[str, Setting]]]:
    """The default remote's name, and what is set of each remote."""
    default: str | None = None
    remotes: dict[str, dict[str, Setting]] = {}
    for file in _config_files(root):
        for section, options in _parse(file).items():
            if section == "core" and "remote" in options:
                default = options["remote"].partition("#")[0].strip() or None
            named = _REMOTE.match(section)
            if named:
                known = remotes.setdefault(named[1].lower(), {})
                known.update({k.lower(): Setting(v, file.parent) for k, v in options.items()})
    return default, remotes


def cache_settings(root: Path) -> tuple[Path, tuple[str, ...]]:
    """Where DVC's cache lies, and how files are linked out of it."""
    options = dvc_config(root).get("cache", {})
    own = dvc_folder(root) or root / ".dvc"
    folder = own / os.path.expanduser(options.get("dir", "cache"))  # noqa: PTH111
    kinds = [kind.strip() for kind in options.get("type", "").split(",") if kind.strip()]
    known = [k for k in kinds if k in ("reflink", "hardlink", "symlink", "copy")]
    return Path(os.path.normpath(folder)), (*(known or ["reflink"]), "copy")


def _config_files(root: Path) -> list[Path]:
    """The files that DVC reads its settings from, the strongest last."""
    system, user = Path("/etc/xdg/dvc"), _xdg_config() / "dvc"
    if sys.platform == "darwin":
        system = Path("/Library/Application Support/dvc")
        user = Path.home() / "Library/Application Support/dvc"
    own = dvc_folder(root) or root / ".dvc"
    return [
        Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR") or system) / "config",
        Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR") or user) / "config",
        own / "config",
        own / "config.local",
    ]


def _xdg_config() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _parse(file: Path) -> dict[str, dict[str, str]]:
    try:
        text = file.read_text("utf-8")
    except OSError:
        return {}
    except UnicodeDecodeError as error:
        raise _spoiled(file, "it is not text") from error
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    whole = "'''" in text or '"""' in text  # values of several lines: DVC's to understand
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        heading = _HEADING.match(line)
        if heading:
            section = found.setdefault(heading[1].strip().strip("'"), {})
        elif not line or line[0] in "#;":
            continue
        elif "=" in line:
            name, _, value = line.partition("=")
            section[name.strip()] = value.strip().strip("\"'")
        elif not whole:
            raise _spoiled(file, f"line {number} is neither [section] nor name = value")
    return found


def _spoiled(file: Path, why: str) -> LedgerError:
    return LedgerError(
        f"{file} cannot be read: {why}",
        hint=f"put the committed one back (git checkout -- '{file}') or correct it",
    )
