"""Whitening that fits in a file: a few dozen small integers, and the same bits on any machine.

Full ZCA whitening, which the papers use, is a matrix of 38 MB for 32-pixel images. ``conv_whiten``
convolves with a small kernel: the middle of what whitening by the inverse square root of the
covariance, for each half octave, makes of a dot. It is exact: its sums are of integers below 2^53
(specification, section 6). Like the papers it first takes the mean of an image and its contrast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UsageError
from ..format.rules import MOST_SIDE
from .stored import Stored, in_parts

KIND = "conv_whiten"
FINE = 4  # binary places of a centred pixel
COSINES = 12  # binary places of the transform that a kernel is fitted in
# Of a kernel that is fitted: pixels a side, where bytes are scarce and elsewhere, and its largest
# coefficient. Finer ones teach no better and take more of the file (docs/coding.md).
SMALL, SIZE, LARGEST = 3, 5, 127
REGULAR = 0.1  # added to eigenvalues, relative to their mean, as in the published recipe
FITTED = 10_000  # training images that the covariance is taken from
MEASURED = 1 << 22  # values whitened at a time where only their spread is wanted
AT_ONCE = 1 << 16  # float64 values at a time: what fits into a cache

Spec = Mapping[str, Any]
Doubles = NDArray[np.float64]
Centre = Callable[[Tensor], tuple[Tensor, Tensor]]


def whiten(x: Tensor, spec: Spec) -> Tensor:
    """Return uint8 images (N, C, H, W) whitened as ``spec`` says, float32 on the same device."""
    return _whitened(x, spec, centre)


def whiten_values(x: Tensor, spec: Spec) -> Tensor:
    """Return images float (N, C, H, W), of any scale, as ``whiten`` would bytes like them.

    For what no byte can hold, as distilled images: nothing is rounded on the way.
    """
    return _whitened(x, spec, _centre_values)


def _whitened(x: Tensor, spec: Spec, centred_of: Centre) -> Tensor:
    _, channels, height, width = x.shape
    size, gain = spec["size"], float(spec["gain"])
    table = torch.tensor(spec["kernel"], dtype=torch.float64, device=x.device)
    kernel = table.view(channels, channels, size, size)
    out = torch.empty(x.shape, dtype=torch.float32, device=x.device)
    step = max(1, AT_ONCE // (channels * height * width))
    for start in range(0, len(x), step):
        centred, contrast = centred_of(x[start : start + step])
        mixed = _convolved(centred, kernel)
        out[start : start + step] = mixed.mul_(gain).div_(contrast)
    return out


def _convolved(x: Tensor, kernel: Tensor) -> Tensor:
    """Return images (N, C, H, W) convolved with a kernel (C, C, size, size), float64, zeros around.

    As one product of matrices, since a convolution might take a way that rounds: every row of
    pixels under all rows of the kernel, which are then added up, each a pixel further down.
    """
    n, channels, height, width = x.shape
    size = kernel.shape[-1]
    half, rows = size // 2, height + 2 * (size // 2)
    padded = torch.nn.functional.pad(x, (half, half, half, half))
    across = [padded[..., shift : shift + width] for shift in range(size)]
    columns = torch.stack(across, 2).view(n, channels * size, rows * width)
    by_row = kernel.permute(2, 0, 1, 3).reshape(size * channels, channels * size)
    found = (by_row @ columns).view(n, size, channels, rows, width)
    total = found[:, 0, :, :height]
    for down in range(1, size):
        total += found[:, down, :, down : down + height]
    return total


def _centre_values(x: Tensor) -> tuple[Tensor, Tensor]:
    wide = x.double()
    centred = wide - wide.mean((1, 2, 3), keepdim=True)
    contrast = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
    return centred, torch.where(contrast == 0, torch.ones_like(contrast), contrast)


def centre(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image (N, C, H, W) less its mean, in sixteenths, and its contrast (N, 1, 1, 1).

    Integers in float64. The contrast is the root of the mean square, 1 for an image without any.
    """
    count = math.prod(x.shape[1:])
    centred = x.contiguous().double() * 2**FINE
    mean = centred.sum((1, 2, 3), keepdim=True) / count
    centred.sub_(mean).round_()
    flat = centred.view(len(x), 1, count)
    contrast = ((flat @ flat.mT).view(-1, 1, 1, 1) / count).sqrt_()
    return centred, torch.where(contrast == 0, torch.ones_like(contrast), contrast)


@lru_cache(maxsize=16)
def cosines(size: int) -> Doubles:
    """Return the orthonormal cosine transform (DCT-II) of an axis; row k holds frequency k."""
    at = np.arange(size, dtype=np.float64)
    table = np.cos(np.pi * (2 * at[None, :] + 1) * at[:, None] / (2 * size))
    scale = np.where(at == 0, math.sqrt(1 / size), math.sqrt(2 / size))
    rounded: Doubles = np.rint(table * scale[:, None] * 2**COSINES) / 2**COSINES
    return rounded


def band_of(height: int, width: int) -> NDArray[np.int64]:
    """Return the band of every frequency, int64 (H, W): bit length of its squared radius.

    Along the shorter side frequencies are counted as often as along the longer one.
    """
    side = max(height, width)
    rows, columns = (np.arange(n, dtype=np.int64) * side // n for n in (height, width))
    squared = rows[:, None] ** 2 + columns[None, :] ** 2
    bands: NDArray[np.int64] = np.frompyfunc(int.bit_length, 1, 1)(squared).astype(np.int64)
    return bands


def fit(images: Stored, size: int = SIZE) -> Spec:
    """Return the preprocessing ``conv_whiten`` of images uint8 (N, H, W, C).

    Its kernel has ``size`` x ``size`` pixels, an odd number.
    Raises UsageError for images that are too large, or have no contrast at all.
    """
    _, height, width, channels = images.shape
    if max(height, width) > MOST_SIDE or min(height, width) < 2:
        raise UsageError(
            f"`preprocessing`={KIND} takes images of 2 to {MOST_SIDE} pixels a side, these have "
            f"{width}x{height}; use standardise"
        )
    step = -(-len(images) // FITTED)
    chosen = torch.from_numpy(np.ascontiguousarray(images[::step])).permute(0, 3, 1, 2)
    covariance = _covariance(chosen)
    if not covariance.any():
        raise UsageError(f"`preprocessing`={KIND}: the training images have no contrast")
    ridge = REGULAR * float(np.trace(covariance.mean((0, 1)))) / channels
    bands = band_of(height, width)
    whitening = np.zeros((int(bands.max()) + 1, channels, channels))
    for band in np.unique(bands):
        mean = covariance[bands == band].mean(0) + ridge * np.eye(channels)
        values, vectors = np.linalg.eigh(mean)
        whitening[band] = (vectors * values**-0.5) @ vectors.T
    spec = _as_kernel(whitening[bands], size)
    squares = [
        float(whiten(chosen[part], spec).double().square().sum())
        for part in in_parts(chosen.shape, MEASURED)
    ]
    spread = (math.fsum(squares) / chosen.numel()) ** 0.5
    return {**spec, "gain": float(f"{1 / spread:.6g}")}


def has_contrast(images: Stored) -> bool:
    """Say whether any image uint8 (N, H, W, C) has two values: else no kernel whitens them."""
    for part in in_parts(images.shape, MEASURED):
        values = images[part].reshape(len(images[part]), -1)
        if (values != values[:, :1]).any():
            return True
    return False


def unwhiten(images: NDArray[np.float32], spec: Spec) -> NDArray[np.float32]:
    """Return whitened pictures (..., C, H, W) as they might have looked: 0 black, 1 white.

    For the eye only: mean and contrast of an image are lost, so those of a usual one stand in.
    Pictures may be larger than the images that were whitened, as posters are.
    """
    channels, *sides = images.shape[-3:]
    matrices = _response(spec, channels, sides[0], sides[1])
    inverse = np.linalg.pinv(matrices, rcond=1e-3)
    down, across = (cosines(n) for n in sides)
    coefficients = down @ images.astype(np.float64) @ across.T
    plain = down.T @ np.einsum("ijab,...bij->...aij", inverse, coefficients) @ across
    plain = plain - plain.mean((-3, -2, -1), keepdims=True)
    spread = np.maximum(plain.std((-3, -2, -1), keepdims=True), 1e-12)
    unit: NDArray[np.float32] = (0.5 + 0.22 * plain / spread).astype(np.float32)
    return unit


def _covariance(x: Tensor) -> Doubles:
    """Return the mean colour covariance of every frequency, float64 (H, W, C, C)."""
    _, channels, height, width = x.shape
    down, across = (torch.from_numpy(cosines(size)) for size in (height, width))
    total = torch.zeros(height, width, channels, channels, dtype=torch.float64)
    step = max(1, AT_ONCE // (channels * height * width))
    for start in range(0, len(x), step):
        centred, contrast = centre(x[start : start + step])
        coefficients = down @ (centred / contrast) @ across.T
        total += torch.einsum("naij,nbij->ijab", coefficients, coefficients)
    found: Doubles = (total / len(x)).numpy()
    return found


def _as_kernel(matrices: Doubles, size: int) -> dict[str, Any]:
    """Return the middle of what whitening makes of a dot in the middle, for each colour."""
    height, width, channels, _ = matrices.shape
    down, across = (cosines(n) for n in (height, width))
    y, x, half = height // 2, width // 2, size // 2
    kernel = np.zeros((channels, channels, size, size))
    for colour in range(channels):
        dot = np.outer(down[:, y], across[:, x])
        seen = down.T @ (matrices[:, :, :, colour].transpose(2, 0, 1) * dot) @ across
        padded = np.pad(seen, ((0, 0), (half, half), (half, half)))
        kernel[:, colour] = padded[:, y : y + size, x : x + size][:, ::-1, ::-1]
    scaled = np.rint(kernel * (LARGEST / np.abs(kernel).max())).astype(int)
    return {"kind": "conv_whiten", "gain": 1.0, "size": size, "kernel": scaled.reshape(-1).tolist()}


def _response(spec: Spec, channels: int, height: int, width: int) -> Doubles:
    """Return what a kernel does to every frequency, float64 (H, W, C, C), mirrored at the edges."""
    size, half = spec["size"], spec["size"] // 2
    kernel = np.array(spec["kernel"], dtype=np.float64).reshape(channels, channels, size, size)
    rows, columns = (np.pi * np.arange(n) / n for n in (height, width))
    out = np.zeros((height, width, channels, channels))
    for dy in range(-half, half + 1):
        for dx in range(-half, half + 1):
            wave = np.cos(dy * rows)[:, None] * np.cos(dx * columns)[None, :]
            out += wave[:, :, None, None] * kernel[:, :, half + dy, half + dx]
    return out
