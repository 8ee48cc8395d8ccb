"""The settings of one LIC encode: complete before work starts, matched by every resume."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ...errors import UsageError
from ...format.pictures import check_picture
from ...format.tensors import PICTURES
from ..shared.labels import LabelPlan, plan_labels
from ..shared.mosaic import Mosaic
from .options import ITERATIONS, LIC

GROUP = 32  # mosaics; so many small classes are made, saved and stored together
BATCH_PIXELS = 1 << 20  # of all expanded images of a batch: a bound on the memory


@dataclass(frozen=True)
class LICParams:
    """Everything that decides the result of an encode, apart from source and observer.

    Attributes:
        ipc: mosaics a class.
        squeeze: images a mosaic (N).
        selection: ``loss``, the images with the lowest loss of the observer; ``crops``, the best
            crop of each image instead of the image; ``random``, any images.
        candidates: images of a class among which is selected (the size of T'_c).
        crops: random crops of each candidate.
        iterations: steps of compensation (M), 0 for none.
        lr: of AdamW on the compensation, in units of the range of a pixel; falls to 0 as a cosine.
        augment: applied to images before and after squeezing alike, when they are compared.
        precision: of the observer's convolutions while it compares.
        labels: how labels are stored.
        images: how mosaics are stored: ``zstd``, exactly, or ``webp`` or ``avif`` at a quality.
        quality: of a lossy coder, 1 to 100; 0 for zstd.
        seed: of everything random.
        batch: mosaics compensated at a time. group: classes made, saved and stored together.
    """

    ipc: int
    squeeze: int
    selection: str
    candidates: int
    crops: int
    iterations: int
    lr: float
    augment: str
    precision: str
    labels: LabelPlan
    images: str
    quality: int
    seed: int
    batch: int
    group: int

    @property
    def grid(self) -> int:
        """Cells in a row and in a column of a mosaic."""
        return math.isqrt(self.squeeze)

    def mosaic(self, height: int, width: int) -> Mosaic:
        """Return the geometry for images of this size."""
        return Mosaic(height, width, self.grid, self.grid)

    def groups(self, classes: int) -> list[range]:
        """Return the classes that belong together; every group but the last is as long."""
        starts = range(0, classes, self.group)
        return [range(start, min(start + self.group, classes)) for start in starts]

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values (for fingerprints)."""
        return asdict(self)


def make_params(
    options: LIC, shape: tuple[int, int, int], classes: int, precision: str, seed: int
) -> LICParams:
    """Return complete settings for images (C, H, W); raises UsageError for what cannot work.

    ``precision`` is what ``auto`` means on the device.
    """
    _, height, width = shape
    assert options.ipc is not None  # checked with the options
    ipc, squeeze = int(options.ipc), options.squeeze
    if math.isqrt(squeeze) > min(height, width):
        raise UsageError(f"`squeeze`={squeeze}: images of {width}x{height} hold no such cells")
    count = ITERATIONS if options.steps is None else options.steps
    group = max(1, GROUP // ipc)
    coder, quality = plan_images(options.images)
    if coder in PICTURES:
        check_picture(coder, (ipc * min(group, classes), 3, height, width))
    return LICParams(
        ipc=ipc,
        squeeze=squeeze,
        selection=options.select,
        candidates=max(options.candidates, squeeze * ipc),
        crops=5,
        iterations=count if options.compensate else 0,
        lr=0.01,
        augment="crop_cutout_flip",
        precision=precision if options.precision == "auto" else options.precision,
        labels=plan_labels(options.labels, classes, options.temperature),
        images=coder,
        quality=quality,
        seed=seed,
        batch=max(1, min(GROUP, BATCH_PIXELS // (squeeze * height * width))),
        group=group,
    )


def plan_images(text: str) -> tuple[str, int]:
    """Return coder and quality (0 for none) of ``zstd``, ``webp=Q`` or ``avif=Q``.

    Raises UsageError.
    """
    if text == "zstd":
        return text, 0
    coder, _, quality = text.partition("=")
    good = coder in PICTURES and quality.isascii() and quality.isdigit() and len(quality) <= 3
    if not good or not 1 <= int(quality) <= 100:
        raise UsageError(
            f"`images` must be zstd, webp=Q or avif=Q, with Q from 1 to 100, got {text}"
        )
    return coder, int(quality)
