"""The tokenizer of a prior of one's own: letters, and the words that captions are made of.

It names no class. The names of classes are spelled with letters, so another data set's names fit as
well, and a class is one token only after textual inversion.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = ("photo", "of", "collage", "negative")
LENGTH = 40  # tokens of a prompt
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"


def symbols() -> list[str]:
    """Return the 256 characters that stand for bytes in byte-level BPE, the printable ones first.

    Printable Latin-1 stands for itself, other bytes for the characters from U+0100 on (Radford et
    al., 2019).
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(other))]


def merges(words: tuple[str, ...] = WORDS) -> list[tuple[str, str]]:
    """Return the merges that make one token of each word: from its end, letter by letter.

    From the end, so that other words are touched at most where they end alike.
    """
    found: dict[tuple[str, str], None] = {}
    for word in words:
        tail = word[-1] + WORD_END
        for letter in reversed(word[:-1]):
            found[letter, tail] = None
            tail = letter + tail
    return list(found)


def vocabulary() -> dict[str, int]:
    """Return every token with its number."""
    letters = symbols()
    tokens = letters + [letter + WORD_END for letter in letters]
    tokens += ["".join(pair) for pair in merges()]
    tokens += [BEGIN, END]
    return {token: number for number, token in enumerate(tokens)}


def write(folder: Path) -> None:
    """Write ``vocab.json``, ``merges.txt`` and the settings of a CLIPTokenizer into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(
        json.dumps(vocabulary(), ensure_ascii=False), encoding="utf-8"
    )
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges())]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings: dict[str, Any] = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LENGTH,
        "bos_token": BEGIN,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
