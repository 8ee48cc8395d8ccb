"""What random real images teach that are stored as JPEG, WebP or AVIF in the bytes of a file.

The students learn from what is decoded again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..coresets.draws import ClassImages, random_draw
from ..coresets.sheets import Bytes, ImageFormat, at_best, images_that_fit
from .baselines import learn

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..judge.trial import Trial


def image_baseline(
    trial: Trial,
    ds: DistilledDataset,
    by_class: ClassImages,
    kind: ImageFormat,
    total: int,
    passes: int = 0,
) -> dict[str, Any] | None:
    """Return the accuracy of students on random images stored in ``total`` bytes with labels.

    The entry is that of ``baselines.baselines``, with ``quality`` [least, most] over the draws.
    None where not one pixel a class fits. ``passes`` is as for ``baselines.learn``.
    """
    draw = random_draw(by_class, trial.seed)
    budget = images_that_fit(total, by_class, draw, trial.nets, kind)
    if budget is None:
        return None
    qualities = []

    def store(images: Bytes, classes: int) -> tuple[Bytes, int]:
        images, size, quality = at_best(images, classes, kind, total)
        qualities.append(quality)
        return images, size

    entry = learn(f"random images as {kind.name}", trial, ds, draw, budget, store, passes)
    return entry | {"quality": [min(qualities), max(qualities)]}
