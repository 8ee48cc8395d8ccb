"""What class orders are made from: sources of flat shades, distances between classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@dataclass(frozen=True)
class Images:
    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class InMemory:
    """The part of a source that ordering looks at."""

    name: str
    classes: tuple[str, ...]
    train: Images


def shades(levels: list[int], names: tuple[str, ...] | None = None) -> Any:
    """Return a source of flat grey images, one shade a class."""
    images = np.repeat(np.uint8(levels), 16).reshape(-1, 4, 4, 1)
    names = names or tuple(f"c{i}" for i in range(len(levels)))
    return InMemory("shades", names, Images(images, np.arange(len(levels))))


@st.composite
def distances(draw: st.DrawFn) -> np.ndarray:
    n = draw(st.integers(1, 14))
    half = draw(arrays(np.int64, (n, n), elements=st.integers(1, 5)))
    return np.asarray((half + half.T) * (1 - np.eye(n)), np.float64)
