"""Arrays and numbers as NumPy and Python have them, from what callers hold; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def array_of(value: Any) -> NDArray[Any]:
    """Return an array, a tensor or nested sequences as an array, without a copy where possible.

    A tensor may be on any device and may require grad; floats of less than 32 bits become float32.
    Raises ValueError or TypeError for what is no array.
    """
    if is_tensor(value):
        value = value.detach()
        if value.is_floating_point() and value.dtype.itemsize < 4:
            value = value.float()
        value = value.numpy(force=True)
    return np.asarray(value)


def is_array(value: Any) -> bool:
    """Say whether a value is an array or a tensor."""
    return isinstance(value, np.ndarray) or is_tensor(value)


def is_tensor(value: Any) -> bool:
    """Say whether a value is a tensor of torch, which need not be loaded."""
    return hasattr(value, "detach") and hasattr(value, "is_floating_point")


def plain(value: Any) -> Any:
    """Return numbers, arrays and tensors within mappings and sequences as JSON has them."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return array_of(value).tolist() if is_array(value) or isinstance(value, np.generic) else value
