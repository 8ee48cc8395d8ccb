"""Plain data out of a Python pickle, as the CIFAR archives hold it, without unpickling it.

A pickle is a program, and Python's own reader runs it. This one reads its instructions with
``pickletools``, which only lists them, and follows the few that build numbers, strings, lists,
tuples, dicts and arrays of numbers. Names of classes and functions are compared, never looked up.
"""

from __future__ import annotations

import math
import pickletools
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ARRAYS = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
NAMES = {*ARRAYS, "numpy ndarray", "numpy dtype", "_codecs encode"}

SCALARS = {"numpy.core.multiarray scalar", "numpy._core.multiarray scalar"}
NUMBERS = ("b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")

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


_MARK = object()


class _DType:
    """A type of numbers; its byte order comes after its name."""

    def __init__(self, name: str) -> None:
        self.dtype = np.dtype(name)


class Refused(ValueError):
    """The pickle is whole, but no plain data."""


@dataclass(frozen=True)
class Vocabulary:
    """What a pickle may name beside plain objects.

    Attributes:
        dtypes: types of numbers that arrays may have, each in ``NUMBERS``.
        builders: what stands in place of each function or class that may be named.
        persistent: called with what stands for an object outside of the pickle.
        depth: levels of containers in which arrays are looked for; lists count from 2 on.
    """

    dtypes: Collection[str] = ("u1",)
    builders: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    persistent: Callable[[Any], Any] | None = None
    depth: int = 1


def load(data: bytes, vocabulary: Vocabulary = Vocabulary()) -> Any:
    """Return the object in a pickle: plain Python objects, arrays, Python 2 text as bytes.

    Without a ``vocabulary`` arrays are uint8. Raises ValueError where the pickle is damaged or
    would build anything else.
    """
    return load_first(data, vocabulary)[0]


def load_first(data: bytes, vocabulary: Vocabulary = Vocabulary()) -> tuple[Any, int]:
    """Return what ``load`` does of the first of several pickles, and how many bytes it takes."""
    reader = _Reader(len(data), vocabulary)
    try:
        with warnings.catch_warnings():  # pickletools warns of odd escapes in damaged text
            warnings.simplefilter("ignore")
            for instruction, argument, at in pickletools.genops(data):
                if instruction.name == "STOP":
                    return _finished(reader.stack[-1], vocabulary.depth, {}), int(at or 0) + 1
                reader.step(instruction.name, argument)
    except Refused:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
        pass  # whatever a damaged program stumbles over
    raise ValueError("is damaged, or no pickle")


class _Reader:
    """The stack and memory of a pickle's machine."""

    def __init__(self, budget: int, vocabulary: Vocabulary) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.budget = budget  # bytes for text, so that a short program cannot fill a memory
        self.vocabulary = vocabulary

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
            stack.append(self._known(argument))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(self._known(f"{module} {attribute}"))
        elif name == "BINPERSID" and self.vocabulary.persistent is not None:
            stack.append(self.vocabulary.persistent(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(self._call(function, arguments))
        elif name == "BUILD":
            state = stack.pop()
            _build(stack[-1], state)
        elif name not in SKIPPED:
            raise Refused(f"asks for {name}, which plain data does not need")

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
                raise Refused("builds more than it holds")
            return arguments[0].encode("latin-1")
        if function == "numpy dtype" and _text(arguments[0]) in self.vocabulary.dtypes:
            return _DType(_text(arguments[0]))
        if function in SCALARS and len(self.vocabulary.dtypes) > 1:
            kind, content = arguments
            return np.frombuffer(content, kind.dtype, 1)[0].item()
        if function in self.vocabulary.builders:
            return self.vocabulary.builders[function](*arguments)
        kinds = "uint8" if len(self.vocabulary.dtypes) == 1 else "numbers"
        raise Refused(f"builds a {function} that is neither text nor an array of {kinds}")

    def _known(self, name: str) -> _Name:
        scalar = name in SCALARS and len(self.vocabulary.dtypes) > 1
        if name not in NAMES and name not in self.vocabulary.builders and not scalar:
            raise Refused(f"asks for {name[:60]!a}, which plain data does not need")
        return _Name(name)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _build(target: Any, state: Any) -> None:
    if type(target) is _DType:
        # Its state begins with a version and the byte order; single bytes have none.
        order: Any = _text(state[1])
        target.dtype = target.dtype.newbyteorder(order)
        return
    if type(target) is not _Array:
        raise TypeError
    _, shape, kind, fortran, content = state
    if type(kind) is not _DType or type(content) is not bytes or type(shape) is not tuple:
        raise Refused("holds an array of something else than numbers")
    size = math.prod(shape) * kind.dtype.itemsize
    if any(type(n) is not int or n < 0 for n in shape) or size != len(content):
        raise Refused("holds an array whose shape does not fit its content")
    flat = np.frombuffer(content, kind.dtype)
    target.content = flat.reshape(shape, order="F" if fortran is True else "C")


def _finished(value: Any, depth: int, done: dict[int, Any]) -> Any:
    """Return the value with its arrays in place, down to ``depth`` levels of containers.

    ``done`` has what was finished, by identity: a short pickle may hold one list many times.
    """
    if id(value) in done:
        return done[id(value)]
    if depth and type(value) is dict:
        found: Any = {key: _finished(item, depth - 1, done) for key, item in value.items()}
    elif depth > 1 and type(value) in (list, tuple):
        found = [_finished(item, depth - 1, done) for item in value]
    else:
        return _array(value)
    done[id(value)] = found
    return found


def _array(value: Any) -> Any:
    if value is _MARK or type(value) in (_Name, _DType):
        raise TypeError
    if type(value) is not _Array:
        return value
    if value.content is None:
        raise Refused("holds an array without content")
    return value.content
