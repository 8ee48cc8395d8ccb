"""Plain data out of a Python pickle, as the CIFAR archives hold it, without unpickling it.

A pickle is a program, and Python's own reader runs it. This one reads its instructions with
``pickletools``, which only lists them, and follows the few that build numbers, strings, lists,
tuples, dicts and uint8 arrays. Names of classes and functions are compared, never looked up.
"""

from __future__ import annotations

import math
import pickletools
import warnings
from typing import Any

import numpy as np

ARRAYS = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
NAMES = {*ARRAYS, "numpy ndarray", "numpy dtype", "_codecs encode"}

SKIPPED = {"PROTO", "FRAME"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
# Instructions whose argument is the value.
PLAIN = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
# Python 2's byte strings: pickletools gives them as text, one character a byte.
BYTE_STRINGS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(str):
    """A class or function that the pickle names; ``numpy dtype`` for numpy.dtype."""


class _Array:
    """An array whose content is still to come, or has come."""

    content: np.ndarray | None = None


_MARK, _UINT8 = object(), object()


class _Refused(ValueError):
    """The pickle is whole, but no plain data."""


def load(data: bytes) -> Any:
    """Return the object in a pickle: plain Python objects, uint8 arrays, Python 2 text as bytes.

    Raises ValueError where the pickle is damaged or would build anything else.
    """
    reader = _Reader(budget=len(data))
    try:
        with warnings.catch_warnings():  # pickletools warns of odd escapes in damaged text
            warnings.simplefilter("ignore")
            for instruction, argument, _ in pickletools.genops(data):
                if instruction.name == "STOP":
                    return _finished(reader.stack[-1])
                reader.step(instruction.name, argument)
    except _Refused:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
        pass  # whatever a damaged program stumbles over
    raise ValueError("is damaged, or no pickle")


class _Reader:
    """The stack and memory of a pickle's machine."""

    def __init__(self, budget: int) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.budget = budget  # bytes for text, so that a short program cannot fill a memory

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        stack = self.stack
        if name in PLAIN:
            stack.append(argument)
        elif name in BYTE_STRINGS:
            stack.append(argument.encode("latin-1"))
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name in TUPLES:
            self._tuple(TUPLES[name])
        elif name in ("TUPLE", "LIST"):
            items = self._above_mark()
            stack.append(tuple(items) if name == "TUPLE" else items)
        elif name == "DICT":
            items = self._above_mark()
            stack.append({})
            self._set(items)
        elif name == "APPEND":
            self._extend([stack.pop()])
        elif name == "APPENDS":
            self._extend(self._above_mark())
        elif name == "SETITEM":
            pair = [stack.pop(), stack.pop()]
            self._set(pair[::-1])
        elif name == "SETITEMS":
            self._set(self._above_mark())
        elif name == "GLOBAL":
            stack.append(_known(argument))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_known(f"{module} {attribute}"))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(self._call(function, arguments))
        elif name == "BUILD":
            state = stack.pop()
            _build(stack[-1], state)
        elif name not in SKIPPED:
            raise _Refused(f"asks for {name}, which plain data does not need")

    def _above_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def _tuple(self, size: int) -> None:
        if len(self.stack) < size:
            raise IndexError
        start = len(self.stack) - size
        self.stack[start:] = [tuple(self.stack[start:])]

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError
        self.stack[-1].extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, bytes, int):
                raise TypeError
            target[key] = value

    def _call(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        if type(function) is not _Name or type(arguments) is not tuple:
            raise TypeError
        if function in ARRAYS:
            return _Array()
        if function == "_codecs encode" and arguments[1:] in (("latin1",), ("latin-1",)):
            self.budget -= len(arguments[0])
            if self.budget < 0:
                raise _Refused("builds more than it holds")
            return arguments[0].encode("latin-1")
        if function == "numpy dtype" and arguments[0] in ("u1", b"u1"):
            return _UINT8
        raise _Refused(f"builds a {function} that is neither text nor an array of uint8")


def _known(name: str) -> _Name:
    if name not in NAMES:
        raise _Refused(f"asks for {name[:60]!a}, which plain data does not need")
    return _Name(name)


def _build(target: Any, state: Any) -> None:
    if target is _UINT8:
        return  # its state is byte order and alignment, which single bytes have not
    if type(target) is not _Array:
        raise TypeError
    _, shape, dtype, fortran, content = state
    if dtype is not _UINT8 or type(content) is not bytes or type(shape) is not tuple:
        raise _Refused("holds an array of something else than uint8")
    if any(type(n) is not int or n < 0 for n in shape) or math.prod(shape) != len(content):
        raise _Refused("holds an array whose shape does not fit its content")
    flat = np.frombuffer(content, np.uint8)
    target.content = flat.reshape(shape, order="F" if fortran is True else "C")


def _finished(value: Any) -> Any:
    """Return the value with its arrays in place: itself, or the values of a dict."""
    if type(value) is dict:
        return {key: _array(item) for key, item in value.items()}
    return _array(value)


def _array(value: Any) -> Any:
    if value is _MARK or value is _UINT8 or type(value) is _Name:
        raise TypeError
    if type(value) is not _Array:
        return value
    if value.content is None:
        raise _Refused("holds an array without content")
    return value.content
