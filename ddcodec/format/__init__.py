"""The ``.ddset`` format: bytes to manifest and named arrays, and back. No torch here."""

from .container import DDSetFile, Sizes, read, read_manifest, restate, to_bytes, write
from .manifest import Manifest, TensorSpec
from .payload import Storage, dequantise, quantise
from .verify import Finding, verify

__all__ = [
    "DDSetFile",
    "Finding",
    "Manifest",
    "Sizes",
    "Storage",
    "TensorSpec",
    "dequantise",
    "quantise",
    "read",
    "read_manifest",
    "restate",
    "to_bytes",
    "verify",
    "write",
]
