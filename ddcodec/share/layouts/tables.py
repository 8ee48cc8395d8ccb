"""Arrays of an ``npz``, and labels that lie in a file of their own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, LimitExceeded, SourceError
from ...limits import Limits
from ...sources import npz
from ...sources.checks import shape_text
from . import torch_files

TABLES = (".npz", ".npy", ".pt", ".pth")
LABELS = ("labels", "label", "targets", "y")


def read_table(path: Path, limits: Limits = Limits()) -> NDArray[Any]:
    """Return the one array of labels in an npz, an npy or a ``torch.save``; raises InvalidFile."""
    if path.suffix.lower() == ".npz":
        keys = npz.keys_of(path)
        known = [key for key in ("soft_labels", *LABELS) if key in keys] or sorted(keys)[:1]
        if not known:
            raise InvalidFile(f"{path}: holds no array")
        return checked_array(path, known[0], limits)
    if path.suffix.lower() == ".npy":
        if path.stat().st_size > limits.decoded_bytes:
            raise InvalidFile(f"{path}: is larger than the limit")
        try:
            found: NDArray[Any] = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError):
            raise InvalidFile(f"{path}: is no array that numpy.save wrote") from None
        return found
    value = torch_files.read(path, limits)
    if not isinstance(value, np.ndarray):
        raise InvalidFile(f"{path}: holds no single tensor of labels")
    return value


def checked_array(path: Path, name: str, limits: Limits) -> NDArray[Any]:
    """Return an array of an ``npz``, the size of which was looked at first; raises InvalidFile."""
    try:
        shape, dtype = npz.shape_of(path, name)
        if math.prod(shape) * dtype.itemsize > limits.decoded_bytes:
            raise LimitExceeded(f"{path}: array '{name}' is {shape_text(shape)}, which is too much")
        return npz.array_of(path, name)
    except SourceError as error:
        raise InvalidFile(str(error)) from None
