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
EPOCHS = 30  # of a network that is trained for the file
# What holds where nothing is said, and what of it within so many bytes with labels that live.
USUAL = {"squeeze": 4, "select": "loss", "images": "zstd", "temperature": 2.0}
USUAL_LIVE = {"squeeze": 1, "select": "random", "images": "avif", "temperature": 1.5}


def _usual(name: str) -> str:
    """Return the default of an option in words."""
    return f"{USUAL[name]}; of live labels in N bytes {USUAL_LIVE[name]}"


@dataclass(frozen=True)
class LIC(Options):
    """Options of the codec ``lic``: squeezed images with compensation."""

    title: ClassVar[str] = "Squeezed images (lic)"

    ipc: float | None = option(
        None, "Budget in mosaics per class, a whole number.", metavar="X", least=1, most=100_000
    )
    total_bytes: int | None = option(
        None,
        "Instead of `ipc`: the most mosaics in a file of N bytes. With live labels the encoder "
        "trains the network too, unless `observer` is given.",
        metavar="N", least=1, flag="--bytes",
    )  # fmt: skip
    observer: str | os.PathLike[str] | None = option(
        None, "Network of 'ddcodec observer train' on this source.", metavar="F"
    )
    time: float | None = option(
        None, "Length of the call, about, where the encoder trains the network: 90s, 9m, 1.5h.",
        metavar="T", least=1e-9, seconds=True,
    )  # fmt: skip
    epochs: float | None = option(
        None, "Or its passes over the training images.", metavar="X", least=1e-9, shown=str(EPOCHS)
    )
    squeeze: int | None = option(
        None, "Images squeezed into one mosaic.", metavar="|".join(map(str, SQUEEZES)),
        choices=SQUEEZES, shown=_usual("squeeze"),
    )  # fmt: skip
    select: str | None = option(
        None, "Images with the lowest loss, the best crops of images, or any.",
        choices=SELECTIONS, shown=_usual("select"),
    )  # fmt: skip
    labels: str = option(
        "auto",
        "Soft labels of regions: 8-bit logits of all classes, those of the K most probable, the "
        "observer itself in 8-bit integers (live: it labels every augmented view too), or just the "
        "class.",
        metavar="auto|logits|top=K|embed-teacher|live|class",
    )
    images: str | None = option(
        None,
        "Store the mosaics exactly, or lossy at quality Q; with `total_bytes` also webp or avif "
        "of the best quality that fits.",
        metavar="zstd|webp=Q|avif=Q", shown=_usual("images"),
    )  # fmt: skip
    steps: int | None = option(
        None, "Iterations of compensation.", metavar="N", least=1,
        shown=f"{ITERATIONS}; of live labels in N bytes none",
    )  # fmt: skip
    temperature: float | None = option(
        None,
        "Temperature of the labels; at 1 they are nearly one class each where the observer is "
        "sure.",
        metavar="T", least=0.01, most=100, shown=_usual("temperature"),
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

    @property
    def live_in_bytes(self) -> bool:
        """Whether the rule for labels that live within so many bytes holds."""
        return self.total_bytes is not None and self.labels == "live"

    @property
    def trains(self) -> bool:
        """Whether the encoder trains the network that labels."""
        return self.live_in_bytes and self.observer is None

    def check(self) -> None:
        """Check what holds between options; raises UsageError."""
        if self.ipc is not None and self.total_bytes is not None:
            raise UsageError("give `ipc` or `total_bytes`, not both")
        if self.ipc is None and self.total_bytes is None:
            raise UsageError(
                "give `ipc`, a whole number of mosaics per class, or `total_bytes` for the size of "
                "the whole file"
            )
        if self.ipc is not None and self.ipc != int(self.ipc):
            raise UsageError(f"`ipc` must be a whole number of mosaics per class, got {self.ipc:g}")
        if self.observer is None and not self.trains:
            raise UsageError(
                "`observer` must be given: a file of 'ddcodec observer train' on this source; "
                "only `labels`=live with `total_bytes` trains one itself"
            )
        for name in ("time", "epochs"):
            if getattr(self, name) is not None and not self.trains:
                raise UsageError(
                    f"`{name}` is for a network that the encoder trains, with `labels`=live and "
                    "`total_bytes` and without `observer`"
                )
        if self.time is not None and self.epochs is not None:
            raise UsageError("give `time` or `epochs`, not both")
        top_of(self.labels)
        if self.images is not None:
            plan_images(self.images, free=self.total_bytes is not None)
        if self.steps is not None and not self.compensate:
            raise UsageError("`steps` counts iterations of compensation, which is switched off")


def plan_images(text: str, free: bool = False) -> tuple[str, int]:
    """Return coder and quality of ``zstd``, ``webp=Q`` or ``avif=Q``.

    The quality is 0 for none, and for ``webp`` and ``avif`` alone, which only ``free`` allows.
    Raises UsageError.
    """
    if text == "zstd" or (free and text in PICTURES):
        return text, 0
    coder, _, quality = text.partition("=")
    good = coder in PICTURES and quality.isascii() and quality.isdigit() and len(quality) <= 3
    if not good or not 1 <= int(quality) <= 100:
        alone = ", or webp or avif" if free else ""
        raise UsageError(
            f"`images` must be zstd, webp=Q or avif=Q, with Q from 1 to 100{alone}, got {text}"
        )
    return coder, int(quality)
