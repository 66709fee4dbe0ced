"""Text to token numbers as BERT (uncased) does it.

Source: Devlin et al., BERT (2018), and Wu et al., Google's NMT system (2016), section 4.1.
"""

import unicodedata


class WordPiece:
    """Words become the longest pieces that the vocabulary holds."""

    def __init__(self, vocabulary):
        self.numbers = {piece: number for number, piece in enumerate(vocabulary)}

    def encode(self, text, length):
        """Token numbers and mask, both filled up with zeros to ``length``."""
        pieces = [p for word in words(text) for p in self.pieces(word)]
        ids = [self.numbers[p] for p in ["[CLS]", *pieces[: length - 2], "[SEP]"]]
        empty = [0] * (length - len(ids))
        return ids + empty, [1] * len(ids) + empty

    def pieces(self, word):
        """The longest piece in front, again and again; [UNK] where there is none."""
        if len(word) > 100:
            return ["[UNK]"]
        found, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if mark + word[start:e] in self.numbers), None)
            if end is None:
                return ["[UNK]"]
            found.append(mark + word[start:end])
            start = end
        return found


def words(text):
    """Lower case without accents; punctuation and Chinese characters stand alone."""
    plain = unicodedata.normalize("NFD", text.lower())
    spaced = []
    for char in plain:
        kind = unicodedata.category(char)
        if kind == "Mn" or (kind.startswith("C") and char not in "\t\n\r") or char == "\ufffd":
            continue
        spaced.append(f" {char} " if alone(char, kind) else char)
    return "".join(spaced).split()


def alone(char, kind):
    """Whether a character is a word of its own."""
    code = ord(char)
    sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    chinese = 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0xF900 <= code <= 0xFAFF
    return sign or kind.startswith("P") or chinese or 0x20000 <= code <= 0x2FA1F
