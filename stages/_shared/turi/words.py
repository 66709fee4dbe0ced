"""Text as Turi Create counts it: the dictionary that a text classifier takes.

Source: turicreate.text_analytics.count_words and its default delimiters, which a test compares
with this.
"""

from __future__ import annotations

import re
from typing import Dict  # noqa: UP035 - evaluated, on 3.8 too

_APART = re.compile(r"""[\r\v\n\f\t !#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~"]+""")


def count_words(text: str) -> Dict[str, float]:  # noqa: UP006
    """How often each word occurs, in small letters of ASCII."""
    found: Dict[str, float] = {}  # noqa: UP006
    for word in _APART.split(_small(text)):
        if word:
            found[word] = found.get(word, 0.0) + 1.0
    return found


def _small(text: str) -> str:
    # Its core lowers bytes one by one, so that letters beyond ASCII stay as they are.
    return re.sub("[A-Z]+", lambda found: found.group().lower(), text)
