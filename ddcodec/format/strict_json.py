"""JSON as the format allows it: one canonical spelling, no duplicates, no surprises."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NoReturn

from ..errors import InvalidFile
from .values import LARGEST, shown

_BRACKET_OR_STRING = re.compile(rb'[\[{}\]]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def dumps(value: Any) -> str:
    """Return the canonical text: sorted keys, no white space, UTF-8 characters as they are."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def loads(data: bytes, nesting: int) -> Any:
    """Parse strictly; raises InvalidFile (DDS-E003) for anything but plain, finite JSON."""
    _check_depth(data, nesting)
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _invalid(str(error)) from None
    try:
        text.encode("utf-8")
        dumps(value).encode("utf-8")  # an escaped lone surrogate has no UTF-8 form
    except UnicodeEncodeError:
        raise _invalid("a lone surrogate is not text") from None
    return value


def _check_depth(data: bytes, nesting: int) -> None:
    # Before json.loads, which recurses. A string is matched whole, so its brackets do not count.
    depth = 0
    for found in _BRACKET_OR_STRING.finditer(data):
        first = data[found.start()]
        if first in b"[{":
            depth += 1
            if depth > nesting:
                raise _invalid(f"nested deeper than {nesting} levels")
        elif first in b"]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        [(key, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {shown(key)} stands twice")
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > LARGEST:
        raise ValueError("an integer is beyond 2^53")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number is beyond the range of float64")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _invalid(why: str) -> InvalidFile:
    return InvalidFile(f"header: not strict JSON: {why}", "DDS-E003")
