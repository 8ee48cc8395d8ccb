"""What must hold for a file of the codec ``podd``: poster, patches, class order and labels."""

from __future__ import annotations

from typing import Any

from ...errors import InvalidFile, LimitExceeded
from ...format.manifest import Manifest
from ...format.values import is_number, is_pair, need
from ...limits import Limits
from ..shared.rules import check_pooling
from .poster_file import poster_size
from .transform import BLOCK, blocks_of

ORDER_RULES = ("clip", "image", "colour", "paper", "given", "random", "file")
POOLINGS = ("area", "cell")  # of learned labels
PIXELS = ("float32", 3, "(C, H, W)")  # dtype, dimensions and axes of a poster
ORIGINS = ("linspace-half-even", "per-class")
MOST_EXPANDED = 8  # times a side of the poster that is stored


def check_podd(manifest: Manifest, limits: Limits) -> None:
    """Check everything that needs no tensor data; raises InvalidFile or LimitExceeded."""
    params = manifest.codec["params"]
    known = isinstance(params, dict) and set(params) <= {"expanded", "transform"}
    need(known, "codec: unknown field")
    need(len(params) < 2, "codec: a poster of coefficients is not expanded")
    image, n = manifest.image, len(manifest.classes)
    poster = manifest.tensors.get("poster")
    held = ("uint8", 5, "(C, rows, columns, 8, 8)") if "transform" in params else PIXELS
    if poster is None or (poster.dtype, len(poster.shape)) != held[:2]:
        raise InvalidFile(f"tensor 'poster': must be {held[0]} {held[2]}", "DDS-E013")
    same = poster.shape[0] == image["channels"]
    need(same, "tensor 'poster': another number of channels", "DDS-E012")
    if "expanded" in params:
        _check_expanded(params["expanded"], poster.shape, limits)
    if "transform" in params:
        _check_transform(params["transform"], poster.shape, limits)
    height, width = poster_size(manifest)
    patches = manifest.patches or {}
    need(set(patches) == {"grid", "size", "origins"}, "patches: needs grid, size and origins")
    need(patches["origins"] in ORIGINS, "patches: unknown rule for origins")
    need(is_pair(patches["grid"]) and is_pair(patches["size"]), "patches: grid and size are pairs")
    patch_h, patch_w = patches["size"]
    same = [patch_h, patch_w] == [image["height"], image["width"]]
    need(same, "patches: size differs from the image's", "DDS-E012")
    need(patch_h <= height and patch_w <= width, "patches: larger than the poster", "DDS-E012")
    count = patches["grid"][0] * patches["grid"][1]
    if count > limits.patches:
        raise LimitExceeded(f"{count} patches, the limit is {limits.patches}", "DDS-E040")
    order = manifest.order or {}
    need(
        {"grid", "cells", "rule"} <= set(order) <= {"grid", "cells", "rule", "score"},
        "order: fields",
        "DDS-E011",
    )
    need(is_pair(order["grid"]), "order: grid is a pair", "DDS-E011")
    need(order["rule"] in ORDER_RULES, "order: unknown rule", "DDS-E011")
    need(is_number(order.get("score", 0), -1e30, 1e30), "order: score must be a number", "DDS-E011")
    cells = order["cells"]
    need(isinstance(cells, list), "order: cells must be a list", "DDS-E011")
    need(len(cells) == order["grid"][0] * order["grid"][1], "order: too few cells", "DDS-E011")
    need(all(type(c) is int and 0 <= c < n for c in cells), "order: class index", "DDS-E011")
    need(set(cells) == set(range(n)), "order: a class owns no cell", "DDS-E011")
    if patches["origins"] == "per-class":
        for length, size, count, along in zip(
            (width, height), (patch_w, patch_h), patches["grid"], order["grid"], strict=True
        ):
            # The smallest of ``along`` cells has floor(length / along) pixels.
            fits = count % along == 0 and length // along >= size
            need(fits, "patches: they do not fit into the class cells", "DDS-E012")
    _check_labels(manifest, n, limits)


def _check_expanded(size: Any, stored: tuple[int, ...], limits: Limits) -> None:
    channels, *sides = stored
    need(is_pair(size), "codec: expanded must be a height and a width", "DDS-E012")
    need(size != sides, "codec: expanded to the size that the poster has", "DDS-E012")
    fits = all(n <= m <= MOST_EXPANDED * n for n, m in zip(sides, size, strict=True))
    need(fits, f"codec: a side is expanded by 1 to {MOST_EXPANDED}", "DDS-E012")
    _check_bytes(channels, size, limits)


def _check_transform(transform: Any, stored: tuple[int, ...], limits: Limits) -> None:
    fields = isinstance(transform, dict) and set(transform) == {"size", "step"}
    need(fields, "codec: transform needs size and step")
    size, step = transform["size"], transform["step"]
    sane = type(step) in (int, float) and 1e-30 < step < 1e30
    need(sane, "codec: step of the transform must be positive and of a sane size")
    need(is_pair(size), "codec: size of the transform must be a height and a width", "DDS-E012")
    fits = stored[1:] == (*blocks_of((size[0], size[1])), BLOCK, BLOCK)
    need(fits, "codec: size of the transform is not that of the blocks", "DDS-E012")
    _check_bytes(stored[0], size, limits)


def _check_bytes(channels: int, size: list[int], limits: Limits) -> None:
    total = 4 * channels * size[0] * size[1]
    if total > limits.decoded_bytes:
        raise LimitExceeded(f"poster: expands to {total} bytes", "DDS-E040")


def _check_labels(manifest: Manifest, classes: int, limits: Limits) -> None:
    labels, code = manifest.labels, "DDS-E014"
    names = set(manifest.tensors)
    assert manifest.patches is not None
    assert manifest.order is not None
    across, down = manifest.patches["grid"]
    if labels.get("kind") == "fixed":
        check_pooling(across * down, len(manifest.order["cells"]), classes, limits)
        need(labels == {"kind": "fixed", "pooling": "majority"}, "labels: fields", code)
        need(names == {"poster"}, "labels: fixed labels need the poster alone", "DDS-E013")
        return
    need(labels.get("kind") == "learned", "labels: kind must be fixed or learned", code)
    need(set(labels) == {"kind", "pooling", "grid"}, "labels: fields", code)
    need(labels["pooling"] in POOLINGS, "labels: unknown pooling", code)
    need(is_pair(labels["grid"]), "labels: grid is a pair", code)
    need(names == {"poster", "labels"}, "labels: the tensor 'labels' is missing", "DDS-E013")
    spec = manifest.tensors["labels"]
    grid_x, grid_y = labels["grid"]
    fits = spec.dtype == "float32" and spec.shape == (grid_y, grid_x, classes)
    need(fits, "tensor 'labels': must be float32 (rows, columns, classes)", "DDS-E013")
    check_pooling(across * down, grid_x * grid_y, classes, limits)
