"""ddcodec: a distilled image-classification data set as one small, self-contained file.

``encode`` makes a ``.ddset``, ``load`` opens it as a PyTorch data set, ``info`` and ``verify``
look at it without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .codecs.registry import CODECS
from .errors import (
    CheckpointMismatch,
    DDSetError,
    InvalidFile,
    LimitExceeded,
    MissingExtra,
    OutputError,
    SourceError,
    Unsupported,
    UsageError,
)
from .methods import install
from .version import __version__ as __version__

if TYPE_CHECKING:
    from .codecs.d3m.options import D3M
    from .codecs.images.pack import pack
    from .codecs.lic.options import LIC
    from .codecs.podd.options import PoDD
    from .codecs.ppodd.options import PPoDD
    from .data.chunked import ChunkedDataset
    from .data.dataset import DistilledDataset
    from .data.opening import load
    from .encoder import encode
    from .inspection.info import info
    from .inspection.verify import verify
    from .limits import Limits

__all__ = [
    "D3M",
    "LIC",
    "CheckpointMismatch",
    "ChunkedDataset",
    "DDSetError",
    "DistilledDataset",
    "InvalidFile",
    "LimitExceeded",
    "Limits",
    "MissingExtra",
    "OutputError",
    "PPoDD",
    "PoDD",
    "SourceError",
    "Unsupported",
    "UsageError",
    "encode",
    "info",
    "load",
    "pack",
    "verify",
]

# Loaded on first use, so that ``import ddcodec``, ``info`` and ``verify`` never import torch.
_LAZY = {
    "ChunkedDataset": "data.chunked",
    "DistilledDataset": "data.dataset",
    "Limits": "limits",
    "encode": "encoder",
    "info": "inspection.info",
    "load": "data.opening",
    "pack": "codecs.images.pack",
    "verify": "inspection.verify",
}

install(CODECS)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        # The options of a codec are here under the name of their class. Python also asks for
        # modules and the like, which need not load the codecs.
        for codec in CODECS.values() if name[:1].isupper() else ():
            if codec.Options is not None and codec.Options.__name__ == name:
                return codec.Options
        raise AttributeError(f"module 'ddcodec' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
