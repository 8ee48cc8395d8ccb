"""The settings of one LIC encode: complete before work starts, matched by every resume."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from ...errors import UsageError
from ...format.pictures import check_picture
from ...format.tensors import PICTURES
from .labels import LabelPlan, plan_labels
from .mosaic import Mosaic

Selection = Literal["loss", "crops", "random"]
SQUEEZES = (1, 4, 9, 16, 25)
GROUP = 32  # mosaics; so many small classes are made, saved and stored together
BATCH_PIXELS = 1 << 20  # of all expanded images of a batch: a bound on the memory
ITERATIONS = 200


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
    selection: Selection
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


@dataclass(frozen=True)
class LICOptions:
    """What ``encode`` takes for the codec ``lic`` alone.

    Attributes:
        observer: file of ``ddcodec observer train``, made for the same classes and images.
        select: ``loss``, ``crops`` or ``random``: which images of a class are squeezed.
        squeeze: images a mosaic: 1, 4, 9, 16 or 25.
        candidates: images of a class among which is selected.
        compensate: False leaves the mosaics as squeezing made them.
        temperature: of the stored soft labels, 0.01 to 100. At 1 they are nearly one class each
            where the observer is sure, as it is of what it selected.
        precision: of the observer's comparison: ``float32``, ``bfloat16`` or ``auto``.
        images: how mosaics are stored: ``zstd``, or lossy: ``webp=Q`` or ``avif=Q``, Q from 1 to
            100. Labels are those of what comes back.
    """

    observer: str | os.PathLike[str]
    select: str = "loss"
    squeeze: int = 4
    candidates: int = 300
    compensate: bool = True
    temperature: float = 2.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    images: str = "zstd"


def make_params(
    options: LICOptions,
    *,
    ipc: float,
    height: int,
    width: int,
    classes: int,
    iterations: int | None = None,
    labels: str = "auto",
    precision: str = "float32",
    seed: int = 0,
) -> LICParams:
    """Return complete settings for images of this size; raises UsageError for what cannot work."""
    squeeze, selection, candidates = options.squeeze, options.select, options.candidates
    if not 1 <= ipc <= 100_000 or ipc != int(ipc):
        raise UsageError(f"--ipc {ipc:g}: the codec lic stores whole images, 1 or more a class")
    if squeeze not in SQUEEZES:
        known = ", ".join(map(str, SQUEEZES))
        raise UsageError(f"--squeeze {squeeze}: must be one of {known}")
    if selection not in get_args(Selection):
        known = ", ".join(get_args(Selection))
        raise UsageError(f"--select {selection}: must be one of {known}")
    if candidates < 1:
        raise UsageError(f"--candidates must be at least 1, got {candidates}")
    if math.isqrt(squeeze) > min(height, width):
        raise UsageError(f"--squeeze {squeeze}: images of {width}x{height} hold no such cells")
    if iterations is not None and not options.compensate:
        raise UsageError("--steps counts iterations of compensation, which --no-compensate omits")
    count = ITERATIONS if iterations is None else iterations
    per_mosaic = squeeze * height * width
    group = max(1, GROUP // int(ipc))
    coder, quality = plan_images(options.images)
    if coder in PICTURES:
        check_picture(coder, (int(ipc) * min(group, classes), 3, height, width))
    return LICParams(
        ipc=int(ipc),
        squeeze=squeeze,
        selection=selection,  # type: ignore[arg-type]  # checked above
        candidates=max(candidates, squeeze * int(ipc)),
        crops=5,
        iterations=count if options.compensate else 0,
        lr=0.01,
        augment="crop_cutout_flip",
        precision=precision,
        labels=plan_labels(labels, classes, options.temperature),
        images=coder,
        quality=quality,
        seed=seed,
        batch=max(1, min(GROUP, BATCH_PIXELS // per_mosaic)),
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
        raise UsageError(f"--images {text}: must be zstd, webp=Q or avif=Q, with Q from 1 to 100")
    return coder, int(quality)
