"""The poster of a file: pixels as they are, pixels that are expanded, or coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...format.manifest import Manifest
from .expand import expanded
from .transform import synthesised

Arrays = Mapping[str, NDArray[Any]]


def poster_size(manifest: Manifest) -> tuple[int, int]:
    """Return height and width of the poster that patches are cut from, of a file that is valid."""
    params = manifest.codec["params"]
    if "transform" in params:
        height, width = params["transform"]["size"]
    else:
        height, width = params.get("expanded", manifest.tensors["poster"].shape[1:])
    return height, width


def stored_pixels(manifest: Manifest, arrays: Arrays) -> NDArray[np.float32]:
    """Return the pixels that a file stores, float32 (C, h, w), before any expansion."""
    params = manifest.codec["params"]
    if "transform" in params:
        return synthesised(arrays["poster"], poster_size(manifest), params["transform"]["step"])
    return np.ascontiguousarray(arrays["poster"], np.float32)


def poster_of(manifest: Manifest, arrays: Arrays) -> NDArray[np.float32]:
    """Return the poster that patches are cut from, float32 (C, H, W), of a file that is valid."""
    return expanded(stored_pixels(manifest, arrays), poster_size(manifest))
