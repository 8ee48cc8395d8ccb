"""ddcodec: a distilled image-classification data set as one small, self-contained file.

``encode`` makes a ``.ddset``, ``load`` opens it as a PyTorch data set, ``info`` and ``verify``
look at it without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from .codecs.d3m.params import D3MOptions
    from .codecs.images.pack import pack
    from .codecs.lic.params import LICOptions
    from .data.chunked import ChunkedDataset
    from .data.dataset import DistilledDataset, load
    from .encoder import encode
    from .inspection.info import info
    from .inspection.verify import verify
    from .limits import Limits

__version__ = "0.1.0"

__all__ = [
    "CheckpointMismatch",
    "ChunkedDataset",
    "D3MOptions",
    "DDSetError",
    "DistilledDataset",
    "InvalidFile",
    "LICOptions",
    "LimitExceeded",
    "Limits",
    "MissingExtra",
    "OutputError",
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
    "ChunkedDataset": "chunked",
    "DistilledDataset": "dataset",
    "D3MOptions": "codecs.d3m.params",
    "LICOptions": "codecs.lic.params",
    "load": "dataset",
    "encode": "encoder",
    "pack": "codecs.pack",
    "verify": "format.verify",
    "Limits": "limits",
    "info": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ddcodec' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
