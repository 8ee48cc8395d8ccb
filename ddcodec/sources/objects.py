"""Data sets that a program holds: those of torch with a length, and of Hugging Face ``datasets``.

Neither library is imported: what counts is a length, and items by number (``items``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError, UsageError, one_line
from ..format.values import is_text
from .base import Source
from .checks import numbered_classes
from .images import stacked
from .items import IMAGE_KEYS, LABEL_KEYS, label_of, pair, pixels, usual
from .scaling import resize
from .split import TESTS, Split

PLAIN = (str, bytes, os.PathLike, list, tuple, np.ndarray, Mapping)
TWICE = 8  # images read twice, to see whether they stay as they are
DEPTH = 100  # of data sets within each other; more is a circle

Names = tuple[str, ...]


def is_object(value: Any) -> bool:
    """Say whether a value may be a data set, or several by the name of their split."""
    if isinstance(value, Mapping):
        return bool(value) and all(map(_is_single, value.values()))
    return _is_single(value)


def _is_single(value: Any) -> bool:
    methods = hasattr(type(value), "__getitem__") or hasattr(type(value), "__iter__")
    return methods and not isinstance(value, PLAIN) and not hasattr(value, "detach")


def load(value: Any, size: int | None = None) -> Source:
    """Return a data set, or a mapping of splits such as ``{"train": ..., "test": ...}``, as source.

    Images are read when a split is first used. Class names are those of the data set
    (``classes``, or a feature with ``names``), else the numbers; the training split is then read
    at once. Of a mapping ``train`` is learned from; the first of ``TESTS`` that is there is the
    test, a further one is for validation, others are not looked at. See ``read`` for what is taken.

    Raises SourceError where there is no train, one has no length, or splits have other classes.
    """
    parts: Mapping[Any, Any] = value if isinstance(value, Mapping) else {"train": value}
    if "train" not in parts:
        raise SourceError(
            f"{_title(value)}: has the splits {', '.join(map(str, parts))}; name one of them train"
        )
    train = parts["train"]
    title, given = _title(train), class_names(train)
    others = [part for part in TESTS if part in parts]
    for part in ("train", *others):
        _length(parts[part], title if part == "train" else f"{title} ({part})")
    for part in others:
        theirs = class_names(parts[part])
        if None not in (given, theirs) and given != theirs:
            raise SourceError(
                f"{title}: the split {part} has not the classes of train in their order; give "
                "both splits the same classes"
            )
    reading: dict[str, Callable[[], Split]] = {"train": partial(read, train, title, size)}
    if given is None:
        split = reading["train"]()
        given = numbered_classes(split.labels, title)
        reading["train"] = lambda: split
    for role, part in zip(("test", "validation"), others, strict=False):
        reading[role] = partial(read, parts[part], f"{title} ({part})", size)
    tested_on = f"the split {others[0]}" if others else ""
    return Source(_name(train), given, reading, title, tested_on=tested_on)


def split_of(value: Any, classes: Names) -> Split:
    """Return a split as it is, or a data set read as one, its classes in the order of ``classes``.

    A data set with other class names keeps its numbers. Raises UsageError for what is neither a
    split nor a data set; else as ``read``.
    """
    if isinstance(value, Split):
        return value
    if not _is_single(value):
        raise UsageError(f"`test` must be a Split or a data set, got {type(value).__name__}")
    split, theirs = read(value, _title(value)), class_names(value)
    if theirs in (None, classes) or sorted(theirs) != sorted(classes):
        return split
    if len(split) and split.labels.max() >= len(theirs):
        raise SourceError(f"{_title(value)}: has the class {split.labels.max()}, which has no name")
    number = np.array([classes.index(name) for name in theirs], np.int64)
    return Split(split.images, number[split.labels])


def read(data: Any, title: str, size: int | None = None) -> Split:
    """Return all images and labels of a data set, in its order; ``size`` makes the images squares.

    An item is (image, class, ...), or a mapping with an image and a class; see ``items.pixels``
    for images. A class is a whole number of any library. Images that are too many for memory go
    to a file, one by one.

    Raises SourceError for a data set without a length, one that is empty, an item that is
    something else or cannot be had, or one of the first few that differs when it is read again.
    """
    count = _length(data, title)
    keys = _columns(data)
    labels = np.empty(count, np.int64)

    def item(i: int) -> tuple[NDArray[np.uint8], int]:
        where = f"{title}: item {i}"
        image, label = pair(_item(data, i, title), keys, where)
        return pixels(image, where), label_of(label, where)

    def images() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for i in range(count):
            image, labels[i] = item(i)
            if i < TWICE:
                again, label = item(i)
                if label != labels[i] or not np.array_equal(again, image):
                    raise SourceError(
                        f"{title}: item {i} is another each time it is read; leave out random "
                        "augmentation, for training on the file augments by itself"
                    )
            yield f"{title}: item {i}", image if size is None else resize(image, size)

    return Split(stacked(images(), count), labels)


def class_names(data: Any) -> Names | None:
    """Return the class names of a data set, or of that which it is a part of; None without.

    Raises SourceError for several put together that have different ones.
    """
    for each in _within(data):
        features = getattr(each, "features", None)
        if isinstance(features, Mapping):
            return _names(features.get(_columns(each)[1]))
        classes = getattr(each, "classes", None)
        if isinstance(classes, list | tuple | np.ndarray) and len(classes):
            # ImageNet's are tuples of synonyms.
            return tuple(", ".join(c) if isinstance(c, tuple | list) else str(c) for c in classes)
        together = getattr(each, "datasets", None)  # of a ConcatDataset
        if isinstance(together, list) and together:
            found = {class_names(part) for part in together}
            if len(found) > 1:
                raise SourceError(f"{_title(data)}: its parts have different classes")
            return found.pop()
    return None


def _length(data: Any, title: str) -> int:
    try:
        count = len(data)
    except (TypeError, NotImplementedError, AttributeError):
        raise _not_by_number(data, title) from None
    if not hasattr(type(data), "__getitem__"):
        raise _not_by_number(data, title)
    if count == 0:
        raise SourceError(f"{title}: has no images")
    return count


def _not_by_number(data: Any, title: str) -> SourceError:
    inside = "; is it its `dataset` that you mean?" if hasattr(data, "dataset") else ""
    return SourceError(
        f"{title}: is read in one order only; give a data set with a length and items by number "
        f"(map style){inside}"
    )


def _item(data: Any, i: int, title: str) -> Any:
    try:
        return data[i]
    except NotImplementedError:  # torch's IterableDataset may have a length
        raise _not_by_number(data, title) from None
    except MemoryError:
        raise
    except Exception as error:  # the program's own code may raise anything
        raise SourceError(
            f"{title}: item {i} cannot be read ({type(error).__name__}: {one_line(error)})"
        ) from error


def _within(data: Any) -> Iterator[Any]:
    """Yield a data set, and those that it is a part of, as ``Subset`` is."""
    for _ in range(DEPTH):
        if data is None:
            return
        yield data
        data = getattr(data, "dataset", None)


def _columns(data: Any) -> tuple[str, str]:
    """Return the columns of image and class as far as features say them; "" where they do not."""
    for each in _within(data):
        features = getattr(each, "features", None)
        if isinstance(features, Mapping):
            drawn = {name: f for name, f in features.items() if type(f).__name__ == "Image"}
            named = {name: f for name, f in features.items() if _names(f) is not None}
            return (
                usual(drawn, IMAGE_KEYS) or next(iter(drawn), ""),
                usual(named, LABEL_KEYS) or next(iter(named), ""),
            )
    return "", ""


def _names(feature: Any) -> Names | None:
    names = getattr(feature, "names", None)
    if isinstance(names, list | tuple) and names and all(isinstance(n, str) for n in names):
        return tuple(names)
    return None


def _title(data: Any) -> str:
    return f"the {type(data).__name__}"


def _name(data: Any) -> str:
    """Return what files call a data set: as Hugging Face does, else as the innermost class is."""
    inner = list(_within(data))[-1]
    given = getattr(getattr(inner, "info", None), "dataset_name", None)
    named = isinstance(given, str) and given and is_text(given) and "/" not in given
    return str(given) if named else type(inner).__name__
