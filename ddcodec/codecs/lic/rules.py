"""What must hold for a file of the codec ``lic``: mosaics and the labels of their regions."""

from __future__ import annotations

from ...errors import InvalidFile, LimitExceeded
from ...format.manifest import Manifest
from ...format.values import is_number, is_pair, need
from ...limits import Limits
from ..shared.rules import check_amount, check_symbol_tensors
from .integer_network import (
    ARCHITECTURES,
    LARGEST_SIZE,
    RESIDUAL,
    costs,
    network_of,
    stored_sizes,
)

CELLS = 64  # in a row or a column
TEACHER = ("label_weights", "label_affine")


def check_lic(manifest: Manifest, limits: Limits) -> None:
    """Check everything that needs no tensor data; raises InvalidFile or LimitExceeded."""
    params, image = manifest.codec["params"], manifest.image
    need(isinstance(params, dict) and set(params) == {"cells", "filter"}, "codec: params")
    need(params["filter"] == "bilinear", "codec: unknown filter", "DDS-E012")
    cells = params["cells"]
    need(is_pair(cells), "codec: cells is a pair", "DDS-E012")
    fits = cells[0] <= min(CELLS, image["width"]) and cells[1] <= min(CELLS, image["height"])
    need(fits, "codec: more cells than pixels, or more than 64 a side", "DDS-E012")
    need(manifest.patches is None, "patches: the codec lic has none")
    need(manifest.order is None, "order: the codec lic has none")
    images = manifest.tensors.get("images")
    size = (image["channels"], image["height"], image["width"])
    if images is None or images.dtype != "uint8" or images.shape[1:] != size:
        raise InvalidFile("tensor 'images': must be uint8 (N, channels, height, width)", "DDS-E013")
    count = images.shape[0] * regions_of(manifest)
    check_amount(count, "regions", len(manifest.classes), limits)
    _check_labels(manifest, images.shape[0], limits)
    for name, spec in manifest.tensors.items():
        # The teacher belongs to no chunk of the images; it is one piece, whatever it is called.
        good = (
            spec.chunk in (None, spec.shape[0]) if name in TEACHER else spec.chunk == images.chunk
        )
        need(good, "tensors: they differ in 'chunk'", "DDS-E013")


def regions_of(manifest: Manifest) -> int:
    """Return the training images of a mosaic: its cells, and all of it where it has several."""
    across, down = manifest.codec["params"]["cells"]
    cells = int(across * down)
    return cells + (cells > 1)


def _check_labels(manifest: Manifest, count: int, limits: Limits) -> None:
    labels = manifest.labels
    kind, names, code = str(labels.get("kind")), set(manifest.tensors), "DDS-E014"
    known = ("logits", "top", "index", "teacher")
    need(kind in known, "labels: kind must be logits, top, index or teacher", code)
    fields = {"kind"} if kind == "index" else {"kind", "temperature"}
    if kind == "teacher":
        fields |= {"architecture", "scale"} | (set(labels) & {"live"})
        fields |= {"size"} if labels.get("architecture") == RESIDUAL else set()
    need(set(labels) == fields, "labels: fields", code)
    need(is_number(labels.get("temperature", 1), 0.01, 100), "labels: temperature", code)
    if kind == "teacher":
        _check_teacher(manifest, count, limits)
        return
    wanted = {"images", "labels"} | ({"label_classes"} if kind == "top" else set())
    need(names == wanted, f"tensors: labels of kind {kind} need others", "DDS-E013")
    if kind == "index":
        found = manifest.tensors["labels"]
        fits = (found.dtype, found.shape) == ("int32", (count,))
        need(fits, "tensor 'labels': must be int32 (N)", "DDS-E013")
        return
    check_symbol_tensors(manifest, kind, count, regions_of(manifest), axes="N, regions")


def _check_teacher(manifest: Manifest, count: int, limits: Limits) -> None:
    """Check that the tensors are those of the architecture, and what labelling will take."""
    labels, image = manifest.labels, manifest.image
    name, code = labels["architecture"], "DDS-E014"
    known = isinstance(name, str) and (name in ARCHITECTURES or name == RESIDUAL)
    need(known, "labels: architecture", code)
    need(is_number(labels["scale"], 1e-6, 1e6), "labels: scale", code)
    size = labels.get("size", 1)
    need(type(size) is int and 1 <= size <= LARGEST_SIZE, "labels: size", code)
    need(labels.get("live", True) is True, "labels: live must be true or absent", code)
    plain = image["preprocessing"]["kind"] in ("none", "standardise")
    need(plain, "labels: a teacher sees images that are not whitened", code)
    wanted = {"images", *TEACHER}
    need(set(manifest.tensors) == wanted, "tensors: labels of kind teacher need others", "DDS-E013")
    shape = (image["channels"], image["height"], image["width"])
    steps = network_of(labels, image, len(manifest.classes))
    weights, rows = stored_sizes(steps)
    affines = "uint8" if name == RESIDUAL else "float32"
    found, affine = (manifest.tensors[tensor] for tensor in TEACHER)
    fits = (found.dtype, found.shape) == ("uint8", (weights,))
    fits = fits and (affine.dtype, affine.shape) == (affines, (rows, 2))
    need(fits, "tensors: not the weights of the architecture", "DDS-E013")
    products, widest = costs(steps, *shape)
    # Weights become float64, by way of a second array.
    if max(8 * widest, 16 * weights) > limits.decoded_bytes:
        raise LimitExceeded("labels: a layer of the teacher needs too much memory", "DDS-E040")
    needed, most = count * regions_of(manifest) * products, limits.teacher_products
    if needed > most:
        text = f"labels: the teacher needs {needed} products, the limit is {most}"
        raise LimitExceeded(text, "DDS-E040")
