"""Train a text generator: read, learn a tokenizer, learn to foresee the next token, judge, save."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._shared.problem.problem import Problem, told
from ..._shared.sequence_training.outcome import write_report
from ..._shared.text.files import save as save_tokenizer
from ..._shared.text.generating import TorchTeller, generate, greedy, sampler
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.generator_net import cache_shape
from ..._shared.torch_model.model_file import Description, Input, Output, State, save
from ..._shared.torch_setup.configure import configure, seed_everything
from .corpus import Corpus, read
from .learning import Asked, ask, train

TASK = "text-generator"
_TOLD_TOKENS = 60


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    corpus = read(job)
    learn, watch = _watched(corpus.learn, params)
    arguments = {
        "vocabulary": corpus.tokenizer.size,
        "context": params.context,
        "width": params.width,
        "heads": params.heads,
        "layers": params.layers,
        "dropout": params.dropout,
    }
    seed_everything(params.seed)
    net = build("generator-gpt", arguments, 0)
    job.log(f"{sum(p.numel() for p in net.parameters())} parameters, {len(learn)} tokens to learn")
    history = train(net, learn, watch, params, job.progress)
    asked = ask(net, corpus.ask)
    figures = _record(job, corpus, asked)
    job.metric("steps", history.best_step)
    job.plot("training", history.rows, x="step", y="validation_loss", title="Training by step")
    facts = {
        **figures,
        "judged_tokens": asked.tokens,
        "tokens": len(corpus.learn),
        "texts": corpus.texts,
        "vocabulary": corpus.tokenizer.size,
        "steps": history.best_step,
        "seed": params.seed,
    }
    save(net, _description(params, corpus, arguments, facts), job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    save_tokenizer(corpus.tokenizer, job.outputs["tokenizer"])
    prompts = _prompts(corpus, params)
    _write_samples(job, prompts)
    told_texts = _told(net, corpus, prompts, params)
    write_report(job, {**facts, "curve": history.rows, "told": told_texts})
    job.log(f"perplexity {figures['perplexity']:.2f} of {asked.tokens} tokens held out")


def _watched(tokens: np.ndarray, params: Any) -> tuple[np.ndarray, np.ndarray]:
    """The end of what is to be learnt is watched: it chooses the step, so it cannot judge."""
    cut = min(round(len(tokens) * (1 - params.validation_share)), len(tokens) - params.context - 1)
    if cut < params.context + 1:
        raise Problem(
            f"there are {len(tokens)} tokens to learn and to watch, needed are two contexts of "
            f"{params.context} and more",
            hint="give more text, or set a shorter context",
        )
    return tokens[:cut], tokens[cut:]


def _record(job: Any, corpus: Corpus, asked: Asked) -> dict[str, float]:
    per_byte = asked.loss / math.log(2) * asked.tokens / max(1, corpus.ask_bytes)
    figures = {"perplexity": math.exp(asked.loss), "bits_per_byte": per_byte, "loss": asked.loss}
    for name, value in figures.items():
        job.metric(name, value)
    job.metric("accuracy", asked.right / asked.tokens, n=asked.tokens)
    job.metric("tokens", len(corpus.learn))
    job.metric("vocabulary", corpus.tokenizer.size)
    return {**figures, "accuracy": asked.right / asked.tokens}


def _description(
    params: Any, corpus: Corpus, arguments: dict[str, Any], facts: dict[str, Any]
) -> Description:
    shape = cache_shape(params.context, params.width, params.heads, params.layers)
    return Description(
        architecture="generator-gpt",
        arguments=arguments,
        labels=(),
        preprocessing=None,
        training=facts,
        task=TASK,
        outputs=(Output("logits", "logits"),),
        facts={
            "tokenizer": corpus.tokenizer.to_json(),
            "context": params.context,
            "prompt_length": params.prompt_length,
        },
        inputs=(
            Input("ids", (1, params.prompt_length), "int32", "Tokens; 0 fills the end of a prompt"),
            Input("position", (1,), "int32", "Place of the first of them in the text, from 0"),
        ),
        states=(State("keys", shape), State("values", shape)),
        functions={"prompt": {"ids": [1, params.prompt_length]}, "step": {"ids": [1, 1]}},
    )


def _prompts(corpus: Corpus, params: Any) -> list[np.ndarray]:
    """Beginnings out of the held-out text, evenly spread."""
    length = min(params.prompt_length, params.context // 2)
    last = len(corpus.ask) - length
    starts = np.linspace(0, last, min(params.samples, last + 1)).round().astype(int)
    return [corpus.ask[start : start + length].astype(np.int32) for start in np.unique(starts)]


def _write_samples(job: Any, prompts: list[np.ndarray]) -> None:
    folder = job.outputs["samples"]
    folder.mkdir(parents=True, exist_ok=True)
    for number, ids in enumerate(prompts):
        filled = np.zeros((1, job.params.prompt_length), np.int32)
        filled[0, : len(ids)] = ids
        position = np.zeros(1, np.int32)
        np.savez(folder / f"{number:04d}.npz", ids=filled, position=position)


def _told(net: Any, corpus: Corpus, prompts: list[np.ndarray], params: Any) -> list[dict[str, str]]:
    """What it makes of a few beginnings, for people."""
    teller, tokenizer, found = TorchTeller(net, params.prompt_length), corpus.tokenizer, []
    for prompt in prompts[:3]:
        ways = {"greedy": greedy, "sampled": sampler(params.seed, 0.8, 40)}
        texts = {}
        for name, choose in ways.items():
            tokens, _ = generate(teller, prompt.tolist(), _TOLD_TOKENS, choose, tokenizer.end)
            texts[name] = tokenizer.decode(tokens)
        found.append({"prompt": tokenizer.decode(prompt.tolist()), **texts})
    return found
