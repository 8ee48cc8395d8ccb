"""Data sets that a program holds: those of torch with a length, and of Hugging Face ``datasets``.

Neither library is imported: what counts is a length, and items that are (image, class, ...) or
rows with an image and a class.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import SourceError, UsageError, one_line
from ..runtime.arrays import array_of
from .base import Source
from .checks import numbered_classes
from .images import pixels_of, stacked
from .scaling import resize
from .split import TESTS, Split

IMAGE_KEYS = ("image", "img", "pixel_values", "x")
LABEL_KEYS = ("label", "fine_label", "labels", "target", "y")
PLAIN = (str, bytes, os.PathLike, list, tuple, np.ndarray)
CLOSE = 1e-6  # above 1, where a float was computed and not divided


def is_object(value: Any) -> bool:
    """Say whether a value may be a data set, or several by the name of their split."""
    if isinstance(value, Mapping):
        return bool(value) and all(map(is_object, value.values()))
    methods = hasattr(type(value), "__getitem__") or hasattr(type(value), "__iter__")
    return methods and not isinstance(value, PLAIN) and not hasattr(value, "detach")


def load(value: Any, size: int | None = None) -> Source:
    """Return a data set, or a mapping of splits such as ``{"train": ..., "test": ...}``, as source.

    Images are read when a split is first used. Class names are those of the data set
    (``classes``, or a feature with ``names``), else the numbers; the whole split is then read
    at once. See ``read`` for what is taken.
    """
    parts: Mapping[str, Any] = value if isinstance(value, Mapping) else {"train": value}
    if "train" not in parts:
        raise SourceError(
            f"{_title(value)}: has the splits {', '.join(map(str, parts))}; name one of them train"
        )
    train = parts["train"]
    title, name = _title(train), _name(train)
    others = [part for part in TESTS if part in parts]
    given = _classes(train)
    reading: dict[str, Callable[[], Split]] = {"train": partial(read, train, title, size)}
    if given is None:
        split = reading["train"]()
        given = numbered_classes(split.labels, title)
        reading["train"] = lambda: split
    for role, part in zip(("test", "validation"), others, strict=False):
        reading[role] = partial(read, parts[part], f"{title} ({part})", size)
    tested_on = f"the split {others[0]}" if others else ""
    return Source(name, given, reading, title, tested_on=tested_on)


def read(data: Any, title: str, size: int | None = None) -> Split:
    """Return all images and labels of a data set, in its order.

    An item is (image, class, ...), or a mapping with an image and a class. An image is a picture
    of Pillow, or an array or a tensor of one to three channels, first or last: uint8, or whole
    numbers 0 to 255, or floats 0 to 1, which are taken as value / 255 (and rounded where they
    are not). A class is a whole number of any library.

    Raises SourceError for a data set without a length, one that is empty, or an item that is
    something else.
    """
    count = _length(data, title)
    keys = _keys(data)
    labels = np.empty(count, np.int64)

    def images() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for i in range(count):
            where = f"{title}: item {i}"
            image, label = _pair(_item(data, i, where), keys, where)
            labels[i] = _label(label, where)
            pixels = _pixels(image, where)
            yield where, pixels if size is None else resize(pixels, size)

    return Split(stacked(images(), count), labels)


def _length(data: Any, title: str) -> int:
    try:
        count = len(data)
    except (TypeError, NotImplementedError, AttributeError):
        raise _iterable(title) from None
    if count == 0:
        raise SourceError(f"{title}: has no images")
    return count


def _iterable(title: str) -> SourceError:
    return SourceError(
        f"{title}: is read in one order only; give a data set with a length and items by number "
        "(map style)"
    )


def _item(data: Any, i: int, where: str) -> Any:
    try:
        return data[i]
    except NotImplementedError:  # torch's IterableDataset may have a length
        raise _iterable(where.rpartition(": item")[0]) from None
    except (IndexError, KeyError) as error:
        raise SourceError(f"{where}: is not there ({one_line(error)})") from None


def _pair(item: Any, keys: tuple[str, str] | None, where: str) -> tuple[Any, Any]:
    """Return the image and the class of an item."""
    if isinstance(item, Mapping):
        image, label = keys or (_key(item, IMAGE_KEYS), _key(item, LABEL_KEYS))
        if image in item and label in item:
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


def _key(item: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((name for name in names if name in item), "")


def _keys(data: Any) -> tuple[str, str] | None:
    """Return the columns of image and class, where features say which they are."""
    features = getattr(data, "features", None)
    if not isinstance(features, Mapping):
        return None
    image = _feature(features, IMAGE_KEYS, lambda feature: type(feature).__name__ == "Image")
    label = _feature(features, LABEL_KEYS, lambda feature: _names(feature) is not None)
    return (image, label) if image and label else None


def _feature(features: Mapping[str, Any], names: Sequence[str], fits: Callable[[Any], bool]) -> str:
    """Return the column of the kind that is wanted: with a usual name, else the first."""
    found = [name for name, feature in features.items() if fits(feature)]
    return next((name for name in names if name in found), found[0] if found else "")


def _names(feature: Any) -> tuple[str, ...] | None:
    names = getattr(feature, "names", None)
    if isinstance(names, list | tuple) and names and all(isinstance(n, str) for n in names):
        return tuple(names)
    return None


def _classes(data: Any) -> tuple[str, ...] | None:
    """Return the class names of a data set, or of that which it is a part of; None without."""
    seen = 0
    while data is not None and seen < 100:  # a circle of data sets has no names
        features, keys = getattr(data, "features", None), _keys(data)
        if keys is not None and isinstance(features, Mapping):
            return _names(features[keys[1]])
        classes = getattr(data, "classes", None)
        if isinstance(classes, list | tuple | np.ndarray) and len(classes):
            return tuple(", ".join(c) if isinstance(c, tuple | list) else str(c) for c in classes)
        inner = getattr(data, "datasets", None)  # of a ConcatDataset, whose parts are alike
        data = inner[0] if isinstance(inner, list) and inner else getattr(data, "dataset", None)
        seen += 1
    return None


def _label(label: Any, where: str) -> int:
    """Return a class as integer."""
    try:
        array = array_of(label)
        whole = array.size == 1 and array.dtype.kind in "iu"
        number = operator.index(array.reshape(-1)[0]) if whole else -1
    except (TypeError, ValueError, RuntimeError):
        whole, number = False, -1
    if not whole or number < 0 or number > np.iinfo(np.int64).max:
        said = " ".join(repr(label).split())
        raise SourceError(f"{where}: its class is {said[:60]}; it must be a whole number from 0")
    return number


def _pixels(image: Any, where: str) -> NDArray[np.uint8]:
    """Return an image as uint8 (H, W, C) with C 1 or 3."""
    if isinstance(image, Image.Image):
        try:
            return pixels_of(image)
        except (OSError, ValueError) as error:
            raise SourceError(f"{where}: cannot be read as an image ({one_line(error)})") from None
    try:
        array = array_of(image)
    except (TypeError, ValueError, RuntimeError):
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf" or array.ndim not in (2, 3) or array.size == 0:
        raise SourceError(
            f"{where}: its image is a {type(image).__name__} ({array.dtype} {array.shape}); "
            "it must be a picture of Pillow, or an array or tensor of 1 or 3 channels"
        )
    return _channel_last(_bytes(array, where), hasattr(image, "detach"), where)


def _bytes(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return pixels as uint8; floats are value / 255."""
    low, high = array.min(), array.max()
    if array.dtype.kind != "f":
        if low < 0 or high > 255:
            raise SourceError(f"{where}: has pixels from {low} to {high}; they must be 0 to 255")
        return array.astype(np.uint8)
    if not (low >= -CLOSE and high <= 1 + CLOSE):  # nor where one is no number
        raise SourceError(
            f"{where}: has floats from {low:.3g} to {high:.3g}, where pixels of 0 to 1 are "
            "expected; leave out what normalises them, the file holds its own preprocessing"
        )
    return np.rint(array.clip(0, 1).astype(np.float64) * 255).astype(np.uint8)


def _channel_last(x: NDArray[np.uint8], is_tensor: bool, where: str) -> NDArray[np.uint8]:
    """Return (H, W), (H, W, C) or (C, H, W) as (H, W, C).

    Where both fit, tensors have their channels first and arrays last.
    """
    if x.ndim == 2:
        return x[..., None]
    first, last = x.shape[0] in (1, 3), x.shape[2] in (1, 3)
    if not (first or last):
        raise SourceError(f"{where}: has the shape {x.shape}; it must have 1 or 3 channels")
    return np.ascontiguousarray(x.transpose(1, 2, 0)) if first and (is_tensor or not last) else x


def _title(data: Any) -> str:
    return f"the {type(data).__name__}"


def _name(data: Any) -> str:
    """Return what files call the data set: the name of its class, or of the one it is part of."""
    inner = getattr(data, "dataset", None)
    return _name(inner) if inner is not None and inner is not data else type(data).__name__


def split_of(value: Any) -> Split:
    """Return a split, or a data set read as one; raises UsageError for what is neither."""
    if isinstance(value, Split):
        return value
    if not is_object(value) or isinstance(value, Mapping):
        raise UsageError(f"`test` must be a Split or a data set, got {type(value).__name__}")
    return read(value, _title(value))
