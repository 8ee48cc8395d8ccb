"""What must hold between the fields of a manifest, and between it and its tensors."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ..errors import InvalidFile, LimitExceeded
from ..limits import Limits
from .fields import check_fields, is_text
from .manifest import Manifest
from .needs import is_count, need
from .preprocessing import check_preprocessing
from .rules_d3m import check_d3m, check_d3m_values
from .rules_lic import check_lic, check_lic_values
from .rules_podd import check_podd, check_pooling
from .rules_ppodd import check_ppodd, check_ppodd_values
from .strict_json import shown


def check_manifest(manifest: Manifest, limits: Limits) -> None:
    """Check everything that needs no tensor data; raises InvalidFile or LimitExceeded."""
    check_fields(manifest)
    for name in manifest.classes:
        need(is_text(name), f"classes: the name {shown(name)} is not allowed", "DDS-E011")
    _check_image(manifest)
    check_preprocessing(manifest.image)
    name = manifest.codec["name"]
    params = manifest.codec["params"] if name in ("lic", "ppodd", "d3m") else {}
    need(manifest.codec == {"name": name, "version": 1, "params": params}, "codec: unknown field")
    if name == "podd":
        check_podd(manifest, limits)
    elif name == "ppodd":
        check_ppodd(manifest, limits)
    elif name == "images":
        check_images(manifest, limits)
    elif name == "lic":
        check_lic(manifest, limits)
    elif name == "d3m":
        check_d3m(manifest, limits)


def check_values(manifest: Manifest, arrays: dict[str, NDArray[Any]]) -> None:
    """Check what depends on the values of decoded tensors or chunks; raises InvalidFile."""
    if manifest.codec["name"] == "lic":
        check_lic_values(manifest, arrays)
        return
    if manifest.codec["name"] == "d3m":
        check_d3m_values(manifest, arrays)
        return
    if manifest.codec["name"] == "ppodd":
        check_ppodd_values(manifest, arrays)
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
    check_pooling(count, 1, classes, limits)
