"""What must hold for a file of the codec ``images``: one stored image a sample, and its label."""

from __future__ import annotations

from ...errors import LimitExceeded
from ...format.manifest import Manifest
from ...format.values import need
from ...limits import Limits
from ..shared.rules import check_no_params, check_pooling


def check_images(manifest: Manifest, limits: Limits) -> None:
    """Check everything that needs no tensor data; raises InvalidFile or LimitExceeded."""
    check_no_params(manifest)
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
