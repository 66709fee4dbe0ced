"""Texts told token by token, by a torch model or a Core ML model with functions and state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from ..problem.problem import Problem

PROMPT, STEP = "prompt", "step"
Choose = Callable[[np.ndarray], int]  # from logits [V] to a token


class Teller(Protocol):
    """A model with a memory."""

    chunk: int  # tokens that it reads at once
    context: int

    def forget(self) -> None: ...

    def read(self, ids: np.ndarray, position: int) -> np.ndarray: ...


class TorchTeller:
    """A torch model with its cache."""

    def __init__(self, net: Any, chunk: int) -> None:
        self.net, self.chunk, self.context = net, chunk, net.context

    def forget(self) -> None:
        """Begin a new text."""
        self.net.forget()

    def read(self, ids: np.ndarray, position: int) -> np.ndarray:
        """Logits after each token, shapes int32 [n] -> float32 [n, V]."""
        at = torch.tensor([position], dtype=torch.int32)
        with torch.no_grad():
            return self.net(torch.from_numpy(ids)[None], at)[0].numpy()


class CoreMLTeller:
    """A Core ML model of two functions that share a state.

    Args:
        functions: models by name of the function, as ``mlbuild.coreml.load`` gives them.
        context: places of the cache.
    """

    def __init__(self, functions: dict[str, Any], context: int) -> None:
        self._functions, self.context = functions, context
        inputs = {f.name: f for f in functions[PROMPT].description.inputs}
        self.chunk = int(inputs["ids"].array.shape[1])
        self.forget()

    def forget(self) -> None:
        """Begin a new text."""
        self._state = self._functions[PROMPT].make_state()

    def read(self, ids: np.ndarray, position: int) -> np.ndarray:
        """Logits after each token, shapes int32 [n] -> float32 [n, V]."""
        model = self._functions[STEP if len(ids) == 1 else PROMPT]
        given = {"ids": ids[None], "position": np.array([position], np.int32)}
        return model.predict(given, self._state)["logits"][0].astype(np.float32)


def read_prompt(teller: Teller, ids: Sequence[int]) -> np.ndarray:
    """Let a model read a prompt, part by part; the logits after its last token.

    Raises:
        Problem: it is empty or longer than the context.
    """
    if not len(ids):
        raise Problem("a prompt is empty")
    if len(ids) > teller.context:
        raise Problem(f"a prompt has {len(ids)} tokens, the model reads {teller.context}")
    teller.forget()
    last = np.zeros(0)
    for start in range(0, len(ids), teller.chunk):
        part = list(ids[start : start + teller.chunk])
        filled = part + [0] * (teller.chunk - len(part))
        last = teller.read(np.array(filled, np.int32), start)[len(part) - 1]
    return last


def generate(
    teller: Teller, ids: Sequence[int], count: int, choose: Choose, end: int
) -> tuple[list[int], list[np.ndarray]]:
    """Go on with a prompt.

    Returns:
        The tokens, up to ``count``, up to the context or to ``end``, and the logits that each was
        chosen from.
    """
    logits = read_prompt(teller, ids)
    tokens: list[int] = []
    seen: list[np.ndarray] = []
    for position in range(len(ids), min(len(ids) + count, teller.context)):
        tokens.append(choose(logits))
        seen.append(logits)
        if tokens[-1] == end:
            break
        logits = teller.read(np.array([tokens[-1]], np.int32), position)[-1]
    return tokens, seen


def retell(teller: Teller, ids: Sequence[int], tokens: Sequence[int]) -> list[np.ndarray]:
    """The logits before each of some given tokens, whatever the model itself would have chosen."""
    seen = [read_prompt(teller, ids)]
    for place, token in enumerate(tokens[:-1]):
        seen.append(teller.read(np.array([token], np.int32), len(ids) + place)[-1])
    return seen


def greedy(logits: np.ndarray) -> int:
    """The likeliest token."""
    return int(np.argmax(logits))


def sampler(seed: int, temperature: float, top_k: int | None) -> Choose:
    """Tokens at random, by their probabilities: equal seeds and logits give equal tokens."""
    random = np.random.default_rng(seed)

    def choose(logits: np.ndarray) -> int:
        scaled = logits.astype(np.float64) / temperature
        if top_k is not None and top_k < len(scaled):
            least = np.sort(scaled)[-top_k]
            scaled = np.where(scaled >= least, scaled, -np.inf)
        weights = np.exp(scaled - scaled.max())
        reached = np.cumsum(weights)
        return int(np.searchsorted(reached, random.random() * reached[-1], side="right"))

    return choose
