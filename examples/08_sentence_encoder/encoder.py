"""all-MiniLM-L6-v2 from its weights: a BERT of six layers, mean pooling, unit length.

Core ML gets token numbers and a mask, and gives a vector of 384 numbers for the sentence.
"""

import json
import warnings

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from wordpiece import WordPiece


class Layer(nn.Module):
    """Attention over the sentence, then a network for each token; both added and normalised."""

    def __init__(self, width, heads, inner, eps):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.attended = nn.Linear(width, width)
        self.first_norm = nn.LayerNorm(width, eps=eps)
        self.wide, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.second_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x, blocked):
        """Shapes [1, L, W] and [1, 1, 1, L] -> [1, L, W]."""
        length, width = x.shape[1], x.shape[2]
        query, key, value = (
            part(x).reshape(1, length, self.heads, width // self.heads).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5 + blocked
        mixed = (torch.softmax(scores, dim=3) @ value).transpose(1, 2).reshape(1, length, width)
        x = self.first_norm(x + self.attended(mixed))
        return self.second_norm(x + self.narrow(nn.functional.gelu(self.wide(x))))


class Encoder(nn.Module):
    """Token numbers [1, L] and mask [1, L], both int32, to a vector [1, W] of unit length."""

    def __init__(self, facts):
        super().__init__()
        width, eps = facts["hidden_size"], facts["layer_norm_eps"]
        self.words = nn.Embedding(facts["vocab_size"], width)
        self.places = nn.Parameter(torch.zeros(facts["max_position_embeddings"], width))
        self.norm = nn.LayerNorm(width, eps=eps)
        self.layers = nn.ModuleList(
            Layer(width, facts["num_attention_heads"], facts["intermediate_size"], eps)
            for _ in range(facts["num_hidden_layers"])
        )

    def forward(self, ids, mask):
        """The sentence's vector."""
        x = self.norm(self.words(ids) + self.places[: ids.shape[1]])
        there = mask.to(x.dtype)
        # Not minus infinity: float16 ends at 65504.
        blocked = (1 - there)[:, None, None, :] * -10000.0
        for layer in self.layers:
            x = layer(x, blocked)
        mean = (x * there[:, :, None]).sum(dim=1) / there.sum(dim=1, keepdim=True)
        return mean / torch.sqrt((mean * mean).sum(dim=1, keepdim=True))


NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "first_norm": "attention.output.LayerNorm",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "second_norm": "output.LayerNorm",
}


def load(folder):
    """The network with the weights of a folder as Hugging Face lays it out."""
    facts = json.loads((folder / "config.json").read_text())
    theirs = load_file(str(folder / "model.safetensors"))
    # There are no second sentences here: the first one's type is part of every place.
    places = theirs["embeddings.position_embeddings.weight"]
    ours = {
        "words.weight": theirs["embeddings.word_embeddings.weight"],
        "places": places + theirs["embeddings.token_type_embeddings.weight"][0],
    }
    for part in ("weight", "bias"):
        ours[f"norm.{part}"] = theirs[f"embeddings.LayerNorm.{part}"]
        for number in range(facts["num_hidden_layers"]):
            for our, their in NAMES.items():
                name = f"encoder.layer.{number}.{their}.{part}"
                ours[f"layers.{number}.{our}.{part}"] = theirs[name]
    net = Encoder(facts)
    net.load_state_dict(ours)
    return net.eval()


def run(job):
    """Write the network, its vocabulary, and sentences as it takes them."""
    length = job.params.length
    weights = job.inputs["weights"]
    folder = next(p.parent for p in sorted(weights.rglob("model.safetensors")))
    net = load(folder)
    pieces = WordPiece((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    sentences = job.inputs["sentences"].read_text(encoding="utf-8").splitlines()
    vectors = []
    job.outputs["samples"].mkdir(parents=True)
    for number, sentence in enumerate(sentences):
        ids, mask = (np.array([row], dtype=np.int32) for row in pieces.encode(sentence, length))
        np.savez(job.outputs["samples"] / f"{number:02}.npz", ids=ids, mask=mask)
        with torch.no_grad():
            vectors.append(net(torch.from_numpy(ids), torch.from_numpy(mask))[0])
        job.progress(number + 1, len(sentences), sentence)
    table = torch.stack(vectors)
    job.log("\n".join(nearest(sentences, table @ table.T)))
    # Sentences stand in pairs that mean the same: is each one's nearest its twin?
    found = (table @ table.T - 2 * torch.eye(len(table))).argmax(dim=1)
    right = sum(int(f) == (n ^ 1) for n, f in enumerate(found))
    job.metric("twins", right / len(sentences), n=len(sentences))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (
            torch.zeros(1, length, dtype=torch.int32),
            torch.ones(1, length, dtype=torch.int32),
        )
        torch.jit.trace(net, example).save(str(job.outputs["net"]))
    job.outputs["vocabulary"].write_bytes((folder / "vocab.txt").read_bytes())


def nearest(sentences, cosines):
    """Each sentence with the one that is most like it."""
    for number, sentence in enumerate(sentences):
        row = cosines[number].clone()
        row[number] = -1
        best = int(row.argmax())
        yield f"{float(row[best]):.2f}  {sentence}  ~  {sentences[best]}"
