"""The fixed map from 8-bit pixels to what networks see, and back.

An encoder fits it on the training images and writes it into the file, so real test images are
treated exactly as the training images were. ``none`` and ``standardise`` look every value up in a
table of 256 float32 values a channel, each computed in float64 and rounded once; whitening adds
integers. So the result is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..errors import Unsupported, UsageError
from ..runtime.world import neutral_tensors
from .stored import Stored, in_parts
from .whiten import KIND as WHITENING
from .whiten import SIZE, unwhiten, whiten
from .whiten import fit as fit_whitening

Images = NDArray[np.uint8] | Tensor | Image.Image
Spec = Mapping[str, Any]

AT_ONCE = 1 << 18  # values looked up at a time: their indices stay in the cache
COUNTED = 1 << 22  # values counted at a time
EIGHT_BIT_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")


class Preprocess:
    """Turns 8-bit images of one size into network inputs, as a file's manifest says.

    ``none`` gives value / 255; ``standardise`` gives (value / 255 - mean) / std with one mean and
    std a channel, in float64 with one rounding to float32; ``conv_whiten`` is in
    ``preprocessing.whiten``.
    """

    def __init__(self, spec: Spec, channels: int, height: int, width: int) -> None:
        """Take ``image.preprocessing`` of a manifest and the size of the images.

        Raises Unsupported for a kind that this version does not know.
        """
        self.channels, self.height, self.width = channels, height, width
        self._spec = spec
        if is_whitening(spec):
            return
        mean, std = mean_and_std(spec, channels)
        unit = np.arange(256, dtype=np.float64) / 255
        values = (unit[None, :] - mean[:, None]) / std[:, None]
        self._table = torch.from_numpy(values.astype(np.float32))  # (C, 256)

    def __call__(self, images: Images) -> Tensor:
        """Return images as float32 (N, C, H, W); a single image gives N = 1.

        Takes uint8 arrays and tensors (N, H, W, C), (N, C, H, W) or one image without the first
        axis; grey images may lack the channel axis. Where a shape reads both ways, NumPy arrays
        are channel last (as sources give them) and tensors channel first (as networks take them).
        A Pillow image is converted to the file's colour; its size must fit. A tensor is answered
        on its own device. Raises UsageError for another type, size or number of channels.
        """
        with neutral_tensors():
            return self._prepared(images)

    def _prepared(self, images: Images) -> Tensor:
        if isinstance(images, Image.Image):
            images = self._from_pillow(images)
        x = self._channel_first(images)
        if is_whitening(self._spec):
            return whiten(x, self._spec)
        # One table for all channels: its rows follow each other, 256 values each.
        table = self._table.to(x.device).view(-1)
        rows = torch.arange(0, table.numel(), 256, dtype=torch.int32, device=x.device)
        out = torch.empty(x.shape, dtype=torch.float32, device=x.device)
        step = max(1, AT_ONCE // max(1, x[:1].numel()))
        for start in range(0, len(x), step):
            part = x[start : start + step]
            index = part.int() + rows[:, None, None]
            out[start : start + step] = table.index_select(0, index.reshape(-1)).view(part.shape)
        return out

    def _from_pillow(self, image: Image.Image) -> NDArray[np.uint8]:
        if image.mode not in EIGHT_BIT_MODES:
            raise UsageError(
                f"a picture of mode {image.mode} has not 8 bits a channel; "
                "convert it to L (grey) or RGB first"
            )
        return np.array(image.convert("L" if self.channels == 1 else "RGB"))

    def _channel_first(self, images: NDArray[np.uint8] | Tensor) -> Tensor:
        """Return any accepted layout as uint8 (N, C, H, W), without a copy where possible."""
        is_array = isinstance(images, np.ndarray)
        if not is_array and not isinstance(images, Tensor):
            raise UsageError(
                f"cannot preprocess a {type(images).__name__}; "
                "give a NumPy array, a tensor or a Pillow image"
            )
        if images.dtype not in (np.uint8, torch.uint8):
            raise UsageError(
                f"images must be uint8 with values 0 to 255, got {images.dtype}; "
                "preprocessing starts from the stored bytes"
            )
        # A copy only of what torch cannot share: read-only arrays and negative strides.
        x = torch.from_numpy(_shareable(images)) if isinstance(images, np.ndarray) else images
        last = (self.height, self.width, self.channels)
        first = (self.channels, self.height, self.width)
        layouts = (last, first) if is_array else (first, last)
        for layout in layouts:
            if x.ndim in (3, 4) and tuple(x.shape[-3:]) == layout:
                x = x if x.ndim == 4 else x[None]
                return x.permute(0, 3, 1, 2) if layout is last else x
        if self.channels == 1 and x.ndim in (2, 3) and tuple(x.shape[-2:]) == last[:2]:
            return x[:, None] if x.ndim == 3 else x[None, None]
        raise UsageError(
            f"images of shape {tuple(images.shape)} do not fit this file: it needs "
            f"(N, {self.height}, {self.width}, {self.channels}) or "
            f"(N, {self.channels}, {self.height}, {self.width})"
        )


def fit_standardise(images: Stored) -> dict[str, Any]:
    """Return the ``standardise`` spec of images uint8 (N, H, W, C): mean and std a channel.

    In units of value / 255, rounded to 6 significant digits so that the file stays small. Sums
    are over integers, so the order of the images does not matter. A channel without any contrast
    gets std 1.
    """
    value = np.arange(256, dtype=np.float64)
    mean, std = [], []
    for counts in _histograms(images):
        share = counts / counts.sum()
        centre = float(share @ value)
        spread = float(share @ (value - centre) ** 2) ** 0.5
        mean.append(_six_digits(centre / 255))
        std.append(_six_digits(spread / 255) if spread > 0 else 1.0)
    return {"kind": "standardise", "mean": mean, "std": std}


KINDS = ("none", "standardise", WHITENING)


def fit(images: Stored, kind: str, kernel: int = SIZE) -> Spec:
    """Return a preprocessing of one of ``KINDS`` for training images uint8 (N, H, W, C).

    ``kernel`` is the side of a whitening's, in pixels.
    Raises UsageError for another kind, and for images that it does not take.
    """
    if kind == WHITENING:
        return fit_whitening(images, kernel)
    if kind == "standardise":
        return fit_standardise(images)
    if kind == "none":
        return {"kind": "none"}
    raise UsageError(f"`preprocessing` must be one of {', '.join(KINDS)}, got {kind!r}")


def is_whitening(spec: Spec) -> bool:
    """Say whether a preprocessing mixes pixels; the others treat each by itself."""
    return spec.get("kind") == WHITENING


def to_unit_range(images: NDArray[np.float32], spec: Spec) -> NDArray[np.float32]:
    """Return preprocessed images (..., C, H, W) in units where 0 is black and 1 is white.

    The inverse of preprocessing; of a whitening as near as what it keeps allows. Distilled pixels
    may lie outside of 0..1; nothing is clipped.
    """
    if is_whitening(spec):
        return unwhiten(images, spec)
    mean, std = mean_and_std(spec, images.shape[-3])
    unit = images * std[:, None, None] + mean[:, None, None]
    return unit.astype(np.float32)


def mean_and_std(spec: Spec, channels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and std, float64 (C,) each, in units of value / 255; 0 and 1 for ``none``."""
    kind = spec.get("kind")
    if kind == "none":
        return np.zeros(channels), np.ones(channels)
    if kind != "standardise":
        raise Unsupported(f"preprocessing '{kind}' is not known here; known: none, standardise")
    mean, std = (np.asarray(spec[name], dtype=np.float64) for name in ("mean", "std"))
    return mean, std


def _histograms(images: Stored) -> NDArray[np.int64]:
    """Return how often each value is there in each channel, int64 (C, 256)."""
    # Some at a time: counting widens every value to eight bytes.
    total = np.zeros((images.shape[3], 256), np.int64)
    for part in in_parts(images.shape, COUNTED):
        for counts, channel in zip(total, np.moveaxis(images[part], -1, 0), strict=True):
            counts += np.bincount(channel.reshape(-1), minlength=256)
    return total


def _shareable(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shareable = array.flags.writeable and all(stride >= 0 for stride in array.strides)
    return array if shareable else array.copy()


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")
