"""Arguments of the library and options of the codecs: one check of type, range and finiteness.

Numbers of numpy, and arrays and tensors of one number, are taken for what they are. Messages name
the argument in backticks, as Python does; the command line puts its flag there.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .arrays import is_tensor

Pair = tuple[int, int]


def whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Return a whole number in ``least``..``most``; raises UsageError for anything else."""
    found: int = argument(name, value, int, least=least, most=most)
    return found


def real(
    name: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return a finite number in ``least``..``most``, and more than ``above``, less than ``below``.

    Raises UsageError for anything else.
    """
    found: float = argument(name, value, float, least=least, most=most)
    if above is not None and not found > above:
        raise UsageError(f"`{name}` must be more than {above:g}, got {found:g}")
    if below is not None and not found < below:
        raise UsageError(f"`{name}` must be less than {below:g}, got {found:g}")
    return found


def truth(name: str, value: Any) -> bool:
    """Return True or False; raises UsageError for anything else."""
    found: bool = argument(name, value, bool)
    return found


def text(name: str, value: Any, choices: Sequence[str] = ()) -> str:
    """Return text, one of ``choices`` where there are such; raises UsageError for anything else."""
    found: str = argument(name, value, str, choices=choices)
    return found


def settle(record: Any, /, **checked: Any) -> None:
    """Put what was checked into the fields of a frozen dataclass, from its ``__post_init__``."""
    for name, value in checked.items():
        object.__setattr__(record, name, value)


def argument(
    name: str,
    value: Any,
    wanted: Any,
    *,
    choices: Sequence[Any] = (),
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """Return a value as ``wanted``: int, float, bool, str, Path or Pair.

    Raises UsageError where it is something else, none of ``choices``, or outside ``least``..
    ``most``.
    """
    try:
        value = _CONVERT[wanted](value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise UsageError(f"`{name}` must be {_WORDS[wanted]}, got {_shown(value)}") from None
    if choices and value not in choices:
        words = ", ".join(map(str, choices))
        raise UsageError(f"`{name}` must be one of {words}, got {_shown(value)}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_range(name, value, least, most)
    return value


def _check_range(name: str, value: float, low: float | None, high: float | None) -> None:
    if (low is None or value >= low) and (high is None or value <= high):
        return
    got = _number(value)
    if low is not None and high is not None:
        raise UsageError(f"`{name}` must be from {_number(low)} to {_number(high)}, got {got}")
    bound = f"at least {_number(low)}" if low is not None else f"at most {_number(high)}"
    raise UsageError(f"`{name}` must be {bound}, got {got}")


def _number(value: float | None) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _shown(value: Any) -> str:
    """Return a value on one line; an array of many numbers says little but its kind."""
    said = " ".join(repr(value).split())
    return said if len(said) <= 100 else type(value).__name__


def _whole(value: Any) -> int:
    if isinstance(value, (bool, str)):
        raise TypeError
    return operator.index(value)


def _real(value: Any) -> float:
    value = value.detach() if is_tensor(value) else value
    if isinstance(value, (bool, str, bytes)) or not math.isfinite(number := float(value)):
        raise TypeError
    return number


def _truth(value: Any) -> bool:
    # Others have truths of their own; the word "False" and the number 2 would count as true.
    found = value.item() if hasattr(value, "item") else value
    if not isinstance(found, bool):
        raise TypeError
    return found


def _text(value: Any) -> str:
    said = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(said, str):
        raise TypeError
    return said


def _pair(value: Any) -> Pair:
    x, y = (_whole(each) for each in value)
    if min(x, y) < 1:
        raise ValueError
    return x, y


_CONVERT: dict[Any, Callable[[Any], Any]] = {
    int: _whole,
    float: _real,
    bool: _truth,
    str: _text,
    Path: lambda value: Path(os.fspath(value)),
    Pair: _pair,
}
_WORDS = {
    int: "a whole number",
    float: "a finite number",
    bool: "True or False",
    str: "text",
    Path: "a path",
    Pair: "a pair of whole numbers, both at least 1",
}
