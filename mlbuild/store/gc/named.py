"""The objects that a dvc.lock or a `.dvc` file names, found without parsing all of it.

Everything here errs on one side: what cannot be understood counts with every digest that it holds,
since a digest too many keeps a file and one too few loses it.
"""

from __future__ import annotations

import re

_MD5 = re.compile(r"md5:[ \t]*['\"]?([0-9a-f]{32}(?:\.dir)?)\b")
# The items of `outs`, whose own indentation YAML leaves free.
_LOCK_OUTS = re.compile(r"^    outs:[ \t]*\n((?:    -.*\n|     .*\n|[ \t]*\n)*)", re.M)
_FILE_OUTS = re.compile(r"^outs:[ \t]*\n((?:-.*\n| .*\n|[ \t]*\n)*)", re.M)
_SAYS_OUTS = re.compile(r"\bouts['\"]?[ \t]*:")


def is_ledger(name: str) -> bool:
    """Whether a file of that name can name objects."""
    return name == "dvc.lock" or (name.endswith(".dvc") and name != ".dvc")


def named(name: str, text: str) -> frozenset[str]:
    """The digests of all outputs, files and folders' listings, that a file of the ledger names."""
    text = text.replace("\r\n", "\n")
    if not text.endswith("\n"):
        text += "\n"
    pattern = _LOCK_OUTS if name == "dvc.lock" else _FILE_OUTS
    parts: list[str] = pattern.findall(text)
    odd = len(parts) != len(_SAYS_OUTS.findall(text)) or "\n<<<<<<<" in f"\n{text}"
    return frozenset(_MD5.findall(text if odd else "".join(parts)))
