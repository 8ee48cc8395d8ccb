"""What differs between two files: manifest fields, and tensors with their largest error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..format.container import DDSetFile

ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """One thing in which two files differ.

    Attributes:
        where: path of a manifest field (``recipe.steps``), or ``tensor NAME``.
        a, b: the two values; for tensors dtype and shape, or what share of values differs.
        largest: for tensors of one shape, the largest absolute difference, else None.
    """

    where: str
    a: Any
    b: Any
    largest: float | None = None


def compare_files(a: DDSetFile, b: DDSetFile) -> list[Difference]:
    """Return the differences of two files; empty where they hold the same.

    How the same values are coded in bytes does not count, nor do the digests, which follow from
    the rest.
    """
    fields = [file.manifest.as_json() for file in (a, b)]
    for field in fields:
        del field["content_digest"], field["data_digest"]
    return [*_fields("", *fields), *_tensors(a.arrays, b.arrays)]


def _fields(where: str, a: Any, b: Any) -> list[Difference]:
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for name in sorted({*a, *b}):
            path = f"{where}.{name}" if where else name
            out += _fields(path, a.get(name, ABSENT), b.get(name, ABSENT))
        return out
    same = type(a) is type(b) and a == b
    return [] if same else [Difference(where, a, b)]


def _tensors(a: dict[str, NDArray[Any]], b: dict[str, NDArray[Any]]) -> list[Difference]:
    out = []
    for name in sorted({*a, *b}):
        x, y = a.get(name), b.get(name)
        where = f"tensor {name}"
        if x is None or y is None or x.shape != y.shape or x.dtype != y.dtype:
            out.append(Difference(where, _kind(x), _kind(y)))
        elif x.tobytes() != y.tobytes():
            gap = np.abs(x.astype(np.float64) - y.astype(np.float64))
            share = f"{100 * float((gap > 0).mean()):.3g} % of values differ"
            out.append(Difference(where, _kind(x), share, float(gap.max())))
    return out


def _kind(array: NDArray[Any] | None) -> str:
    if array is None:
        return ABSENT
    return f"{array.dtype} {'x'.join(map(str, array.shape))}"
