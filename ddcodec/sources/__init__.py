"""Real data in: ``load`` turns a name or a path into a ``Source``.

It may import ``format``, ``errors`` and ``limits``, and loads no torch.
"""

from .again import find_again, open_for, remember
from .base import Source
from .layouts import load
from .named import names
from .objects import split_of
from .split import ByClass, Split

__all__ = [
    "ByClass",
    "Source",
    "Split",
    "find_again",
    "load",
    "names",
    "open_for",
    "remember",
    "split_of",
]
