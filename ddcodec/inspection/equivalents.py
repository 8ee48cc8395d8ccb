"""What the same data set would take in the forms people are used to: fp32 images, PNG, npz.

It decodes the file, so it costs more than the rest of ``info`` and is done only when asked.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codecs.registry import CODECS
from ..data.export import Decoded, png, write_member
from ..format import read, read_manifest

Arrays = Iterator[NDArray[Any]]
ZIP_END = 22  # bytes at the end of an archive, which a second member does not add


class ByteCounter(io.RawIOBase):
    """A file that keeps nothing but its size; ``zipfile`` goes back in it to complete a header."""

    def __init__(self) -> None:
        self._at = self.size = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def write(self, data: Any, /) -> int:
        count = memoryview(data).nbytes
        self._at += count
        self.size = max(self.size, self._at)
        return count


def equivalents(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the same data set's size in other forms, in bytes unless the name says otherwise.

    ``fp32_images_per_class``
        The file's bytes as plain float32 images of its size: bytes / (classes x 4 C H W).
    ``png``: {``images``, ``labels``, ``total``}
        Every poster (as patches are cut from it) as an 8-bit PNG, its values spread over 0 to 255,
        or every image as a PNG of its own; the soft labels of all images as ``npz``.
    ``npz``: {``images``, ``labels``, ``total``}
        All decoded training images and soft labels as ``numpy.savez_compressed`` writes them:
        float32, or uint8 where the file stores bytes.

    Raises InvalidFile as ``load``, Unsupported for what this version cannot decode.
    """
    manifest, sizes = read_manifest(path)
    image, classes = manifest.image, len(manifest.classes)
    values = image["channels"] * image["height"] * image["width"]
    decoded = Decoded(path)
    shape = (decoded.count, image["channels"], image["height"], image["width"])
    labels = npz_bytes("labels", (decoded.count, classes), "<f4", (y for _, y in decoded.samples()))
    if decoded.rounded:
        images = npz_bytes("images", shape, "<f4", (x for x, _ in decoded.samples()))
    else:
        rows = (x.transpose(0, 3, 1, 2) for x, _ in decoded.pictures())
        images = npz_bytes("images", shape, "|u1", rows)
    drawn = CODECS[manifest.codec["name"]].pictures
    found = drawn(manifest, read(path).arrays, decoded.count).posters if manifest.patches else ()
    if found:
        pictures = sum(len(png(eight_bits(poster))) for poster in found)
    else:
        pictures = sum(len(png(picture)) for batch, _ in decoded.pictures() for picture in batch)
    return {
        "fp32_images_per_class": sizes.total / (classes * 4 * values),
        "png": {"images": pictures, "labels": labels, "total": pictures + labels},
        "npz": {"images": images, "labels": labels - ZIP_END, "total": images + labels - ZIP_END},
    }


def eight_bits(poster: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a poster (C, H, W) as bytes (H, W, C), its least value 0 and its largest 255."""
    low, high = float(poster.min()), float(poster.max())
    spread = (poster.astype(np.float64) - low) * (255 / (high - low) if high > low else 0)
    return np.rint(spread).astype(np.uint8).transpose(1, 2, 0)


def npz_bytes(name: str, shape: tuple[int, ...], dtype: str, parts: Arrays) -> int:
    """Return the size of an ``npz`` with one compressed array, given in ``parts`` along axis 0."""
    counter = ByteCounter()
    with zipfile.ZipFile(counter, "w", zipfile.ZIP_DEFLATED) as archive:
        write_member(archive, name, shape, dtype, parts)
    return counter.size
