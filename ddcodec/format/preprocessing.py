"""What a preprocessing in a manifest must look like."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidFile
from .fields import is_number

CODE = "DDS-E014"
MOST_SIDE = 512  # pixels of an image that is whitened: up to here all sums are exact
MOST = 2047  # of a coefficient
MOST_KERNEL = 31  # pixels a side
_FIELDS = {
    "none": {"kind"},
    "standardise": {"kind", "mean", "std"},
    "conv_whiten": {"kind", "gain", "size", "kernel"},
}


def check_preprocessing(image: dict[str, Any]) -> None:
    """Check ``image.preprocessing`` beside the image's channels and size; raises InvalidFile."""
    value, channels = image["preprocessing"], image["channels"]
    _need(isinstance(value, dict), "not an object")
    kind = value.get("kind")
    _need(isinstance(kind, str) and kind in _FIELDS, "unknown kind")
    _need(set(value) == _FIELDS[kind], "unknown or missing field")
    if kind == "standardise":
        for name in ("mean", "std"):
            _need(_are(value[name], channels, lambda v: is_number(v, -1e6, 1e6)), name)
        _need(all(v > 1e-6 for v in value["std"]), "std must be positive")
        return
    if kind == "none":
        return
    sides = (image["height"], image["width"])
    _need(all(2 <= side <= MOST_SIDE for side in sides), f"2 to {MOST_SIDE} pixels are whitened")
    _need(is_number(value["gain"], 1e-30, 1e30), "gain must be a positive number")
    size = value["size"]
    _need(type(size) is int and 1 <= size <= MOST_KERNEL and size % 2 == 1, "size")
    _need(_are(value["kernel"], (size * channels) ** 2, _is_small), "kernel")


def _are(value: Any, count: int, check: Any) -> bool:
    return isinstance(value, list) and len(value) == count and all(check(v) for v in value)


def _is_small(value: Any) -> bool:
    return type(value) is int and abs(value) <= MOST


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidFile(f"preprocessing: {message}", CODE)
