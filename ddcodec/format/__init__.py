"""The ``.ddset`` format: bytes to manifest and named arrays, and back.

It knows no method (``ddcodec.methods`` says which a file may name), loads no torch, and may import
``runtime``, ``errors``, ``limits`` and ``methods``.
"""

from .chunks import ChunkReader
from .container import DDSetFile, read, read_manifest, read_named, restate, to_bytes, write
from .header import Sizes
from .manifest import Manifest
from .payload import Storage
from .quantise import dequantise, quantise
from .tensors import TensorSpec

__all__ = [
    "ChunkReader",
    "DDSetFile",
    "Manifest",
    "Sizes",
    "Storage",
    "TensorSpec",
    "dequantise",
    "quantise",
    "read",
    "read_manifest",
    "read_named",
    "restate",
    "to_bytes",
    "write",
]
