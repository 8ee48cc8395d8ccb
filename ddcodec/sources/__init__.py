"""Real data in: ``load`` turns a name or a path into a ``Source``.

It may import ``format``, ``errors`` and ``limits``, and loads no torch.
"""

from .base import ByClass, Source, Split
from .layouts import load
from .named import names

__all__ = ["ByClass", "Source", "Split", "load", "names"]
