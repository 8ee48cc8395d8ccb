"""What must hold between the fields of a manifest, and between it and its tensors."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ..errors import InvalidFile, LimitExceeded
from ..limits import Limits
from .fields import check_fields, is_number, is_text
from .manifest import Manifest
from .needs import is_count, is_pair, need
from .rules_lic import check_lic, check_lic_values
from .strict_json import shown

ORDER_RULES = ("clip", "image", "colour", "paper", "given", "file")
ORIGINS = ("linspace-half-even", "balanced", "cyclic")


def check_manifest(manifest: Manifest, limits: Limits) -> None:
    """Check everything that needs no tensor data; raises InvalidFile or LimitExceeded."""
    check_fields(manifest)
    for name in manifest.classes:
        need(is_text(name), f"classes: the name {shown(name)} is not allowed", "DDS-E011")
    _check_image(manifest)
    _check_preprocessing(manifest)
    name = manifest.codec["name"]
    params = manifest.codec["params"] if name == "lic" else {}
    need(manifest.codec == {"name": name, "version": 1, "params": params}, "codec: unknown field")
    if name == "podd":
        _check_podd(manifest, limits)
    elif name == "images":
        check_images(manifest, limits)
    elif name == "lic":
        check_lic(manifest, limits)


def check_values(manifest: Manifest, arrays: dict[str, NDArray[Any]]) -> None:
    """Check what depends on the values of decoded tensors or chunks; raises InvalidFile."""
    if manifest.codec["name"] == "lic":
        check_lic_values(manifest, arrays)
        return
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


def _check_image(manifest: Manifest) -> None:
    image = manifest.image
    need(set(image) == {"channels", "height", "width", "colour", "preprocessing"}, "image: fields")
    for name in ("channels", "height", "width"):
        need(is_count(image[name]), f"image: {name} must be a positive integer")
    need((image["channels"], image["colour"]) in ((1, "grey"), (3, "rgb")), "image: colour")


def _check_preprocessing(manifest: Manifest) -> None:
    value, channels = manifest.image["preprocessing"], manifest.image["channels"]
    code = "DDS-E014"
    need(isinstance(value, dict), "preprocessing: not an object", code)
    if value.get("kind") == "none":
        need(set(value) == {"kind"}, "preprocessing: unknown field", code)
        return
    need(value.get("kind") == "standardise", "preprocessing: unknown kind", code)
    need(set(value) == {"kind", "mean", "std"}, "preprocessing: unknown or missing field", code)
    for name in ("mean", "std"):
        numbers = value[name]
        need(isinstance(numbers, list) and len(numbers) == channels, f"preprocessing: {name}", code)
        for v in numbers:
            need(is_number(v, -1e6, 1e6), f"preprocessing: {name}", code)
    need(all(v > 1e-6 for v in value["std"]), "preprocessing: std must be positive", code)


def _check_podd(manifest: Manifest, limits: Limits) -> None:
    image, n = manifest.image, len(manifest.classes)
    poster = manifest.tensors.get("poster")
    if poster is None or poster.dtype != "float32" or len(poster.shape) != 3:
        raise InvalidFile("tensor 'poster': must be float32 (C, H, W)", "DDS-E013")
    channels, height, width = poster.shape
    need(channels == image["channels"], "tensor 'poster': another number of channels", "DDS-E012")
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
    _check_podd_labels(manifest, n, limits)


def _check_podd_labels(manifest: Manifest, classes: int, limits: Limits) -> None:
    labels, code = manifest.labels, "DDS-E014"
    names = set(manifest.tensors)
    assert manifest.patches is not None
    assert manifest.order is not None
    across, down = manifest.patches["grid"]
    if labels.get("kind") == "fixed":
        _check_pooling(across * down, len(manifest.order["cells"]), classes, limits)
        need(labels == {"kind": "fixed", "pooling": "majority"}, "labels: fields", code)
        need(names == {"poster"}, "labels: fixed labels need the poster alone", "DDS-E013")
        return
    need(labels.get("kind") == "learned", "labels: kind must be fixed or learned", code)
    need(set(labels) == {"kind", "pooling", "grid"}, "labels: fields", code)
    need(labels["pooling"] in ("area", "cell"), "labels: unknown pooling", code)
    need(is_pair(labels["grid"]), "labels: grid is a pair", code)
    need(names == {"poster", "labels"}, "labels: the tensor 'labels' is missing", "DDS-E013")
    spec = manifest.tensors["labels"]
    grid_x, grid_y = labels["grid"]
    fits = spec.dtype == "float32" and spec.shape == (grid_y, grid_x, classes)
    need(fits, "tensor 'labels': must be float32 (rows, columns, classes)", "DDS-E013")
    _check_pooling(across * down, grid_x * grid_y, classes, limits)


def check_images(manifest: Manifest, limits: Limits) -> None:
    """Check the codec ``images``: one stored image a sample, with soft labels or class indices."""
    image, labels = manifest.image, manifest.labels
    need(manifest.patches is None, "patches: the codec images has none")
    need(manifest.order is None, "order: the codec images has none")
    need(labels.get("kind") in ("soft", "index"), "labels: kind must be soft or index", "DDS-E014")
    need(set(labels) == {"kind"}, "labels: fields", "DDS-E014")
    needed = "the codec images needs the tensors images and labels"
    need(set(manifest.tensors) == {"images", "labels"}, f"tensors: {needed}", "DDS-E013")
    images, label = manifest.tensors["images"], manifest.tensors["labels"]
    size = (image["channels"], image["height"], image["width"])
    fits = images.dtype in ("uint8", "float32") and images.shape[1:] == size
    need(fits, "tensor 'images': must be uint8 or float32 (N, channels, height, width)", "DDS-E013")
    count, classes = images.shape[0], len(manifest.classes)
    soft = labels["kind"] == "soft"
    dtype, shape = ("float32", (count, classes)) if soft else ("int32", (count,))
    fits = (label.dtype, label.shape) == (dtype, shape)
    need(fits, f"tensor 'labels': must be {dtype} {'(N, classes)' if soft else '(N)'}", "DDS-E013")
    need(images.chunk == label.chunk, "tensors: images and labels differ in 'chunk'", "DDS-E013")
    if count > limits.patches:
        raise LimitExceeded(f"{count} images, the limit is {limits.patches}", "DDS-E040")
    _check_pooling(count, 1, classes, limits)


def _check_pooling(patches: int, cells: int, classes: int, limits: Limits) -> None:
    # Decoded labels, and the weights that pool them, are bounded like all that is decoded.
    if patches * max(cells, classes) * 8 > limits.decoded_bytes:
        raise LimitExceeded("labels: more patches x cells than the limit allows", "DDS-E040")
