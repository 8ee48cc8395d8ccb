"""Rules that several methods share: the sizes and the values of their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, LimitExceeded, UsageError
from ...format.manifest import Manifest
from ...format.values import need
from ...limits import Limits

NOTHING = 255  # the symbol of a weight of zero


def index_planes(classes: int) -> int:
    """Return the bytes of a class index."""
    return 1 if classes <= 1 << 8 else 2 if classes <= 1 << 16 else 3


def class_indices(planes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return class indices int64 (..., k) of their bytes (..., planes, k), low ones first."""
    index = np.zeros((*planes.shape[:-2], planes.shape[-1]), np.int64)
    for plane in range(planes.shape[-2]):
        index += planes[..., plane, :].astype(np.int64) << (8 * plane)
    return index


def check_symbols(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check labels of decoded tensors or chunks; raises InvalidFile."""
    classes = len(manifest.classes)
    labels = arrays.get("labels")
    if labels is not None and manifest.labels["kind"] == "index":
        low, high = int(labels.min()), int(labels.max())
        good = low >= 0 and high < classes
        need(good, "tensor 'labels': a class index is out of range", "DDS-E011")
    elif labels is not None:
        # One spelling of every label: its largest weight is the unit.
        good = bool((labels.min(axis=-1) == 0).all())
        need(good, "tensor 'labels': a label has no symbol 0", "DDS-E014")
    if "label_weights" in arrays:
        good = int(arrays["label_weights"].min()) > 0
        need(good, "tensor 'label_weights': a symbol is out of range", "DDS-E022")
    if "label_classes" in arrays:
        index = class_indices(arrays["label_classes"])
        good = int(index.max()) < classes
        need(good, "tensor 'label_classes': a class index is out of range", "DDS-E011")
        index.sort(axis=-1)
        good = bool((np.diff(index, axis=-1) > 0).all())
        need(good, "tensor 'label_classes': a class stands twice in a label", "DDS-E011")


def check_symbol_tensors(manifest: Manifest, kind: str, *rows: int, axes: str) -> None:
    """Check the tensors of labels of kind ``logits`` or ``top``, with symbols for ``rows``.

    ``axes`` names those in messages. Raises InvalidFile.
    """
    found, classes, code = manifest.tensors["labels"], len(manifest.classes), "DDS-E013"
    fits = found.dtype == "uint8" and found.shape[:-1] == rows
    need(fits, f"tensor 'labels': must be uint8 ({axes}, symbols)", code)
    if kind == "logits":
        need(found.shape[-1] == classes, "tensor 'labels': a symbol a class", code)
        return
    top = found.shape[-1] - 1
    need(1 <= top < classes, "tensor 'labels': must list fewer classes than there are", code)
    index = manifest.tensors["label_classes"]
    fits = index.dtype == "uint8" and index.shape == (*rows, index_planes(classes), top)
    need(fits, f"tensor 'label_classes': must be uint8 ({axes}, planes, k)", code)


def check_amount(count: int, noun: str, classes: int, limits: Limits) -> None:
    """Bound the samples, called ``noun``, and their decoded labels."""
    if count > limits.patches:
        raise LimitExceeded(f"{count} {noun}, the limit is {limits.patches}", "DDS-E040")
    if count * classes * 8 > limits.decoded_bytes:
        raise LimitExceeded(f"labels: more {noun} x classes than the limit allows", "DDS-E040")


def check_soft(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check ``labels`` that are soft, or class indices; raises InvalidFile."""
    labels = arrays.get("labels")
    if labels is None:
        return
    if bool((labels < 0).any()):
        raise InvalidFile("tensor 'labels': a value is negative", "DDS-E014")
    if manifest.labels["kind"] == "index":
        if int(labels.max()) >= len(manifest.classes):
            raise InvalidFile("tensor 'labels': a class index is out of range", "DDS-E011")
    elif not bool((labels.max(axis=-1) > 0).all()):
        raise InvalidFile("tensor 'labels': a cell is all zero", "DDS-E014")


def check_no_params(manifest: Manifest) -> None:
    """Check that ``codec.params`` is empty; raises InvalidFile."""
    need(manifest.codec["params"] == {}, "codec: unknown field")


def check_pooling(patches: int, cells: int, classes: int, limits: Limits) -> None:
    """Bound decoded labels, and the weights that pool them, like all that is decoded."""
    if patches * max(cells, classes) * 8 > limits.decoded_bytes:
        raise LimitExceeded("labels: more patches x cells than the limit allows", "DDS-E040")


def top_of(text: str) -> int:
    """Return K of ``top=K``, 0 of other ways to store labels; raises UsageError for no such."""
    if text in ("auto", "logits", "embed-teacher", "live", "class"):
        return 0
    name, _, count = text.partition("=")
    if name != "top" or not (count.isascii() and count.isdigit()) or len(count) > 6:
        raise UsageError(
            f"`labels` must be auto, logits, top=K, embed-teacher, live or class, got {text!r}"
        )
    return int(count)
