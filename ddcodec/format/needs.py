"""What rules are written with: a condition, its message, and the values that are counts."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidFile

MAX_SIDE = 1 << 20


def need(condition: bool, message: str, code: str = "DDS-E010") -> None:
    """Raise InvalidFile with ``code`` unless ``condition`` holds."""
    if not condition:
        raise InvalidFile(message, code)


def is_count(value: Any) -> bool:
    """Say whether a JSON value is a positive integer of a sane size."""
    return type(value) is int and 0 < value <= MAX_SIDE


def is_pair(value: Any) -> bool:
    """Say whether a JSON value is a list of two positive integers."""
    return isinstance(value, list) and len(value) == 2 and all(is_count(v) for v in value)
