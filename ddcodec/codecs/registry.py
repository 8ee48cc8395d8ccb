"""The closed list of codecs. A file can name one of them; it can never name code to load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import Unsupported

if TYPE_CHECKING:
    from .base import Codec

# Name in files -> module whose CODEC it is, imported when it is first asked for. A new method is
# a folder beside these and a line here.
MODULES = {
    "podd": "ddcodec.codecs.podd.codec",
    "ppodd": "ddcodec.codecs.ppodd.codec",
    "images": "ddcodec.codecs.images.codec",
    "lic": "ddcodec.codecs.lic.codec",
    "d3m": "ddcodec.codecs.d3m.codec",
}


class Registry(Mapping[str, "Codec"]):
    """The codecs by name, each loaded at its first use; none of them imports torch by itself."""

    def __getitem__(self, name: str) -> Codec:
        codec: Codec = import_module(MODULES[name]).CODEC
        return codec

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


CODECS = Registry()


def encoder(name: str) -> Codec:
    """Return a codec that encodes; raises Unsupported for any other name, naming those."""
    names = [known for known in CODECS if CODECS[known].Options is not None]
    if name not in names:
        raise Unsupported(f"unknown codec '{name}'; this version encodes: {', '.join(names)}")
    return CODECS[name]
