"""What the files of others hold: arrays, checked, before it is known what their numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, LimitExceeded
from ...format import Manifest
from ...limits import Limits
from ...sources.checks import shape_text

CENTRED = 0.05  # of the largest value: a row of a centred one-hot label adds up to nothing


@dataclass(frozen=True)
class Found:
    """A published set.

    Attributes:
        kind: whose layout it is, in words.
        images: uint8 (values of pixels) or float32 (N, C, H, W); of a poster (1, C, H, W).
        labels: int64 (N,), or float32 (N, classes); of a poster (rows, columns, classes), or None
            where each patch has the class that it lies on.
        scores: how floats are to be read: ``soft``, ``logits`` or ``centred`` (less 1 / classes,
            as for kernel regression); None where the numbers themselves decide.
        space: ``pixels`` where the layout means 0 to 1, else None.
        whitening: which variant of ZCA is usual in this layout, ``kornia`` or ``podd``.
        poster: whether it is one poster.
        cells: images along each side of a mosaic; 1 where images are no mosaics, None where it has
            to be said.
        hint: a line about what was taken for granted.
        classes: names, where the files have them.
        recipe: fields of a manifest's recipe that belong to it.
        stated: accuracy that the files state, a share of 1, and the network, or None.
        manifest: that of a ``.ddset`` which this was decoded from, else None.
    """

    kind: str
    images: NDArray[Any]
    labels: NDArray[Any] | None
    scores: str | None = None
    space: str | None = None
    whitening: str = "kornia"
    poster: bool = False
    cells: int | None = 1
    hint: str = ""
    classes: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    stated: tuple[float, str] | None = None
    manifest: Manifest | None = None


def starts_with(path: Path, magic: bytes) -> bool:
    """Say whether a file begins with these bytes."""
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def checked_images(where: Path, value: Any, limits: Limits = Limits()) -> NDArray[Any]:
    """Return images as uint8 or float32 (N, C, H, W); channels may come last.

    Raises InvalidFile for another rank, no images, values that are not finite; LimitExceeded.
    """
    if not isinstance(value, np.ndarray) or value.ndim != 4 or 0 in value.shape:
        shape = shape_text(value.shape) if isinstance(value, np.ndarray) else "no array"
        raise InvalidFile(f"{where}: images are {shape}; they must be (N, channels, height, width)")
    if value.shape[1] not in (1, 3):
        if value.shape[3] not in (1, 3):
            raise InvalidFile(
                f"{where}: images are {shape_text(value.shape)}; they must have 1 or 3 channels"
            )
        value = value.transpose(0, 3, 1, 2)
    if len(value) > limits.patches:
        raise LimitExceeded(f"{where}: {len(value)} images, the limit is {limits.patches}")
    if value.dtype == np.uint8:
        return np.ascontiguousarray(value)
    return np.ascontiguousarray(_finite(where, value, "images"))


def checked_labels(where: Path, value: Any, count: int) -> NDArray[Any]:
    """Return labels as int64 (N,) or float32 (N, classes).

    Raises InvalidFile for another rank, or where they are not ``count``.
    """
    if isinstance(value, list) and value and all(type(each) is int for each in value):
        value = np.array(value)
    if not isinstance(value, np.ndarray) or value.ndim not in (1, 2):
        shape = shape_text(value.shape) if isinstance(value, np.ndarray) else "no array"
        raise InvalidFile(f"{where}: labels are {shape}; they must be (N,) or (N, classes)")
    if len(value) != count:
        raise InvalidFile(f"{where}: {count} images but {len(value)} labels; give one an image")
    if value.ndim == 2 and value.shape[1] == 1:
        value = value[:, 0]
    if value.ndim == 2:
        return _finite(where, value, "labels")
    if value.dtype.kind == "f":
        whole = _finite(where, value, "labels")
        if (whole != np.rint(whole)).any():
            raise InvalidFile(f"{where}: labels (N,) are no whole numbers; give class indices")
    if value.dtype.kind not in "iuf":
        raise InvalidFile(f"{where}: labels are {value.dtype}; give numbers")
    whole_numbers: NDArray[np.int64] = value.astype(np.int64)
    return whole_numbers


def stored_labels(
    where: Path, labels: NDArray[Any], classes: int, scores: str | None, complete: bool = True
) -> NDArray[Any]:
    """Return labels as a file holds them: int32 (N,), or float32 (N, classes), rows adding up to 1.

    Raises InvalidFile for labels of no class, another number of classes, or, where they are to be
    ``complete``, a class without an image.
    """
    if labels.ndim == 2 and labels.shape[1] != classes:
        raise InvalidFile(f"{where}: labels are of {labels.shape[1]} classes, {classes} are named")
    if labels.ndim == 2:
        labels = _probabilities(where, labels, scores)
        best = labels.argmax(1)
        if not bool((labels[np.arange(len(labels)), best] == 1).all()):
            return labels
        labels = best
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        at = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
        raise InvalidFile(
            f"{where}: label {labels[at]} of image {at} lies outside 0..{classes - 1}, the "
            "numbers of the classes"
        )
    there = np.bincount(labels, minlength=classes)
    if complete and (there == 0).any():
        raise InvalidFile(
            f"{where}: no image of class {int(there.argmin())}; it has images of "
            f"{int((there > 0).sum())} of {classes} classes"
        )
    return labels.astype(np.int32)


def _probabilities(
    where: Path, labels: NDArray[np.float32], scores: str | None
) -> NDArray[np.float32]:
    if scores is None:
        scores = "soft"
        if (labels < 0).any():
            sums = np.abs(labels.sum(1, dtype=np.float64))
            if (sums > CENTRED * np.abs(labels).max()).any():
                raise InvalidFile(
                    f"{where}: labels are negative and do not add up to 0, so they are neither "
                    "shares nor centred; say `scores`=logits, or centred"
                )
            scores = "centred"
    wide = labels.astype(np.float64)
    if scores == "logits":
        wide = np.exp(wide - wide.max(1, keepdims=True))
    elif scores == "centred":
        wide = np.maximum(wide + 1 / labels.shape[1], 0)
    elif (wide < 0).any():
        raise InvalidFile(f"{where}: a label is negative; say `scores`=logits or centred")
    mass = wide.sum(1, keepdims=True)
    if (mass <= 0).any():
        raise InvalidFile(f"{where}: the label of image {int(mass.argmin())} is all zero")
    shares: NDArray[np.float32] = (wide / mass).astype(np.float32)
    # A reader divides by the sum again: so often that it changes nothing any more.
    for _ in range(4):
        again = (shares / shares.astype(np.float64).sum(1, keepdims=True)).astype(np.float32)
        if np.array_equal(again, shares):
            break
        shares = again
    return shares


def _finite(where: Path, value: NDArray[Any], what: str) -> NDArray[np.float32]:
    if value.dtype.kind not in "fiub":
        raise InvalidFile(f"{where}: {what} are {value.dtype}; they must be numbers")
    with np.errstate(over="ignore"):
        found: NDArray[np.float32] = value.astype(np.float32)
    if not np.isfinite(found).all():
        raise InvalidFile(f"{where}: {what} hold values that are not finite")
    return found
