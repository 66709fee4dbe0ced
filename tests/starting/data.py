"""Tiny data of every form, as a user may have them lying about."""

from __future__ import annotations

import json
import math
import struct
import wave
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path


def picture(path: Path, shade: int = 100, side: int = 8) -> Path:
    """A grey PNG, each one another."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    rows = b"".join(b"\0" + bytes((shade + x * y) % 256 for x in range(side)) for y in range(side))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


def sound(path: Path, pitch: float = 440, seconds: float = 0.5, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        count = round(seconds * rate)
        words = [round(9000 * math.sin(6.283 * pitch * n / rate)) for n in range(count)]
        file.writeframes(struct.pack(f"<{count}h", *words))
    return path


def arrays(path: Path, held: dict[str, tuple[str, Sequence[int], bytes]]) -> Path:
    """An `.npz`, written without numpy: name -> type, shape, bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, (dtype, shape, data) in held.items():
            facts = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
            header = facts.ljust(117) + "\n"
            start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
            archive.writestr(f"{name}.npy", start + header.encode() + data)
    return path


def classes(root: Path) -> Path:
    for name in ("cat", "dog", "emu"):
        for number in range(4):
            picture(root / name / f"{number}.png", shade=number * 9 + len(name))
    return root


def annotated(root: Path) -> Path:
    boxes = [
        {"image": picture(root / f"{n}.png", n).name, "annotations": [
            {"label": "ball", "coordinates": {"x": 4, "y": 4, "width": 3, "height": 3}}]}
        for n in range(3)
    ]  # fmt: skip
    (root / "annotations.json").write_text(json.dumps(boxes))
    return root


def coco(root: Path) -> Path:
    picture(root / "a.png")
    held = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []}
    (root / "instances.json").write_text(json.dumps(held))
    return root


def masks(root: Path) -> Path:
    for number in range(3):
        picture(root / "images" / f"{number}.png", number)
        picture(root / "masks" / f"{number}.png", 0)
    return root


def sounds(root: Path) -> Path:
    for name, pitch in (("high", 880), ("low", 220)):
        for number in range(4):
            sound(root / name / f"{number}.wav", pitch + number)
    return root


def texts(root: Path) -> Path:
    for label in ("good", "bad"):
        for number in range(3):
            file = root / label / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"this is {label} number {number}\n")
    return root


def text_table(path: Path) -> Path:
    rows = [f"a message about thing number {n},{'yes' if n % 2 else 'no'}" for n in range(12)]
    return _text(path, "\n".join(["message,wanted", *rows]))


def table(path: Path) -> Path:
    rows = [
        f"{n},{n * 0.5},{'left' if n % 3 else ''},{'odd' if n % 2 else 'even'}" for n in range(9)
    ]
    return _text(path, "\n".join(["id,length,side,class", *rows]))


def quantities(path: Path) -> Path:
    return _text(path, "\n".join(["a,b,price", *(f"{n},{n % 4},{n * 1.5}" for n in range(30))]))


def headless(path: Path) -> Path:
    return _text(path, "\n".join(f"{n},{n * 2},{n % 2}" for n in range(20)))


def session_table(path: Path) -> Path:
    rows = [f"{n // 20},{n * 0.1},{n * 0.2},{'run' if n < 40 else 'walk'}" for n in range(80)]
    return _text(path, "\n".join(["session,x,y,label", *rows]))


def pixel_rows(path: Path) -> Path:
    rows = [",".join([*(str((n * p) % 256) for p in range(64)), str(n % 3)]) for n in range(12)]
    return _text(path, "\n".join(rows))


def pixel_arrays(path: Path) -> Path:
    shape = (6, 8, 8)
    return arrays(path, {"x": ("|u1", shape, bytes(384)), "y": ("<i8", (6,), bytes(48))})


def sessions(path: Path) -> Path:
    shape = (4, 60, 3)
    data = struct.pack("<720f", *(math.sin(n) for n in range(720)))
    return arrays(path, {"values": ("<f4", shape, data), "labels": ("<i8", (4,), bytes(32))})


def strokes(path: Path) -> Path:
    line = json.dumps({"word": "line", "drawing": [[[0, 9], [0, 9]]]})
    return _text(path, f"{line}\n{line}")


def plain(path: Path) -> Path:
    return _text(path, "Once upon a time there was a text.\n" * 40)


def flat(root: Path) -> Path:
    for number in range(3):
        picture(root / f"{number}.png", number)
    return root


# Name -> how it is made, where, and the task that is inferred from it.
FORMS: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "classes": (classes, "photos", "image-classification"),
    "pixel-rows": (pixel_rows, "digits.csv", "image-classification"),
    "pixel-arrays": (pixel_arrays, "digits.npz", "image-classification"),
    "annotated": (annotated, "balls", "object-detection"),
    "coco": (coco, "things", "object-detection"),
    "masks": (masks, "roads", "segmentation"),
    "sounds": (sounds, "calls", "sound"),
    "texts": (texts, "opinions", "text"),
    "text-table": (text_table, "messages.csv", "text"),
    "table": (table, "things.csv", "tabular"),
    "quantities": (quantities, "prices.csv", "tabular"),
    "headless": (headless, "plain.csv", "tabular"),
    "session-table": (session_table, "watch.csv", "activity"),
    "sessions": (sessions, "watch.npz", "activity"),
    "strokes": (strokes, "lines.ndjson", "drawing"),
    "plain": (plain, "tale.txt", "text-generation"),
    "flat": (flat, "views", "style-transfer"),
}


def _text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    return path
