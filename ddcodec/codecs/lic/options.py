"""The options of squeezed images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from ...errors import UsageError
from ...format.tensors import PICTURES
from ..options import Options, option
from ..shared.rules import top_of

SQUEEZES = (1, 4, 9, 16, 25)
SELECTIONS = ("loss", "crops", "random")
ITERATIONS = 200


@dataclass(frozen=True)
class LIC(Options):
    """Options of the codec ``lic``: squeezed images with compensation."""

    title: ClassVar[str] = "Squeezed images (lic)"

    ipc: float | None = option(
        None, "Budget in mosaics per class, a whole number.", metavar="X", least=1, most=100_000
    )
    observer: str | os.PathLike[str] | None = option(
        None, "Network of 'ddcodec observer train' on this source.", metavar="F"
    )
    squeeze: int = option(
        4, "Images squeezed into one mosaic.", metavar="|".join(map(str, SQUEEZES)),
        choices=SQUEEZES,
    )  # fmt: skip
    select: str = option(
        "loss", "Images with the lowest loss, the best crops of images, or any.",
        choices=SELECTIONS,
    )  # fmt: skip
    labels: str = option(
        "auto",
        "Soft labels of regions: 8-bit logits of all classes, those of the K most probable, the "
        "observer itself in 8-bit integers (live: it labels every augmented view too), or just the "
        "class.",
        metavar="auto|logits|top=K|embed-teacher|live|class",
    )
    images: str = option(
        "zstd", "Store the mosaics exactly, or lossy at quality Q.", metavar="zstd|webp=Q|avif=Q"
    )
    steps: int | None = option(
        None, "Iterations of compensation.", metavar="N", least=1, shown=str(ITERATIONS)
    )
    temperature: float = option(
        2.0,
        "Temperature of the labels; at 1 they are nearly one class each where the observer is "
        "sure.",
        metavar="T", least=0.01, most=100,
    )  # fmt: skip
    candidates: int = option(
        300, "Images of a class to select from.", metavar="N", least=1, expert=True
    )
    compensate: bool = option(True, "Leave the squeezed images as they are.", expert=True)
    precision: str = option(
        "auto",
        "Of the observer's activations while it compares; auto: bfloat16 where the device "
        "multiplies it.",
        choices=("auto", "float32", "bfloat16"), expert=True,
    )  # fmt: skip

    def check(self) -> None:
        """Check what holds between options; raises UsageError."""
        if self.ipc is None or self.ipc != int(self.ipc):
            raise UsageError(
                f"`ipc` must be given as a whole number of mosaics per class, got {self.ipc}"
            )
        if self.observer is None:
            raise UsageError(
                "`observer` must be given: a file of 'ddcodec observer train' on this source"
            )
        top_of(self.labels)
        plan_images(self.images)
        if self.steps is not None and not self.compensate:
            raise UsageError("`steps` counts iterations of compensation, which is switched off")


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
