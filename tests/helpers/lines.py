"""Real images that are easy to tell apart."""

from __future__ import annotations

import numpy as np

from ddcodec.sources import Source, Split


def lines(per_class: int = 16, noise: float = 12.0) -> Source:
    """One bright row against one bright column: shape alone tells them apart."""
    random = np.random.default_rng(7)

    def split() -> Split:
        labels = np.arange(2 * per_class) % 2
        images = np.full((2 * per_class, 8, 8), 40.0)
        images[labels == 0, 3] = 220
        images[labels == 1, :, 3] = 220
        noisy = np.clip(images + random.normal(0, noise, images.shape), 0, 255)
        return Split(noisy.astype(np.uint8)[..., None], labels.astype(np.int64))

    return Source("lines", ("row", "column"), {"train": split, "test": split})
