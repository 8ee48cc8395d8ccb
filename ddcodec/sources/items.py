"""One item of a program's data set: whatever holds its image to uint8, whatever its class to int.

No library is imported for it: what counts is that there is an image and a class.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import SourceError, one_line
from ..runtime.arrays import array_of, is_tensor
from .images import pixels_of

IMAGE_KEYS = ("image", "img", "pixel_values", "x")
LABEL_KEYS = ("label", "fine_label", "labels", "target", "y")
CLOSE = 1e-6  # beyond 0 and 1, where a float was computed and not divided


def pair(item: Any, keys: tuple[str, str], where: str) -> tuple[Any, Any]:
    """Return the image and the class of an item, (image, class, ...) or a row of columns.

    ``keys`` are the columns of both where they are known; a transform may have renamed them.
    Raises SourceError, beginning with ``where``, for anything else.
    """
    if isinstance(item, Mapping):
        image, label = (
            key if key in item else usual(item, names)
            for key, names in zip(keys, (IMAGE_KEYS, LABEL_KEYS), strict=True)
        )
        if image and label:
            return item[image], item[label]
        found = f"a row of {', '.join(map(str, item))}"
    elif isinstance(item, tuple | list) and len(item) >= 2:
        return item[0], item[1]
    else:
        found = f"a {type(item).__name__}"
    raise SourceError(
        f"{where}: is {found}; it must be (image, class), or have an image "
        f"({', '.join(IMAGE_KEYS)}) and a class ({', '.join(LABEL_KEYS)})"
    )


def usual(columns: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the first of ``names`` that is a column, "" if none is."""
    return next((name for name in names if name in columns), "")


def label_of(label: Any, where: str) -> int:
    """Return a class, a whole number of any library, as int; raises SourceError for others."""
    number = -1
    try:
        array = array_of(label)
        if array.size == 1 and array.dtype.kind in "iu":
            number = operator.index(array.reshape(-1)[0])
    except (TypeError, ValueError, RuntimeError):
        pass
    if not 0 <= number <= np.iinfo(np.int64).max:
        said = " ".join(repr(label).split())
        raise SourceError(f"{where}: its class is {said[:60]}; it must be a whole number from 0")
    return number


def pixels(image: Any, where: str) -> NDArray[np.uint8]:
    """Return an image as uint8 (H, W, C) with C 1 or 3.

    It is a picture of Pillow, or an array or a tensor (H, W), (H, W, C) or (C, H, W): whole
    numbers 0 to 255, or floats 0 to 1, which are taken as value / 255. Raises SourceError,
    beginning with ``where``, for anything else.
    """
    if isinstance(image, Image.Image):
        try:
            return pixels_of(image)
        except Exception as error:  # as nearly anything, where a file turns out to be broken
            raise SourceError(f"{where}: cannot be read as an image ({one_line(error)})") from error
    try:
        array = array_of(image)
    except (TypeError, ValueError, RuntimeError):
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf" or array.ndim not in (2, 3) or array.size == 0:
        raise SourceError(
            f"{where}: its image is a {type(image).__name__} ({array.dtype} {array.shape}); "
            "it must be a picture of Pillow, or an array or tensor of 1 or 3 channels"
        )
    return _channel_last(_bytes(array, where), is_tensor(image), where)


def _bytes(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    low, high = array.min(), array.max()
    if array.dtype.kind != "f":
        if low < 0 or high > 255:
            raise SourceError(f"{where}: has pixels from {low} to {high}; they must be 0 to 255")
        return array.astype(np.uint8)
    if low >= -CLOSE and high <= 1 + CLOSE:  # neither where one is no number
        return np.rint(array.clip(0, 1).astype(np.float64) * 255).astype(np.uint8)
    advice = (
        "divide by 255"
        if low >= 0 and high <= 255
        else "leave out what normalises them, the file holds its own preprocessing"
    )
    raise SourceError(
        f"{where}: has floats from {low:.3g} to {high:.3g}, where pixels of 0 to 1 are expected; "
        f"{advice}"
    )


def _channel_last(x: NDArray[np.uint8], tensor: bool, where: str) -> NDArray[np.uint8]:
    """Return (H, W), (H, W, C) or (C, H, W) as (H, W, C).

    Where both fit, tensors have their channels first and arrays last.
    """
    if x.ndim == 2:
        return x[..., None]
    first, last = x.shape[0] in (1, 3), x.shape[2] in (1, 3)
    if not (first or last):
        raise SourceError(f"{where}: has the shape {x.shape}; it must have 1 or 3 channels")
    return np.ascontiguousarray(x.transpose(1, 2, 0)) if first and (tensor or not last) else x
