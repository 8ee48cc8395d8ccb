"""What a manifest says of one tensor: its type, and how it is quantised, coded and cut."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidFile, LimitExceeded
from ..limits import Limits
from .strict_json import is_hex, is_integer, shown

PICTURES = ("webp", "avif")  # lossy: what they hold is what their decoder makes of it
CODERS = ("raw", "zstd", "context", *PICTURES)
DTYPES = {"uint8": 1, "int32": 4, "int64": 8, "float16": 2, "float32": 4}
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class TensorSpec:
    """What one logical tensor decodes to, and how it is stored.

    Attributes:
        dtype, shape: of the decoded array.
        quantiser: None, or {kind, bits, ...} (see ``quantise``).
        coder: raw, zstd, context, webp or avif.
        chunk: rows of axis 0 in a chunk; None stores the tensor in one piece.
        digests: SHA-256 in hex of the decoded bytes (little-endian, C order) of every chunk, of
            its stored bytes where the coder is lossy, so that chunks can be checked one by one;
            None for a tensor in one piece.
    """

    dtype: str
    shape: tuple[int, ...]
    quantiser: dict[str, Any] | None
    coder: str
    chunk: int | None = None
    digests: tuple[str, ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object; absent fields are left out."""
        out: dict[str, Any] = {
            "coder": self.coder,
            "dtype": self.dtype,
            "shape": list(self.shape),
        }
        if self.quantiser is not None:
            out["quantiser"] = self.quantiser
        if self.chunk is not None:
            out["chunk"] = self.chunk
        if self.digests is not None:
            out["digests"] = list(self.digests)
        return out


def parse_tensor(name: str, value: Any, limits: Limits) -> TensorSpec:
    """Check and type one entry of a manifest's ``tensors``, with its defaults filled in.

    Raises InvalidFile (DDS-E006, E008, E020), LimitExceeded for too many dimensions.
    """

    def fail(why: str, code: str = "DDS-E006") -> InvalidFile:
        return InvalidFile(f"tensor '{name}': {why}", code)

    if not NAME.fullmatch(name):
        raise InvalidFile(f"tensor name {shown(name)} is not allowed", "DDS-E008")
    if not isinstance(value, dict):
        raise fail("not an object")
    if unknown := set(value) - {"dtype", "shape", "quantiser", "coder", "chunk", "digests"}:
        raise fail(f"unknown field {shown(sorted(unknown)[0])}")
    dtype, shape = value.get("dtype"), value.get("shape")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise fail("unknown dtype")
    if not isinstance(shape, list) or not all(is_integer(s) and s > 0 for s in shape):
        raise fail("shape must be positive integers")
    if not 1 <= len(shape) <= limits.dimensions:
        raise LimitExceeded(f"tensor '{name}': {len(shape)} dimensions", "DDS-E040")
    if value.get("coder") not in CODERS:
        raise fail("unknown coder")
    chunk = value.get("chunk")
    if "chunk" in value and not (type(chunk) is int and 1 <= chunk <= shape[0]):
        raise fail("chunk must lie between 1 and the first dimension")
    digests = value.get("digests")
    if ("digests" in value) != ("chunk" in value):
        raise fail("chunk and digests go together")
    if digests is not None:
        assert chunk is not None
        count = -(-shape[0] // chunk)
        if not isinstance(digests, list) or len(digests) != count:
            raise fail("digests must be a list with one for each chunk")
        if not all(is_hex(digest, 64) for digest in digests):
            raise fail("digests must be 64 hex digits each")
    quantiser = value.get("quantiser")
    if "quantiser" in value:
        if dtype != "float32":
            raise fail("only float32 is quantised", "DDS-E020")
        _check_quantiser(quantiser, shape[0], fail)
    if value["coder"] == "context":
        if quantiser is None and dtype != "uint8":
            raise fail("the coder context is for symbols of 8 bits")
        if math.prod(shape) > limits.context_symbols:
            raise LimitExceeded(
                f"tensor '{name}': {math.prod(shape)} symbols in the coder context, the limit is "
                f"{limits.context_symbols}",
                "DDS-E040",
            )
    if value["coder"] in PICTURES:
        plain = dtype == "uint8" and len(shape) == 4 and shape[1] in (1, 3)
        if not plain or quantiser is not None or chunk is None:
            raise fail(f"the coder {value['coder']} is for chunks of uint8 (N, 1 or 3, H, W)")
    return TensorSpec(
        dtype,
        tuple(shape),
        quantiser,
        value["coder"],
        chunk,
        None if digests is None else tuple(digests),
    )


def _check_quantiser(value: Any, rows: int, fail: Any) -> None:
    code = "DDS-E020"
    kinds = {"uniform": {"kind", "bits", "offset", "scale"}, "square": {"kind", "bits", "scale"}}
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise fail("quantiser must be an object with a kind", code)
    if value["kind"] not in kinds:
        raise fail("quantiser must be uniform or square", code)
    fields = kinds[value["kind"]]
    if set(value) != fields:
        raise fail(f"quantiser must have {', '.join(sorted(fields))}", code)
    if not (is_integer(value["bits"]) and 1 <= value["bits"] <= 8):
        raise fail("quantiser must have 1 to 8 bits", code)
    if value["kind"] == "square":
        if type(value["scale"]) not in (int, float) or not 1e-30 < value["scale"] < 1e30:
            raise fail("scale must be positive and of a sane size", code)
        return
    offset, scale = value["offset"], value["scale"]
    if not all(isinstance(v, list) and len(v) in (1, rows) for v in (offset, scale)):
        raise fail("offset and scale need one value, or one for each row", code)
    if len(offset) != len(scale) or not all(type(v) in (int, float) for v in [*offset, *scale]):
        raise fail("offset and scale must be numbers", code)
    if not all(1e-30 < v < 1e30 for v in scale) or not all(abs(v) < 1e30 for v in offset):
        raise fail("scale must be positive and both of a sane size", code)
