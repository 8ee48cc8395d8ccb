"""What people can see of stored values: 8-bit RGB pictures.

Bytes are shown as they are. Float values come from the space that networks see, so the
preprocessing is undone first. Where they still reach beyond black and white, or were whitened,
black and white are the mean of the whole picture - and + 2.5 standard deviations, not its extremes:
a few outliers take no contrast from the rest. The page of ``preview --html`` shows the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..preprocessing.transform import Spec, is_whitening, to_unit_range

if TYPE_CHECKING:
    from ..codecs.base import Pictures
    from ..data.dataset import DistilledDataset

DEVIATIONS = 2.5
BOUND = 1 / 128  # how far values may lie outside of 0..1 and count as pixels all the same

Pixels = NDArray[np.uint8]


def shown_range(unit: NDArray[np.float32], whitened: bool) -> tuple[float, float]:
    """Return the values of a picture that are shown black and white.

    ``unit`` holds all values of the picture, 0 black and 1 white: these are the answer where
    no value lies outside, else the mean of all channels - and + 2.5 standard deviations. Values
    that were ``whitened`` have no black and white of their own, wherever they lie.
    """
    if not whitened and unit.min() >= -BOUND and unit.max() <= 1 + BOUND:
        return 0.0, 1.0
    mean = float(unit.mean(dtype=np.float64))
    reach = DEVIATIONS * max(float(unit.std(dtype=np.float64)), 1e-6)
    return mean - reach, mean + reach


def visible(image: NDArray[Any], spec: Spec) -> Pixels:
    """Return a stored picture (C, H, W) as RGB, uint8 (H, W, 3).

    uint8 is shown as it is; float32 is in the space of the preprocessing ``spec``.
    """
    if image.dtype == np.uint8:
        return as_rgb(image)
    return stretched(to_unit_range(image, spec), is_whitening(spec))


def stretched(unit: NDArray[np.float32], whitened: bool) -> Pixels:
    """Return a picture (C, H, W) in units of black and white as RGB, uint8 (H, W, 3)."""
    low, high = shown_range(unit, whitened)
    levels = (unit.astype(np.float64) - low) / (high - low)
    return as_rgb(np.rint(levels.clip(0, 1) * 255).astype(np.uint8))


def as_rgb(image: Pixels) -> Pixels:
    """Return an image (C, H, W) of 1 or 3 channels as RGB, uint8 (H, W, 3)."""
    return np.ascontiguousarray(
        np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3)), np.uint8
    )


def visible_posters(drawn: Pictures, spec: Spec) -> list[Pixels]:
    """Return the posters of a file as RGB, uint8 (H, W, 3) each."""
    return [visible(poster, spec) for poster in drawn.posters]


def patches_of(
    drawn: Pictures, posters: Sequence[Pixels], size: tuple[int, int], indices: Sequence[int]
) -> Iterator[Pixels]:
    """Give patches (h, w) = ``size``, by their indices, as their posters show them."""
    height, width = size
    each = len(drawn.left) * len(drawn.top)
    for index in indices:
        stage, inside = divmod(index, each)
        column, row = divmod(inside, len(drawn.top))
        y, x = drawn.top[row], drawn.left[column]
        yield posters[stage][y : y + height, x : x + width]


def visible_images(ds: DistilledDataset, indices: Sequence[int]) -> list[Pixels]:
    """Return samples of a file, as they are stored, as RGB, uint8 (H, W, 3) each."""
    # Not items of the data set: those may be transformed.
    samples, _ = ds.on("cpu")
    stored = samples.bytes
    images = (samples if stored is None else stored).gather(torch.tensor(indices)).numpy()
    spec = ds.manifest.image["preprocessing"]
    if ds.raw and images.dtype != np.uint8:
        return [stretched(image, is_whitening(spec)) for image in images]
    return [visible(image, spec) for image in images]
