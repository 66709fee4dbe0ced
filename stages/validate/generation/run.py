"""Two models tell the same texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from mlbuild.coreml import CoreMLError, load

from ..._shared.digests.tree import model_sha256
from ..._shared.parity.figures import EQUAL_DB, share
from ..._shared.parity.samples import spread
from ..._shared.problem.problem import Problem, told
from ..._shared.text.files import from_json
from ..._shared.text.generating import (
    PROMPT,
    STEP,
    CoreMLTeller,
    Teller,
    TorchTeller,
    generate,
    greedy,
    retell,
    sampler,
)
from ..._shared.text.pairs import PairTokenizer
from ..._shared.torch_model.model_file import load as load_torch
from ..._shared.torch_setup.configure import configure


@told
def run(job: Any) -> None:
    """Tell, compare, report."""
    configure(job)
    reference, candidate, tokenizer = _open(job)
    prompts = _prompts(job, tokenizer)
    texts = []
    for done, ids in enumerate(prompts, 1):
        texts.append(_compare(job.params, reference, candidate, tokenizer, ids))
        job.progress(done, len(prompts), f"prompt {done}")
    metrics = _figures(texts)
    for name, value in metrics.items():
        if isinstance(value, dict):
            job.metric(name, value["value"], n=value["n"])
        else:
            job.metric(name, value)
    report = {
        "version": 1,
        "kind": "validate/generation",
        "model_sha256": model_sha256(job.inputs["candidate"]),
        **metrics,
        "texts": [text["told"] for text in texts],
    }
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def _open(job: Any) -> tuple[Teller, Teller, PairTokenizer]:
    model = load_torch(job.inputs["reference"])
    described = model.description
    if set(described.functions) != {PROMPT, STEP}:
        raise Problem(
            f"the reference is no text generator: {described.task}",
            hint="give the model of train/text-generator",
        )
    path = job.inputs["candidate"]
    try:
        functions = {name: load(path, function=name) for name in (PROMPT, STEP)}
    except CoreMLError as error:
        raise Problem(
            f"the candidate has no functions {PROMPT} and {STEP}: {error}",
            hint="convert the model of train/text-generator with convert/coreml",
        ) from error
    context = int(described.facts["context"])
    chunk = int(described.facts["prompt_length"])
    tokenizer = from_json(described.facts["tokenizer"])
    assert isinstance(tokenizer, PairTokenizer)
    return TorchTeller(model.net, chunk), CoreMLTeller(functions, context), tokenizer


def _prompts(job: Any, tokenizer: PairTokenizer) -> list[list[int]]:
    found = [tokenizer.encode(prompt) for prompt in job.params.prompts]
    if "samples" in job.inputs:
        folder = Path(job.inputs["samples"])
        files = spread(sorted(folder.glob("*.npz")), job.params.limit)
        for file in files:
            with np.load(file, allow_pickle=False) as data:
                # Zeros at the end fill the prompt; a text may hold zeros before.
                found.append(np.trim_zeros(data["ids"][0], "b").tolist())
    if not found:
        raise Problem("there is nothing to go on with", hint="give prompts, or the input samples")
    return found


def _compare(
    params: Any, reference: Teller, candidate: Teller, tokenizer: PairTokenizer, ids: list[int]
) -> dict[str, Any]:
    """Both go on with one prompt, alone and with the reference's words."""
    if len(ids) >= reference.context:
        raise Problem(
            f"a prompt has {len(ids)} tokens and leaves no place in a context of "
            f"{reference.context}: {tokenizer.decode(ids)[:40]!r}"
        )
    told_texts: dict[str, Any] = {"prompt": tokenizer.decode(ids)}
    exact = {}
    for name, make in (
        ("greedy", lambda: greedy),
        ("sampled", lambda: sampler(params.seed, params.temperature, params.top_k)),
    ):
        ours, _ = generate(reference, ids, params.tokens, make(), tokenizer.end)
        theirs, _ = generate(candidate, ids, params.tokens, make(), tokenizer.end)
        exact[name] = ours == theirs
        told_texts[name] = tokenizer.decode(ours)
        if ours != theirs:
            told_texts[f"{name}_candidate"] = tokenizer.decode(theirs)
            told_texts[f"{name}_equal_tokens"] = _equal(ours, theirs)
        words = ours if name == "sampled" else []
    right = np.stack(retell(reference, ids, words)).astype(np.float64)
    got = np.stack(retell(candidate, ids, words)).astype(np.float64)
    if not np.isfinite(got).all():
        raise Problem(
            "the candidate gives logits that are not finite",
            hint="in float16 numbers end at 65504: convert with `precision: float32`",
        )
    return {"told": told_texts, "exact": exact, "right": right, "got": got, "words": words}


def _equal(ours: list[int], theirs: list[int]) -> int:
    pairs = zip(ours, theirs, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))


def _figures(texts: list[dict[str, Any]]) -> dict[str, Any]:
    right = np.concatenate([text["right"] for text in texts])
    got = np.concatenate([text["got"] for text in texts])
    words = np.concatenate([text["words"] for text in texts]).astype(int)
    noise = float(np.sqrt(((right - got) ** 2).mean()))
    peak = float(right.max() - right.min())
    psnr = 20 * np.log10(peak / noise) if noise > 0 else EQUAL_DB
    rows = np.arange(len(words))
    losses = [-log_softmax(logits, axis=1)[rows, words].mean() for logits in (right, got)]
    exact = {
        f"exact_{name}": share(np.array([text["exact"][name] for text in texts])).to_json()
        for name in ("greedy", "sampled")
    }
    return {
        **exact,
        "agreement": share(right.argmax(axis=1) == got.argmax(axis=1)).to_json(),
        "max_abs": float(np.abs(right - got).max()),
        "psnr_db": float(min(EQUAL_DB, psnr)),
        "perplexity_ratio": float(np.exp(losses[1] - losses[0])),
        "tokens": len(words),
    }
