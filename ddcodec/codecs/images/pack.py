"""``pack``: anyone's distilled images and labels as one file, however many they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...format import Manifest
from ...format.chunk_writer import ChunkWriter
from ...format.quantise import short_offset, symbols_of
from ...runtime.outputs import check_output, output_path
from ..shared.statement import image_of, provenance_of, source_of

CHUNK_BYTES = 1 << 20  # of decoded images in a chunk, unless the caller says how many images
Block = tuple[NDArray[Any], NDArray[Any]]
RECIPE = {
    "network": {"name": "convnet", "norm": "instance", "depth": 3, "width": 128},
    "optimizer": {"name": "adam", "lr": 1e-3},
    "steps": 1000,
    "batch_size": 256,
    "augment": "none",
    "loss": "soft_cross_entropy",
}


def pack(
    images: NDArray[Any] | Iterable[Block],
    labels: NDArray[Any] | None,
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
        images: (N, C, H, W) with C 1 or 3: uint8 before preprocessing, or float32 as networks see
            them. Or an iterable of (images, labels) blocks of any length, with ``labels`` None.
        labels: soft, float32 (N, classes), no value negative and no row all zero; or class
            indices, integers (N,).
        classes: names in label order.
        out: the file. It appears whole or not at all.
        name: of the data set, as shown to people.
        bits: 2 to 8 to quantise float32 images evenly over their range; None keeps their bits.
            Needs ``images`` as an array, which is read twice.
        preprocessing: ``{"kind": "none"}`` (the default), ``{"kind": "standardise", "mean": [..],
            "std": [..]}`` in units of value / 255, or another (``preprocessing.transform.fit``).
        recipe: fields of the manifest's recipe that differ from ``RECIPE``.
        license: a short text.
        chunk: images a chunk; by default as many as fill 1 MiB.
        level: of zstd, 1 to 19.
        overwrite: replace an existing file.

    Raises:
        UsageError: shapes, dtypes or settings do not fit. InvalidFile: no file may hold what was
        given (a negative label, a repeated class). OutputError: ``out`` cannot be written.
    """
    target = output_path(out)
    check_output(target, overwrite)
    if bits is not None and not 2 <= bits <= 8:
        raise UsageError(f"bits must lie in 2..8, got {bits}")
    if chunk is not None and chunk < 1:
        raise UsageError(f"chunk must be at least 1, got {chunk}")
    if not 1 <= level <= 19:
        raise UsageError(f"level must lie in 1..19, got {level}")
    quantiser = None if bits is None else _range_of(images, bits, CHUNK_BYTES)
    source = hashlib.sha256()
    count, first = 0, None
    with ChunkWriter(target, level) as writer:
        for picture, label in _chunks(_blocks(images, labels), chunk):
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
        manifest = Manifest(
            codec={"name": "images", "version": 1, "params": {}},
            classes=tuple(classes),
            image=image_of(first[0].shape[1:], preprocessing or {"kind": "none"}),
            tensors={},
            labels={"kind": "index" if first[1].ndim == 1 else "soft"},
            recipe={**RECIPE, **(recipe or {})},
            source=source_of(name, count, source.hexdigest()),
            provenance=provenance_of("pack", 0),
            license=license,
        )
        return writer.finish(manifest)


def _blocks(images: NDArray[Any] | Iterable[Block], labels: NDArray[Any] | None) -> Iterator[Block]:
    """Give (images, labels) blocks, checked and in the dtypes of the file."""
    if labels is None:
        if isinstance(images, np.ndarray):
            raise UsageError("an array of images needs labels; give them as the second argument")
        blocks: Iterable[Block] = images
    else:
        if not isinstance(images, np.ndarray):
            raise UsageError("blocks bring their own labels; pass None as the second argument")
        if len(images) != len(labels):
            raise UsageError(f"{len(images)} images but {len(labels)} labels; give one an image")
        step = _default_chunk(images)
        blocks = ((images[i : i + step], labels[i : i + step]) for i in range(0, len(images), step))
    for picture, label in blocks:
        picture, label = np.asarray(picture), np.asarray(label)
        if picture.ndim != 4 or picture.shape[1] not in (1, 3) or 0 in picture.shape[1:]:
            raise UsageError(
                f"images have shape {picture.shape}; they must be (N, channels, height, width) "
                "with 1 or 3 channels"
            )
        if picture.dtype not in (np.uint8, np.float32):
            raise UsageError(f"images are {picture.dtype}; they must be uint8 or float32")
        if len(picture) != len(label):
            raise UsageError(f"a block of {len(picture)} images has {len(label)} labels")
        if label.ndim == 1 and label.dtype.kind in "iu":
            yield picture, label.astype(np.int32)
        elif label.ndim == 2 and label.dtype.kind == "f":
            yield picture, label.astype(np.float32)
        else:
            raise UsageError(
                f"labels are {label.dtype} {label.shape}; they must be soft, float32 "
                "(N, classes), or class indices, integers (N,)"
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


def _default_chunk(images: NDArray[Any]) -> int:
    row = int(np.prod(images.shape[1:])) * images.dtype.itemsize
    return max(1, CHUNK_BYTES // max(1, row))


def _range_of(images: NDArray[Any] | Iterable[Block], bits: int, at_once: int) -> dict[str, Any]:
    """Return a uniform quantiser over the range of all images, read in slices."""
    if not isinstance(images, np.ndarray) or images.dtype != np.float32:
        raise UsageError("bits needs the images as one float32 array; its range is read first")
    if images.ndim != 4 or len(images) == 0:
        raise UsageError(f"images have shape {images.shape}; they must be (N, C, H, W)")
    step = max(1, at_once // max(1, images[0].nbytes))
    parts = [images[i : i + step] for i in range(0, len(images), step)]
    low, high = min(float(p.min()) for p in parts), max(float(p.max()) for p in parts)
    if not np.isfinite([low, high]).all():
        raise UsageError("cannot quantise values that are not finite")
    levels = 2**bits - 1
    scale = float(f"{max((high - low) / levels, 1e-12) * 1.00001:.6g}")
    return {"kind": "uniform", "bits": bits, "offset": [short_offset(low, scale)], "scale": [scale]}
