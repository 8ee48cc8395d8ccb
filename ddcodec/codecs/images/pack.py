"""``pack``: anyone's distilled images and labels as one file, however many they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError, one_line
from ...format import Manifest
from ...format.chunk_writer import ChunkWriter
from ...format.quantise import short_offset, symbols_of
from ...format.values import MAX_SIDE
from ...runtime.arguments import text, truth, whole
from ...runtime.arrays import array_of, is_array, plain
from ...runtime.outputs import check_output, output_path
from ..shared.statement import depth_seen, image_of, provenance_of, source_of

CHUNK_BYTES = 1 << 20  # of decoded images in a chunk, unless the caller says how many images
Block = tuple[NDArray[Any], NDArray[Any]]


def pack(
    images: ArrayLike | Iterable[tuple[ArrayLike, ArrayLike]],
    labels: ArrayLike | None,
    classes: Sequence[str],
    out: str | os.PathLike[str],
    *,
    name: str = "images",
    bits: int | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    license: str | None = None,
    chunk: int | None = None,
    level: int = 9,
    overwrite: bool = False,
) -> Manifest:
    """Write distilled images with their labels into one file; return what was written.

    One chunk is in memory at a time: give a memory-mapped array, or an iterator of blocks, for
    more images than fit.

    Args:
        images: (N, C, H, W) with C 1 or 3: integers 0 to 255 before preprocessing, stored as
            uint8, or floats as networks see them, stored as float32. An array or a tensor, on any
            device and with or without grad, or a list of images. Or an iterable of (images, labels)
            blocks of any length, with ``labels`` None.
        labels: soft, floats (N, classes), no value negative and no row all zero, stored as float32;
            or class indices, integers (N,). None where there is one image a class, in their order.
        classes: names in label order.
        out: the file. It appears whole or not at all.
        name: of the data set, as shown to people.
        bits: 2 to 8 to quantise float32 images evenly over their range; None keeps their bits.
            Needs ``images`` as an array, which is read twice.
        preprocessing: ``{"kind": "none"}`` (the default), ``{"kind": "standardise", "mean": [..],
            "std": [..]}`` in units of value / 255, or another (``preprocessing.transform.fit``).
        recipe: fields of the manifest's recipe that differ from ``recipe_of``.
        license: a short text.
        chunk: images a chunk; by default as many as fill 1 MiB.
        level: of zstd, 1 to 19.
        overwrite: replace an existing file.

    Raises:
        UsageError: shapes, dtypes or settings do not fit. InvalidFile: no file may hold what was
        given (a negative label, a repeated class). OutputError: ``out`` cannot be written.
    """
    target = output_path(out)
    check_output(target, truth("overwrite", overwrite))
    name = text("name", name)
    license = None if license is None else text("license", license)
    if isinstance(classes, str):
        raise UsageError(f"`classes` must be the names of all classes, got {classes!r}")
    names = tuple(str(each) for each in classes)
    bits = None if bits is None else whole("bits", bits, 2, 8)
    chunk = None if chunk is None else whole("chunk", chunk, 1, MAX_SIDE)
    level = whole("level", level, 1, 19)
    quantiser = None if bits is None else _range_of(images, bits)
    source = hashlib.sha256()
    count, first = 0, None
    with ChunkWriter(target, level) as writer:
        for picture, label in _chunks(_blocks(images, labels, len(names)), chunk):
            if first is None:
                first = (picture[:0], label[:0])
                rows = chunk or _default_chunk(picture)
                writer.tensor("images", rows, quantiser)
                writer.tensor("labels", rows)
            stored = picture if quantiser is None else symbols_of(picture, quantiser)
            writer.add("images", stored)
            writer.add("labels", label)
            source.update(np.ascontiguousarray(picture).data)
            source.update(np.ascontiguousarray(label).data)
            count += len(picture)
        if first is None:
            raise UsageError("no images were given; a file holds at least one")
        shape = first[0].shape[1:]
        manifest = Manifest(
            codec={"name": "images", "version": 1, "params": {}},
            classes=names,
            image=image_of(shape, plain(preprocessing or {"kind": "none"})),
            tensors={},
            labels={"kind": "index" if first[1].ndim == 1 else "soft"},
            recipe={**recipe_of(shape, count), **plain(recipe or {})},
            source=source_of(name, count, source.hexdigest()),
            provenance=provenance_of("pack", 0),
            license=license,
        )
        return writer.finish(manifest)


def recipe_of(shape: tuple[int, ...], count: int) -> dict[str, Any]:
    """Return how to train on ``count`` images (C, H, W), unless the caller says otherwise.

    Few images are learned in few steps.
    """
    return {
        "network": {
            "name": "convnet",
            "norm": "instance",
            "depth": min(3, depth_seen(*shape[1:])),
            "width": 128,
        },
        "optimizer": {"name": "adam", "lr": 1e-3},
        "steps": min(1000, max(200, 4 * count)),
        "batch_size": 256,
        "augment": "none",
        "loss": "soft_cross_entropy",
    }


def _blocks(images: Any, labels: Any, classes: int) -> Iterator[Block]:
    """Give (images, labels) blocks, checked and in the dtypes of the file."""
    first = 0
    if labels is None and is_array(images):
        if len(images) != classes:
            raise UsageError(
                f"{len(images)} images of {classes} classes need labels; give them as the second "
                "argument (without, image i is of class i)"
            )
        labels = np.arange(classes)
    for picture, label in _given(images, labels):
        picture, label = _pictures(picture), _labels(label, classes, first)
        if len(picture) != len(label):
            raise UsageError(f"a block of {len(picture)} images has {len(label)} labels")
        first += len(picture)
        yield picture, label


def _given(images: Any, labels: Any) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Give blocks as arrays of any kind, few images at a time of an array or tensor."""
    if labels is None:
        for block in images:
            if not isinstance(block, tuple | list) or len(block) != 2:
                raise UsageError(
                    f"`images` gives a {type(block).__name__}, not pairs (images, labels); give "
                    "labels as the second argument, or blocks that bring their own"
                )
            yield _array(block[0], "images"), _array(block[1], "labels")
        return
    if not is_array(images):
        if not isinstance(images, list | tuple):
            raise UsageError("blocks bring their own labels; pass None as the second argument")
        images = np.stack([_array(image, "images") for image in images]) if images else np.empty(0)
    label = _array(labels, "labels")
    if images.ndim == 0 or label.ndim == 0 or len(images) != len(label):
        count = label.shape[0] if label.ndim else 1
        raise UsageError(f"{len(images)} images but {count} labels; give one an image")
    step = _default_chunk(images)
    for i in range(0, len(images), step):
        yield _array(images[i : i + step], "images"), label[i : i + step]


def _array(value: Any, what: str) -> NDArray[Any]:
    try:
        return array_of(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{what} are no array: {one_line(error)}") from None


def _pictures(x: NDArray[Any]) -> NDArray[Any]:
    """Return images as the file holds them, uint8 or float32; raises UsageError for others."""
    if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape[1:]:
        last = x.ndim == 4 and x.shape[3] in (1, 3)
        hint = "; these have their channels last, transpose(0, 3, 1, 2) moves them" if last else ""
        raise UsageError(
            f"images have shape {x.shape}; they must be (N, channels, height, width) "
            f"with 1 or 3 channels{hint}"
        )
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            x = x.astype(np.float32, copy=False)
        if not np.isfinite(x).all():
            raise UsageError("images hold values that are not finite in float32")
        return np.ascontiguousarray(x)
    if x.dtype.kind not in "iu":
        raise UsageError(f"images are {x.dtype}; they must be uint8 or float32")
    if x.size and (x.min() < 0 or x.max() > 255):
        raise UsageError(
            f"images are {x.dtype} from {x.min()} to {x.max()}; integers must lie in 0..255, "
            "values as networks see them are floats"
        )
    return np.ascontiguousarray(x, np.uint8)


def _labels(x: NDArray[Any], classes: int, first: int) -> NDArray[Any]:
    """Return labels as the file holds them, int32 (N,) or float32 (N, classes).

    ``first`` is the number of their first image. Raises UsageError for others.
    """
    if x.ndim == 2 and x.shape[1] == 1 < classes:
        x = x[:, 0]
    if x.ndim == 1 and x.dtype.kind in "iu":
        outside = np.flatnonzero((x < 0) | (x >= classes))
        if len(outside):  # before they are narrowed, which would make other labels of them
            at = outside[0]
            raise UsageError(
                f"label {x[at]} of image {first + at} is out of range, the classes are "
                f"0..{classes - 1}"
            )
        return x.astype(np.int32)
    if x.ndim == 2 and x.dtype.kind in "fiu":
        with np.errstate(over="ignore"):
            soft = x.astype(np.float32)
        if not np.isfinite(soft).all():
            raise UsageError("labels hold values that are not finite in float32")
        return soft
    raise UsageError(
        f"labels are {x.dtype} {x.shape}; they must be soft, float32 (N, classes), or class "
        "indices, integers (N,)"
    )


def _chunks(blocks: Iterator[Block], chunk: int | None) -> Iterator[Block]:
    """Cut blocks of any length into chunks of one length; the last may be shorter."""
    held: list[Block] = []
    size = 0
    for block in blocks:
        if held and not _alike(block[0], held[0][0]):
            raise UsageError(
                f"a block of {block[0].dtype} images {block[0].shape[1:]} follows "
                f"{held[0][0].dtype} images {held[0][0].shape[1:]}; all must be alike"
            )
        if held and block[1].shape[1:] != held[0][1].shape[1:]:
            raise UsageError("blocks differ in the kind or number of their labels")
        held.append(block)
        size += len(block[0])
        chunk = chunk or _default_chunk(block[0])
        while size >= chunk:
            images, labels = (np.concatenate(part) for part in zip(*held, strict=True))
            whole = size - size % chunk
            for i in range(0, whole, chunk):
                yield images[i : i + chunk], labels[i : i + chunk]
            held, size = [(images[whole:].copy(), labels[whole:].copy())], size - whole
    if size:
        images, labels = (np.concatenate(part) for part in zip(*held, strict=True))
        yield images, labels


def _alike(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and a.shape[1:] == b.shape[1:]


def _default_chunk(images: Any) -> int:
    row = int(prod(images.shape[1:])) * (1 if images.dtype in (np.uint8, "torch.uint8") else 4)
    return max(1, CHUNK_BYTES // max(1, row))


def _range_of(images: Any, bits: int) -> dict[str, Any]:
    """Return a uniform quantiser over the range of all images, read in slices."""
    if not is_array(images) or array_of(images[:0]).dtype.kind != "f":
        raise UsageError("`bits` needs the images as one float32 array; its range is read first")
    if images.ndim != 4 or len(images) == 0:
        raise UsageError(f"images have shape {tuple(images.shape)}; they must be (N, C, H, W)")
    step = _default_chunk(images)
    parts = (_pictures(array_of(images[i : i + step])) for i in range(0, len(images), step))
    ends = [(float(part.min()), float(part.max())) for part in parts]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    levels = 2**bits - 1
    scale = float(f"{max((high - low) / levels, 1e-12) * 1.00001:.6g}")
    return {"kind": "uniform", "bits": bits, "offset": [short_offset(low, scale)], "scale": [scale]}
