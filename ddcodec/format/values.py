"""Checks of the JSON values of a manifest, and how a value is shown in a message."""

from __future__ import annotations

import re
from typing import Any

from ..errors import InvalidFile

MAX_SIDE = 1 << 20
TEXT = 200  # characters of a name
LARGEST = 2**53  # integers up to here are exact in every JSON reader
_WEIGHTS = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9_.-]*/){0,3}[A-Za-z0-9_-][A-Za-z0-9_.-]*")
# Controls and the marks that turn writing around could make a terminal show what is not there.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def need(condition: bool, message: str, code: str = "DDS-E010") -> None:
    """Raise InvalidFile with ``code`` unless ``condition`` holds."""
    if not condition:
        raise InvalidFile(message, code)


def shown(text: str) -> str:
    """Return a name from a file as it may stand in a message: short, quoted, without controls."""
    return ascii(text if len(text) <= 60 else text[:60] + "...")


def is_integer(value: Any) -> bool:
    """Say whether a value is an integer; true and false are none."""
    return type(value) is int


def is_count(value: Any) -> bool:
    """Say whether a value is a positive integer of a sane size."""
    return type(value) is int and 0 < value <= MAX_SIDE


def is_pair(value: Any) -> bool:
    """Say whether a value is a list of two positive integers."""
    return isinstance(value, list) and len(value) == 2 and all(is_count(v) for v in value)


def is_number(value: Any, low: float, high: float) -> bool:
    """Say whether a value is a number (no bool) in ``low``..``high``."""
    return type(value) in (int, float) and low <= value <= high


def is_hex(value: Any, length: int) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(rf"[0-9a-f]{{{length}}}", value))


def is_text(value: Any, longest: int = TEXT) -> bool:
    """Say whether a value is a string of 1 to ``longest`` characters that may be shown as it is."""
    return isinstance(value, str) and 0 < len(value) <= longest and not _HIDDEN.search(value)


def is_weights(value: Any) -> bool:
    """Say whether a value may be the path of a weights file within a model's folder."""
    return (
        is_text(value)
        and value.endswith(".safetensors")
        and ".." not in value
        and bool(_WEIGHTS.fullmatch(value))
    )
