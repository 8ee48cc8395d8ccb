"""What a manifest says of one tensor: its type, and how it is quantised, coded and cut."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import LimitExceeded
from ..limits import Limits
from .values import is_hex, is_integer, need, shown

PICTURES = ("webp", "avif")  # lossy: what they hold is what their decoder makes of it
CODERS = ("raw", "zstd", "context", *PICTURES)
DTYPES = {"uint8": 1, "int32": 4, "int64": 8, "float16": 2, "float32": 4}
QUANTISERS = {"uniform": {"kind", "bits", "offset", "scale"}, "square": {"kind", "bits", "scale"}}
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
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if value is not None
        }


def parse_tensor(name: str, value: Any, limits: Limits) -> TensorSpec:
    """Check and type one entry of a manifest's ``tensors``, with its defaults filled in.

    Raises InvalidFile (DDS-E006, E008, E020), LimitExceeded for too many dimensions.
    """

    def must(condition: bool, why: str, code: str = "DDS-E006") -> None:
        need(condition, f"tensor '{name}': {why}", code)

    need(bool(NAME.fullmatch(name)), f"tensor name {shown(name)} is not allowed", "DDS-E008")
    must(isinstance(value, dict), "not an object")
    if unknown := set(value) - {"dtype", "shape", "quantiser", "coder", "chunk", "digests"}:
        must(False, f"unknown field {shown(sorted(unknown)[0])}")
    dtype, shape, coder = value.get("dtype"), value.get("shape"), value.get("coder")
    must(isinstance(dtype, str) and dtype in DTYPES, "unknown dtype")
    good = isinstance(shape, list) and all(is_integer(s) and s > 0 for s in shape)
    must(good, "shape must be positive integers")
    if not 1 <= len(shape) <= limits.dimensions:
        raise LimitExceeded(f"tensor '{name}': {len(shape)} dimensions", "DDS-E040")
    must(coder in CODERS, "unknown coder")
    chunk, digests = value.get("chunk"), value.get("digests")
    if "chunk" in value:
        good = is_integer(chunk) and 1 <= chunk <= shape[0]
        must(good, "chunk must lie between 1 and the first dimension")
    must(("digests" in value) == ("chunk" in value), "chunk and digests go together")
    if "chunk" in value:
        good = isinstance(digests, list) and len(digests) == -(-shape[0] // chunk)
        must(good, "digests must be a list with one for each chunk")
        must(all(is_hex(digest, 64) for digest in digests), "digests must be 64 hex digits each")
    quantiser = value.get("quantiser")
    if "quantiser" in value:
        must(dtype == "float32", "only float32 is quantised", "DDS-E020")
        _check_quantiser(quantiser, shape[0], must)
    if coder == "context":
        good = quantiser is not None or dtype == "uint8"
        must(good, "the coder context is for symbols of 8 bits")
        if math.prod(shape) > limits.context_symbols:
            raise LimitExceeded(
                f"tensor '{name}': {math.prod(shape)} symbols in the coder context, the limit is "
                f"{limits.context_symbols}",
                "DDS-E040",
            )
    if coder in PICTURES:
        good = dtype == "uint8" and len(shape) == 4 and shape[1] in (1, 3)
        good = good and quantiser is None and chunk is not None
        must(good, f"the coder {coder} is for chunks of uint8 (N, 1 or 3, H, W)")
    listed = None if digests is None else tuple(digests)
    return TensorSpec(dtype, tuple(shape), quantiser, coder, chunk, listed)


def _check_quantiser(value: Any, rows: int, must: Callable[[bool, str, str], None]) -> None:
    code = "DDS-E020"
    good = isinstance(value, dict) and isinstance(value.get("kind"), str)
    must(good, "quantiser must be an object with a kind", code)
    must(value["kind"] in QUANTISERS, "quantiser must be uniform or square", code)
    fields = QUANTISERS[value["kind"]]
    must(set(value) == fields, f"quantiser must have {', '.join(sorted(fields))}", code)
    good = is_integer(value["bits"]) and 1 <= value["bits"] <= 8
    must(good, "quantiser must have 1 to 8 bits", code)
    scale = value["scale"]
    if value["kind"] == "square":
        good = type(scale) in (int, float) and 1e-30 < scale < 1e30
        must(good, "scale must be positive and of a sane size", code)
        return
    offset = value["offset"]
    good = all(isinstance(v, list) and len(v) in (1, rows) for v in (offset, scale))
    must(good, "offset and scale need one value, or one for each row", code)
    good = len(offset) == len(scale) and all(type(v) in (int, float) for v in [*offset, *scale])
    must(good, "offset and scale must be numbers", code)
    good = all(1e-30 < v < 1e30 for v in scale) and all(abs(v) < 1e30 for v in offset)
    must(good, "scale must be positive and both of a sane size", code)
