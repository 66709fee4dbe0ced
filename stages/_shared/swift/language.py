"""Models of text: Swift code that makes numbers of text, from what the model says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..problem.problem import Problem

FILE = "tokenizer.json"
_MODEL = "mlbuild.model"  # metadata that convert/coreml writes
_TOKENIZERS = {"words": "Words.swift.j2", "pairs": "Pairs.swift.j2"}
_GENERATOR = "text-generator"


@dataclass(frozen=True)
class Language:
    """A tokenizer, and what is needed to use the model with it."""

    tokenizer: dict[str, Any]
    generates: bool
    context: int = 0
    prompt_length: int = 0

    @staticmethod
    def of(metadata: Mapping[str, Any]) -> Language | None:
        """From a model's metadata; None where it takes no text.

        Raises:
            Problem: the metadata cannot be read.
        """
        text = metadata.get("user_defined", {}).get(_MODEL)
        if text is None:
            return None
        try:
            described = json.loads(text)
            facts = described["facts"]
            tokenizer = facts.get("tokenizer")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Problem(f"the model's metadata {_MODEL} cannot be read: {error}") from error
        if not isinstance(tokenizer, dict) or tokenizer.get("kind") not in _TOKENIZERS:
            return None
        generates = described.get("task") == _GENERATOR
        sizes = (int(facts.get("context", 0)), int(facts.get("prompt_length", 0)))
        return Language(tokenizer, generates, *sizes)

    def pages(self, name: str) -> dict[str, str]:
        """Templates by the path of what they become."""
        pages = {f"Sources/{name}/Tokenizer.swift": _TOKENIZERS[self.tokenizer["kind"]]}
        if self.generates:
            pages[f"Sources/{name}/TextGenerator.swift"] = "Generator.swift.j2"
        return pages

    def text(self) -> str:
        """The file that the Swift code reads."""
        return json.dumps(self.tokenizer, sort_keys=True, ensure_ascii=False) + "\n"
