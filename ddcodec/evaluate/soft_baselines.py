"""Random real images with the labels of an observer, at the bytes of a file.

With soft labels, random images come close to many methods ("A label is worth a thousand images",
arXiv 2406.10485), so a file made with an observer is compared with what the same observer does for
images that nobody chose: whole, under zstd, with labels in the symbols of the codec ``lic`` at the
file's temperature. The images are counted as in ``budgets``, labels by what zstd makes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray

from ..codecs.shared.labels import LabelPlan, restore, store
from ..coresets.budgets import ZSTD_LEVEL, enlarge, same_bytes
from ..coresets.draws import ClassImages, random_draw
from ..runtime.world import neutral
from .baselines import learn

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..judge.trial import Trial
    from ..observers.file import Trained

Bytes = NDArray[np.uint8]


class Labeller:
    """The labels that an observer gives, as a file would keep them."""

    def __init__(self, observer: Trained, classes: int, temperature: float) -> None:
        self._observer, self._classes = observer, classes
        self._plan = LabelPlan("logits", 0, temperature)

    def symbols(self, images: Bytes) -> Bytes:
        """Return symbols uint8 (N, 1, classes) of images (N, H, W, C)."""
        x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        return store(self._observer.logits(x)[:, None], self._plan)["labels"]

    def soft(self, images: Bytes) -> NDArray[np.float32]:
        """Return soft labels float32 (N, classes) of images (N, H, W, C)."""
        return restore({"labels": self.symbols(images)}, "logits", self._classes)


def labeller(observer: Trained, ds: DistilledDataset, device: torch.device) -> Labeller:
    """Return who labels images for ``ds`` on ``device``, at its temperature or 1.

    Raises UsageError for an observer of other classes or images.
    """
    observer.require_fit(ds.classes, ds.image_shape)
    observer.network.to(device)
    return Labeller(observer, len(ds.classes), ds.manifest.labels.get("temperature", 1.0))


@neutral()
def random_images_with_observer(
    trial: Trial, ds: DistilledDataset, by_class: ClassImages, observer: Trained, total: int
) -> dict[str, Any]:
    """Return the accuracy of students on random images that ``observer`` labels.

    The entry is that of ``baselines.baselines``; ``total`` bytes hold images and labels. The
    temperature is that of ``ds``, or 1. Raises UsageError for an observer of other classes or
    images.
    """
    giver = labeller(observer, ds, trial.device)
    coder = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    _, height, width = ds.image_shape

    def coded(images: Bytes, classes: int) -> int:
        labels = giver.symbols(enlarge(images, (height, width)))
        parts = (np.ascontiguousarray(part).tobytes() for part in (images, labels))
        return sum(len(coder.compress(part)) for part in parts)

    draw = random_draw(by_class, trial.seed)
    budget = same_bytes(total, by_class, draw, trial.nets, coded)
    return learn(
        "random images, the observer's labels, same bytes",
        trial,
        ds,
        draw,
        budget,
        lambda images, classes: (images, coded(images, classes)),
        label=giver.soft,
    )
