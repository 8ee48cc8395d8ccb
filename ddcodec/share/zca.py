"""ZCA whitening as the published code has it, in both variants, there and back.

Their matrices (38 MB for 32-pixel images) are in no file. They are computed again from the real
images, to turn whitened sets back into pixels. With X the training images as rows:

- ``kornia`` (MTT, TESLA, FTD, DATM): x = v / 255, flattened by channels; centred by the mean of
  every place; W = V (E / n + 0.1)^(-1/2) V', E the eigenvalues of X'X.
- ``podd`` (PoDD, RaT-BPTT): flattened with channels last; every image less its own mean and
  divided by its own norm; covariance X'X / n; W = V (E + 0.1 mean(E))^(-1/2) V'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..preprocessing.stored import Stored, in_parts

VARIANTS = ("kornia", "podd")
MOST_VALUES = 3 * 32 * 32  # of an image: the decomposition takes the cube of it
EPSILON = 0.1
AT_ONCE = 1 << 23  # values of real images in float64 at a time

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ZCA:
    """A whitening of images (C, H, W); ``matrix`` and ``inverse`` are symmetric, float64 (n, n)."""

    variant: str
    shape: tuple[int, int, int]
    mean: Doubles  # (n,), of value / 255; zeros for ``podd``
    matrix: Doubles
    inverse: Doubles

    def forward(self, pixels: NDArray[np.uint8]) -> Floats:
        """Return real images uint8 (n, H, W, C) as networks saw them, float32 (n, C, H, W)."""
        rows = _rows(pixels, self.variant) - self.mean
        return self._images(rows @ self.matrix)

    def back(self, images: Floats) -> Floats:
        """Return whitened images float32 (n, C, H, W) before it, in the same layout.

        For ``kornia`` 0 is black and 1 white. For ``podd`` the mean of an image is 0 and its norm
        near 1, as far as the set kept to that: both were lost.
        """
        order = images if self.variant == "kornia" else images.transpose(0, 2, 3, 1)
        rows = order.reshape(len(images), -1).astype(np.float64)
        return self._images(rows @ self.inverse + self.mean)

    def _images(self, rows: Doubles) -> Floats:
        channels, height, width = self.shape
        if self.variant == "kornia":
            found = rows.reshape(-1, channels, height, width)
        else:
            found = rows.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(found, np.float32)


def fits(shape: Sequence[int]) -> bool:
    """Say whether images (C, H, W) are small enough for a matrix."""
    return math.prod(shape) <= MOST_VALUES


def fitted(variant: str, images: Stored) -> ZCA:
    """Return a whitening computed from training images uint8 (N, H, W, C).

    Raises UsageError for images whose matrix would be too large.
    """
    count, height, width, channels = images.shape
    size = height * width * channels
    if size > MOST_VALUES:
        raise UsageError(
            f"`space`=zca: images of {width}x{height} need a matrix of {size} x {size}; up to "
            f"{MOST_VALUES} values an image are taken"
        )
    total, product = np.zeros(size), np.zeros((size, size))
    for part in in_parts(images.shape, AT_ONCE):
        rows = _rows(images[part], variant)
        total += rows.sum(0)
        # In float32, twice as fast: what is lost is far below what is added to the eigenvalues.
        narrow = rows.astype(np.float32)
        product += narrow.T @ narrow
    mean = total / count if variant == "kornia" else np.zeros(size)
    values, vectors = np.linalg.eigh(product / count - np.outer(mean, mean))
    values = np.maximum(values, 0)
    spread = values + EPSILON * (1 if variant == "kornia" else values.mean())
    root = np.sqrt(spread)
    return ZCA(
        variant,
        (channels, height, width),
        mean,
        (vectors / root) @ vectors.T,
        (vectors * root) @ vectors.T,
    )


def _rows(pixels: NDArray[np.uint8], variant: str) -> Doubles:
    """Return images uint8 (n, H, W, C) as rows float64 (n, C H W), before the matrix."""
    if variant == "kornia":
        order = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        rows: Doubles = order.reshape(len(pixels), -1) / 255.0
        return rows
    rows = pixels.reshape(len(pixels), -1).astype(np.float64)
    rows -= rows.mean(1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(norm == 0, 1, norm)
    return rows
