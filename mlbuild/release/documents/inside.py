"""The model itself: inputs, outputs, what it costs, where its bytes lie, how to run it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from mlbuild.records import Json
from mlbuild.release.documents import wording
from mlbuild.release.documents.blocks import (
    Block,
    Code,
    Folded,
    Listing,
    Paragraph,
    Picture,
    Section,
    Table,
    line,
)
from mlbuild.release.documents.pictures.bars import Bar, bars
from mlbuild.release.facts import ReleasedArtifact, ReleaseFacts

_COUNTS = ("trees", "nodes", "support_vectors", "coefficients", "samples", "parameters")
_LARGEST = 15  # layers that are drawn
# The first systems that read a specification version: Core ML specification, Model.proto.
_SYSTEMS = {
    1: "iOS 11, macOS 10.13, tvOS 11, watchOS 4",
    2: "iOS 11.2, macOS 10.13.2, tvOS 11.2, watchOS 4.2",
    3: "iOS 12, macOS 10.14, tvOS 12, watchOS 5",
    4: "iOS 13, macOS 10.15, tvOS 13, watchOS 6",
    5: "iOS 14, macOS 11, tvOS 14, watchOS 7",
    6: "iOS 15, macOS 12, tvOS 15, watchOS 8",
    7: "iOS 16, macOS 13, tvOS 16, watchOS 9",
    8: "iOS 17, macOS 14, tvOS 17, watchOS 10",
    9: "iOS 18, macOS 15, tvOS 18, watchOS 11",
    10: "iOS 26, macOS 26, tvOS 26, watchOS 26",
}
_TONES = ((4, "bits-4", "up to 4 bits"), (6, "bits-6", "5 or 6 bits"), (8, "bits-8", "7 or 8 bits"))
_PLAIN = ("bits-16", "16 bits or more")


def systems(model: Mapping[str, Json]) -> str:
    """What a device must run at least."""
    version = model.get("spec_version")
    known = _SYSTEMS.get(version) if isinstance(version, int) else None
    return f"{known} or later" if known else f"specification version {version}"


def takes(model: Mapping[str, Json]) -> str:
    """The types of the inputs; of many alike, how many there are."""
    types = Counter(str(feature.get("type")) for feature in model.get("inputs") or ())
    return ", ".join(
        kind if n == 1 else f"{n} \N{MULTIPLICATION SIGN} {kind}" for kind, n in types.items()
    )


def consists(model: Mapping[str, Json]) -> str:
    """What kind of model it is, and how large in its own terms."""
    counts = [f"{wording.number(model[n])} {n.replace('_', ' ')}" for n in _COUNTS if n in model]
    inside = [consists(part) for part in model.get("models") or ()]
    told = [str(model.get("type")), *counts]
    return ", ".join(told) + (f" of {'; '.join(inside)}" if inside else "")


def interface_section(artifact: ReleasedArtifact) -> Section:
    """Inputs and outputs with their types."""
    model = artifact.model or {}
    rows = tuple(
        (line(way), line(Code(str(feature.get("name")))), line(str(feature.get("type"))))
        for way, side in (("input", "inputs"), ("output", "outputs"))
        for feature in model.get(side) or ()
    )
    return Section("Inputs and outputs", (Table(("", "name", "type"), rows),) if rows else ())


def size_section(artifact: ReleasedArtifact) -> Section:
    """Where the bytes lie, the largest layers first."""
    model = artifact.model or {}
    weights = list(_weights(model))
    if not weights:
        return Section("Size by layer", ())
    layers = by_layer(weights)
    rows = tuple(
        (line(Code(name)), line(wording.size(size)), line(how))
        for name, size, _, how in layers[:_LARGEST]
    )
    table = Table(("layer", "size", "stored as"), rows, frozenset({1}))
    folded = Folded("The largest layers", (table,))
    return Section("Size by layer", (*_sums(model), _drawn(layers), folded))


def _sums(model: Mapping[str, Json]) -> list[Block]:
    told = [f"{int(model['parameters']):,} parameters"] if "parameters" in model else []
    if "weight_bytes" in model:
        told.append(f"{wording.size(int(model['weight_bytes']))} of weights")
    if model.get("multiply_adds"):
        told.append(f"{int(model['multiply_adds']):,} multiply-adds for an answer")
    return [Paragraph(line(", ".join(told) + "."))] if told else []


def _drawn(layers: list[tuple[str, int, int, str]]) -> Picture:
    rows = [
        Bar(name, size, f"{wording.size(size)}, {how}", _tone(bits))
        for name, size, bits, how in layers[:_LARGEST]
    ]
    rest = sum(size for _, size, _, _ in layers[_LARGEST:])
    if rest:
        name = f"{len(layers) - _LARGEST} smaller layers"
        rows.append(Bar(name, rest, wording.size(rest), "rest"))
    used = {row.tone for row in rows}
    tones = [(tone, words) for _, tone, words in _TONES] + [_PLAIN]
    title = "Size of the largest layers"
    meaning = [(tone, words) for tone, words in tones if tone in used]
    return Picture(bars(title, rows, meaning), f"{title}.")


def _weights(model: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """Of the model, and of those that it is a pipeline of."""
    yield from model.get("weights") or ()
    for part in model.get("models") or ():
        yield from _weights(part)


def by_layer(weights: Sequence[Mapping[str, Json]]) -> list[tuple[str, int, int, str]]:
    """(layer, bytes, bits of its largest weight, how that is stored), the largest first.

    A weight that several layers share counts for the first of them.
    """
    seen: set[str] = set()
    found: dict[str, list[Mapping[str, Json]]] = {}
    for weight in weights:
        value = str(weight.get("value") or id(weight))
        if value not in seen:
            seen.add(value)
            found.setdefault(str(weight.get("layer", "")), []).append(weight)
    layers = []
    for layer, parts in found.items():
        largest = max(parts, key=lambda w: int(w.get("bytes") or 0))
        bits = int(largest.get("bits") or 0)
        packed = "+".join(map(str, largest.get("compression") or ())) or largest.get("dtype") or ""
        size = sum(int(w.get("bytes") or 0) for w in parts)
        layers.append((layer, size, bits, f"{packed} {bits} bits" if bits else str(packed)))
    return sorted(layers, key=lambda row: (-row[1], row[0]))


def _tone(bits: int) -> str:
    return next((tone for most, tone, _ in _TONES if 0 < bits <= most), _PLAIN[0])


def check(facts: ReleaseFacts) -> str:
    """The command that checks the release, and that it is no other one in its place."""
    asked = f"--name {facts.name} --version {facts.version}"
    return f"mlbuild verify releases/{facts.name}/v{facts.version} {asked}"


def use_section(facts: ReleaseFacts, artifact: ReleasedArtifact) -> Section:
    """How to check the release, and how to run the model with and without a Mac."""
    blocks: list[Block] = [
        Paragraph(line("Check that nobody has touched it, offline:")),
        Listing(check(facts), "sh"),
    ]
    file = artifact.path.rpartition("/")[2]
    if artifact.model is not None and file.endswith((".mlpackage", ".mlmodel")):
        blocks += [
            Paragraph(line("On any system, with mlbuild's reference runtime:")),
            Listing(_python(artifact), "python"),
            Paragraph(line("In an app:")),
            Listing(_swift(file), "swift"),
        ]
    return Section("How to use it", tuple(blocks))


def _python(artifact: ReleasedArtifact) -> str:
    model = artifact.model or {}
    given = [f for f in model.get("inputs") or () if not f.get("optional")]
    pairs = []
    for feature in given:
        value = 'Image.open("picture.jpg")' if feature.get("kind") == "image" else "..."
        pairs.append(f"{_quoted(feature.get('name'))}: {value}")
    lines = ["from PIL import Image\n"] if any("Image" in pair for pair in pairs) else []
    lines += [
        "from mlbuild.coreml import load\n",
        f"model = load({_quoted(artifact.path)})",
        f"answer = model.predict({{{', '.join(pairs)}}})",
    ]
    return "\n".join(lines).replace("\n\nfrom mlbuild", "\nfrom mlbuild")


def _quoted(text: Json) -> str:
    """A literal of Python, in the quotes that its formatters want."""
    return json.dumps(str(text), ensure_ascii=False)


def _swift(file: str) -> str:
    stem = file.rpartition(".")[0]
    kind = re.sub(r"\W", "_", stem)
    kind = f"_{kind}" if kind[:1].isdigit() else kind
    about = f"// Xcode makes the class of {' '.join(file.split())}"
    return f"{about}\nlet model = try {kind}(configuration: .init())"
