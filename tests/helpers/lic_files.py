"""Files of the codec lic: the valid ones of the vectors, and hostile ones made from them."""

from __future__ import annotations

import io
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np
from PIL import Image

from ddcodec.codecs.lic.affine import factor_codes
from ddcodec.codecs.lic.integer_network import RESIDUAL, network_of, stored_sizes, units
from ddcodec.format import Manifest, Storage, to_bytes
from tests.helpers.hostile import Change, Forgery, both, drop, set_path
from tests.helpers.small_files import manifest

CLASSES = ("ant", "bee", "cat")


def lic_manifest(
    kind: str = "logits",
    cells: tuple[int, int] = (2, 2),
    classes: tuple[str, ...] = CLASSES,
    size: tuple[int, int, int] = (3, 6, 8),
) -> Manifest:
    """Return a manifest of mosaics of ``size`` (C, H, W)."""
    channels, height, width = size
    grey, rgb = {"mean": [0.5], "std": [0.25]}, {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.3]}
    recipe = {
        "network": {"name": "convnet", "norm": "instance", "depth": 2, "width": 16},
        "optimizer": {"name": "adamw", "lr": 0.001, "weight_decay": 0.0001},
        "schedule": "multistep",
        "steps": 100,
        "batch_size": 10,
        "augment": "dsa",
        "loss": "soft_cross_entropy",
    }
    observer = {"architecture": "convnet3", "digest": "01" * 16}
    return manifest(
        codec={
            "name": "lic",
            "version": 1,
            "params": {"cells": list(cells), "filter": "bilinear"},
        },
        classes=classes,
        image={
            "channels": channels,
            "height": height,
            "width": width,
            "colour": "rgb" if channels == 3 else "grey",
            "preprocessing": {"kind": "standardise", **(rgb if channels == 3 else grey)},
        },
        labels={"kind": kind} | ({} if kind == "index" else {"temperature": 2.5}),
        patches=None,
        order=None,
        recipe=recipe,
        provenance={"tool": "test", "command": "ddcodec encode", "seed": 0, "observer": observer},
    )


def lic_arrays(found: Manifest, count: int = 4, top: int = 2, seed: int = 21) -> dict[str, Any]:
    """Return mosaics and labels that fit a manifest."""
    random = np.random.default_rng(seed)
    image, classes = found.image, len(found.classes)
    shape = (count, image["channels"], image["height"], image["width"])
    arrays: dict[str, Any] = {"images": random.integers(0, 256, shape, np.uint8)}
    across, down = found.codec["params"]["cells"]
    regions = across * down + (across * down > 1)
    kind = found.labels["kind"]
    if kind == "index":
        return arrays | {"labels": (np.arange(count) % classes).astype(np.int32)}
    symbols = classes if kind == "logits" else top + 1
    labels = random.integers(0, 256, (count, regions, symbols)).astype(np.uint8)
    first = random.integers(0, symbols, (count, regions, 1))
    np.put_along_axis(labels, first, 0, -1)
    if kind == "top":
        drawn = random.permuted(np.tile(np.arange(classes), (count, regions, 1)), axis=-1)
        index = drawn[..., :top]
        planes = 1 if classes <= 256 else 2
        listed = np.stack([(index >> 8 * plane) & 255 for plane in range(planes)], -2)
        arrays["label_classes"] = listed.astype(np.uint8)
    return arrays | {"labels": labels}


def lic_valid() -> dict[str, bytes]:
    """Return every valid file by name."""
    many = tuple(f"class {i}" for i in range(300))
    cases = {
        "lic-logits": lic_manifest(),
        "lic-top": lic_manifest("top"),
        "lic-class-indices": lic_manifest("index"),
        "lic-uneven-cells": lic_manifest(cells=(3, 4), size=(1, 7, 5)),
        "lic-one-cell": lic_manifest(cells=(1, 1), size=(1, 5, 4)),
        "lic-top-of-many": lic_manifest("top", classes=many, size=(1, 4, 4)),
    }
    files = {}
    for name, found in cases.items():
        arrays = lic_arrays(found)
        files[name] = to_bytes(found, arrays, {n: Storage(coder="raw") for n in arrays})[0]
    chunked = lic_arrays(lic_manifest("top"))
    storage = {name: Storage(chunk=3) for name in chunked}
    for name in ("convnet3", "convnet4", "resnet18", "mobilenetv2"):
        files[f"lic-teacher-{name}"] = teacher_file(name)
    files["lic-teacher-residual"] = small_teacher_file(small_teacher_manifest())
    # The stem reduces, the pooling too, and the teacher stands in no chunk.
    live = small_teacher_manifest(6, (1, 66, 65), live=True)
    files["lic-teacher-live"] = small_teacher_file(live, chunk=1)
    # WebP alone: libwebp decodes to the same bytes everywhere, which AVIF's libraries may not.
    for name, size in (("lic-webp", (3, 6, 8)), ("lic-webp-grey", (1, 6, 8))):
        found = lic_manifest(size=size)
        how = {"images": Storage(chunk=3, coder="webp", quality=60), "labels": Storage(chunk=3)}
        files[name] = to_bytes(found, lic_arrays(found), how)[0]
    files["lic-chunks"] = to_bytes(lic_manifest("top"), chunked, storage)[0]
    return files


def teacher_manifest(name: str, size: tuple[int, int, int] = (3, 6, 8)) -> Manifest:
    """Return a manifest of mosaics of two cells with the network that labels them."""
    found = lic_manifest("teacher", (2, 1), size=size)
    found.labels.update(architecture=name, scale=8000.5)
    return found


def teacher_arrays(found: Manifest, count: int = 2, seed: int = 31) -> dict[str, Any]:
    """Return mosaics and a teacher of a few weights that are not 0, so that files stay small."""
    random = np.random.default_rng(seed)
    image, classes = found.image, len(found.classes)
    size = (image["channels"], image["height"], image["width"])
    steps = network_of(found.labels, image, classes)
    weights, rows = stored_sizes(steps)
    sparse = np.full(weights, 128, np.uint8)
    # A run of weights in every layer: zstd keeps repetition small.
    pattern = random.integers(1, 256, 97).astype(np.uint8)
    sparse[: weights // 97 * 97] = np.tile(pattern, weights // 97)
    affine = np.tile([0.75, 12.0], (rows, 1)).astype(np.float32)
    at = 0
    for unit in units(steps):
        filters = 1 if unit is None else unit.filters
        if unit is not None:
            # About what keeps the size of values from layer to layer, with a step in it.
            affine[at : at + filters, 0] = 0.02 / np.sqrt(unit.weights / filters)
        at += filters
    affine[-classes:, 0] *= 1e-4  # logits, not integers
    return {
        "images": random.integers(0, 256, (count, *size), np.uint8),
        "label_weights": sparse,
        "label_affine": affine,
    }


def teacher_file(name: str) -> bytes:
    """Return a small file with a teacher."""
    found = teacher_manifest(name)
    return to_bytes(found, teacher_arrays(found), {})[0]


def small_teacher_manifest(
    size: int = 11, image: tuple[int, int, int] = (3, 6, 8), live: bool = False
) -> Manifest:
    """Return a manifest of mosaics of two cells with a small residual network."""
    found = teacher_manifest(RESIDUAL, image)
    found.labels.update({"size": size} | ({"live": True} if live else {}))
    return found


def small_teacher_arrays(found: Manifest, count: int = 2, seed: int = 41) -> dict[str, Any]:
    """Return mosaics and a small residual network of drawn weights and rows."""
    random = np.random.default_rng(seed)
    image = found.image
    steps = network_of(found.labels, image, len(found.classes))
    shape = (count, image["channels"], image["height"], image["width"])
    weights, rows = stored_sizes(steps)
    symbols = random.normal(128, 30, weights).round().clip(1, 255).astype(np.uint8)
    affine = random.integers(100, 156, (rows, 2)).astype(np.uint8)
    at = 0
    for unit in units(steps):
        if unit is None:
            affine[at] = [factor_codes(np.array([0.5]), "signed")[0], 128]
            at += 1
            continue
        # About what keeps the size of values from layer to layer.
        usual = 0.05 / np.sqrt(unit.weights / unit.filters) * (2e-4 if unit.end == "logits" else 1)
        affine[at : at + unit.filters, 0] = factor_codes(
            usual * random.uniform(0.5, 2, unit.filters), unit.end
        )
        at += unit.filters
    return {
        "images": random.integers(0, 256, shape, np.uint8),
        "label_weights": symbols,
        "label_affine": affine,
    }


def small_teacher_file(found: Manifest, chunk: int | None = None, seed: int = 41) -> bytes:
    """Return a small file with a small residual network."""
    storage = {name: Storage(coder="context") for name in ("label_weights", "label_affine")}
    storage["images"] = Storage(chunk=chunk)
    return to_bytes(found, small_teacher_arrays(found, seed=seed), storage)[0]


def of_small_teacher(change: Change, live: bool = False) -> Callable[[bytes], bytes]:
    """Change a valid file with a small residual network instead of the usual one."""

    def make(_: bytes) -> bytes:
        forgery = Forgery.of(small_teacher_file(small_teacher_manifest(live=live)))
        change(forgery)
        return forgery.build()

    return make


def of_teacher(change: Change) -> Callable[[bytes], bytes]:
    """Change a valid file with a teacher instead of the usual one."""

    def make(_: bytes) -> bytes:
        forgery = Forgery.of(teacher_file("convnet3"))
        change(forgery)
        return forgery.build()

    return make


def of_pictures(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change the second of the pictures of a valid file, digests included."""

    def make(_: bytes) -> bytes:
        found = lic_manifest()
        how = {"images": Storage(chunk=2, coder="webp", quality=60), "labels": Storage(chunk=2)}
        f = Forgery.of(to_bytes(found, lic_arrays(found), how)[0])
        begin, end = f.header["images.1"]["data_offsets"]
        picture = change(f.body[begin:end])
        f.body = f.body[:begin] + picture + f.body[end:]
        moved = len(picture) - (end - begin)
        for entry in f.header.values():
            entry["data_offsets"] = [at + moved * (at >= end) for at in entry["data_offsets"]]
        f.header["images.1"]["data_offsets"] = [begin, end + moved]
        f.header["images.1"]["shape"] = [len(picture)]
        f.manifest["tensors"]["images"]["digests"][1] = sha256(picture).hexdigest()
        f.manifest["data_digest"] = sha256(f.body).hexdigest()[:16]
        return f.build()

    return make


def wide_picture(data: bytes) -> bytes:
    """Claim 16383 x 16383 pixels, which a decoder would allocate."""
    return data[:26] + b"\xff\x3f\xff\x3f" + data[30:]


def saved(mode: str, **settings: Any) -> Callable[[bytes], bytes]:
    """Write another picture of the same size instead."""

    def change(data: bytes) -> bytes:
        with Image.open(io.BytesIO(data)) as picture:
            again, out = picture.convert(mode), io.BytesIO()
        if mode == "RGBA":
            again.putalpha(100)
        again.save(out, **{"format": "WEBP", "quality": 50} | settings)
        return out.getvalue()

    return change


def teacher_of_zeros(_: bytes) -> bytes:
    """Make a file, right but for weights of a symbol that stands for nothing."""
    found = teacher_manifest("convnet3")
    arrays = teacher_arrays(found)
    arrays["label_weights"] = np.zeros_like(arrays["label_weights"])
    return to_bytes(found, arrays, {})[0]


def of_lic(change: Change, kind: str = "top") -> Callable[[bytes], bytes]:
    """Change a valid file of the codec lic instead of the usual one."""

    def make(_: bytes) -> bytes:
        found = lic_manifest(kind)
        arrays = lic_arrays(found)
        raw = {name: Storage(coder="raw") for name in arrays}
        forgery = Forgery.of(to_bytes(found, arrays, raw)[0])
        change(forgery)
        return forgery.build()

    return make


def with_values(name: str, value: int, kind: str = "top") -> Callable[[bytes], bytes]:
    """Make a file, right but for a tensor that holds one value throughout."""

    def make(_: bytes) -> bytes:
        found = lic_manifest(kind)
        arrays = lic_arrays(found)
        arrays[name] = np.full_like(arrays[name], value)
        return to_bytes(found, arrays, {n: Storage(coder="raw") for n in arrays})[0]

    return make


def called_zstd(f: Forgery) -> None:
    del f.manifest["tensors"]["images"]["coder"]
    begin, end = f.header["images"]["data_offsets"]
    f.header["images"]["shape"] = [end - begin]


def rows_of_floats(f: Forgery) -> None:
    """State rows as those of the other architectures are, in the bytes that are there."""
    spec = f.manifest["tensors"]["label_affine"]
    del spec["dtype"], spec["coder"]


PARAMS = "codec/params"
ORDER = {"grid": [1, 1], "cells": [0], "rule": "given"}
HUGE = [2**18, 3, 6, 8]
LIC_CASES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    *[(name, of_lic(change), code) for name, change, code in (
        ("lic-without-params", lambda f: f.manifest["codec"].pop("params"), "DDS-E010"),
        ("lic-params-of-text", set_path(PARAMS, "cells"), "DDS-E010"),
        ("lic-another-param", set_path(f"{PARAMS}/run", "os.system"), "DDS-E010"),
        ("lic-another-filter", set_path(f"{PARAMS}/filter", "nearest"), "DDS-E012"),
        ("lic-no-cells", set_path(f"{PARAMS}/cells", [0, 2]), "DDS-E012"),
        ("lic-cells-of-floats", set_path(f"{PARAMS}/cells", [2.0, 2]), "DDS-E012"),
        ("lic-more-cells-than-pixels", set_path(f"{PARAMS}/cells", [2, 7]), "DDS-E012"),
        ("lic-other-cells", set_path(f"{PARAMS}/cells", [2, 3]), "DDS-E013"),
        ("lic-with-patches", set_path("patches", {"grid": [1, 1]}), "DDS-E010"),
        ("lic-with-an-order", set_path("order", ORDER), "DDS-E010"),
        ("lic-learned-labels", set_path("labels", {}), "DDS-E014"),
        ("lic-labels-without-temperature", set_path("labels", {"kind": "top"}), "DDS-E014"),
        ("lic-temperature-of-zero", set_path("labels/temperature", 0), "DDS-E014"),
        ("lic-another-kind-of-label", set_path("labels/kind", "logits"), "DDS-E013"),
        ("lic-label-classes-are-missing", drop("label_classes"), "DDS-E013"),
        ("lic-images-are-missing", drop("images"), "DDS-E013"),
        ("lic-images-of-floats", lambda f: f.manifest["tensors"]["images"].pop("dtype"),
            "DDS-E013"),
        ("lic-images-cut-differently", lambda f: f.manifest["tensors"]["images"].update(
            chunk=4, digests=["0" * 64]), "DDS-E013"),
        ("lic-more-regions-than-the-limit",
            both(set_path("tensors/images/shape", HUGE), called_zstd), "DDS-E040"),
        ("lic-decay-of-adam", set_path("recipe/optimizer", {"lr": 0.1, "weight_decay": 0.1}),
            "DDS-E010"),
        ("lic-schedule-of-a-number", set_path("recipe/schedule", 3), "DDS-E010"),
        ("lic-observer-without-digest", set_path("provenance/observer", {"architecture": "x"}),
            "DDS-E010"),
    )],
    *[(name, of_teacher(change), code) for name, change, code in (
        ("lic-teacher-of-no-listed-architecture",
            set_path("labels/architecture", "timm.models.vgg"), "DDS-E014"),
        ("lic-teacher-of-another-architecture",
            set_path("labels/architecture", "convnet4"), "DDS-E013"),
        ("lic-teacher-without-a-scale", set_path("labels/scale", 0), "DDS-E014"),
        ("lic-teacher-with-labels", set_path("labels", {"kind": "logits", "temperature": 2.0}),
            "DDS-E013"),
        ("lic-teacher-without-affine", drop("label_affine"), "DDS-E013"),
        ("lic-teacher-of-whitened-images",
            set_path("image/preprocessing", {"kind": "conv_whiten", "gain": 1.0,
                "size": 1, "kernel": [1, 0, 0, 0, 1, 0, 0, 0, 1]}), "DDS-E014"),
    )],
    *[(name, of_small_teacher(change), code) for name, change, code in (
        ("lic-residual-without-a-size", lambda f: f.manifest["labels"].pop("size"), "DDS-E014"),
        ("lic-residual-of-size-zero", set_path("labels/size", 0), "DDS-E014"),
        ("lic-residual-of-size-201", set_path("labels/size", 201), "DDS-E014"),
        ("lic-residual-of-half-a-size", set_path("labels/size", 5.5), "DDS-E014"),
        ("lic-residual-of-another-size", set_path("labels/size", 12), "DDS-E013"),
        ("lic-residual-with-rows-of-floats", rows_of_floats, "DDS-E013"),
        ("lic-teacher-live-as-a-number", set_path("labels/live", 1), "DDS-E014"),
        ("lic-teacher-not-live-in-words", set_path("labels/live", False), "DDS-E014"),
    )],
    ("lic-teacher-with-a-size", of_teacher(set_path("labels/size", 5)), "DDS-E014"),
    ("lic-stored-labels-that-live", of_lic(set_path("labels/live", True)), "DDS-E014"),
    *[(name, of_pictures(change), code) for name, change, code in (
        ("lic-webp-that-claims-a-large-size", wide_picture, "DDS-E025"),
        ("lic-webp-cut-short", lambda data: data[:-9], "DDS-E025"),
        ("lic-webp-that-is-a-png", saved("RGB", format="PNG"), "DDS-E025"),
        ("lic-webp-with-transparency", saved("RGBA", lossless=True, exact=True), "DDS-E025"),
        ("lic-webp-with-metadata", saved("RGB", xmp=b"<x/>"), "DDS-E025"),
    )],
    ("lic-webp-of-floats", of_lic(lambda f: f.manifest["tensors"]["label_classes"].update(
        coder="webp")), "DDS-E006"),
    ("lic-teacher-of-zeros", teacher_of_zeros, "DDS-E022"),
    ("lic-label-without-a-unit", with_values("labels", 1), "DDS-E014"),
    ("lic-a-class-twice-in-a-label", with_values("label_classes", 1), "DDS-E011"),
    ("lic-a-label-of-no-class", with_values("label_classes", 3), "DDS-E011"),
    ("lic-index-of-no-class", with_values("labels", 3, "index"), "DDS-E011"),
    ("lic-index-below-zero", with_values("labels", -1, "index"), "DDS-E011"),
]  # fmt: skip
