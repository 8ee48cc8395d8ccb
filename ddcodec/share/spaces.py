"""The space of published numbers: what the authors' networks saw, and the way back to pixels.

No peer's file says how its images were normalised. The named means are those of the public code
that made them; a data set's own may differ in the third digit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UsageError
from ..preprocessing.stored import Part, Stored
from ..preprocessing.transform import Preprocess, fit
from ..preprocessing.whiten import whiten_values
from . import zca

if TYPE_CHECKING:
    from ..sources.base import Source

TRIED = 10_000  # real images from which a matrix is computed while spaces are tried
Means = tuple[tuple[float, ...], tuple[float, ...]]
# Mean and standard deviation a channel, of value / 255. CIFAR: Zhao et al., DC (arXiv 2006.05929)
# and what followed it; ImageNet: torchvision, with which RDED and SRe2L work.
MEANS: Mapping[str, Means] = MappingProxyType({
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mnist": ((0.1307,), (0.3081,)),
})  # fmt: skip
OF_SOURCE = {"imagenet-1k": "imagenet", "tiny-imagenet": "imagenet"}


class Space(Protocol):
    """What images are in. ``name`` is for people."""

    @property
    def name(self) -> str:
        """Return what it is called."""

    def seen(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return real images uint8 (n, H, W, C) in this space, float32 (n, C, H, W)."""

    def stored(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return images of this space as a file holds them, and the file's preprocessing."""


@dataclass(frozen=True)
class Plain:
    """A space that a manifest can name: its images are stored as they are."""

    name: str
    spec: Mapping[str, Any]

    def seen(self, pixels: NDArray[np.uint8]) -> Tensor:
        _, height, width, channels = pixels.shape
        return Preprocess(self.spec, channels, height, width)(pixels)

    def stored(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return images, dict(self.spec)


@dataclass(frozen=True)
class Whitened:
    """A space of ZCA, whose matrix no file holds: images go back to pixels, and into ``spec``."""

    name: str
    whitening: zca.ZCA
    spec: Mapping[str, Any]

    def seen(self, pixels: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(self.whitening.forward(pixels))

    def stored(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        plain = torch.from_numpy(self.whitening.back(images))
        return whiten_values(plain, self.spec).numpy(), dict(self.spec)


def means_of(text: str | None, source: Source | None, channels: int) -> tuple[str, Means]:
    """Return name and values of ``--means``: a known name, or R,G,B/R,G,B.

    Without it the means are those known for the source. Raises UsageError.
    """
    if text is None:
        name = None if source is None else OF_SOURCE.get(source.name, source.name)
        if name is None or name not in MEANS:
            raise UsageError(
                "`space`=mean-std needs `means`: one of "
                f"{', '.join(MEANS)}, or the numbers as MEAN,../STD,.."
            )
        text = name
    found = read_means(text)
    if len(found[0]) != channels:
        raise UsageError(f"`means`={text}: {len(found[0])} channels, the images have {channels}")
    return text, found


def read_means(text: str) -> Means:
    """Return the values of a known name or of R,G,B/R,G,B; raises UsageError for other text."""
    if text in MEANS:
        return MEANS[text]
    parts = [_numbers(part) for part in text.split("/")]
    if len(parts) != 2 or not all(parts) or len(parts[0]) != len(parts[1]):
        raise UsageError(
            f"`means`={text}: write one of {', '.join(MEANS)}, or the numbers as in "
            "0.49,0.48,0.45/0.2,0.2,0.2"
        )
    if min(parts[1]) <= 1e-6:
        raise UsageError(f"`means`={text}: standard deviations must be positive")
    return parts[0], parts[1]


def _numbers(text: str) -> tuple[float, ...]:
    words = text.split(",")
    if not all(re.fullmatch(r"-?\d*\.?\d+([eE]-?\d+)?", word.strip()) for word in words):
        return ()
    found = tuple(float(word) for word in words)
    return found if all(map(isfinite, found)) else ()


def candidates(
    asked: str, means: str | None, usual: str, source: Source | None, shape: Sequence[int]
) -> list[Space]:
    """Return the spaces that images (C, H, W) may be in; one where it was said which.

    Args:
        asked: one of ``options.SPACES``; ``zca`` is the variant ``usual`` in the layout.
        means: those of ``mean-std``; None for those of the source.
        source: the real images that the set was made from.

    Matrices of several candidates are of some of the images, see ``complete``. Raises UsageError
    where something is needed to go by.
    """
    channels = shape[0]
    if asked == "pixels":
        return [pixels()]
    if asked == "mean-std":
        return [_standardised(*means_of(means, source, channels))]
    if source is None:
        raise UsageError(
            "the files do not say in which space their images are; say `space`=pixels, mean-std "
            "or zca, or name the real images with `source` and all are tried"
        )
    if asked.startswith("zca"):
        return [_whitened(usual if asked == "zca" else asked.removeprefix("zca-"), source)]
    found: list[Space] = [pixels()]
    if means is not None or _known(source, channels):
        found.append(_standardised(*means_of(means, source, channels)))
    else:
        found.append(Plain("mean-std of the source", fit(source.train.images, "standardise")))
    if zca.fits(shape):
        # Enough to tell which it is; the one that fits is computed from all images.
        step = max(1, len(source.train) // TRIED)
        found += [_whitened(variant, source, step) for variant in zca.VARIANTS]
    return found


def pixels() -> Plain:
    """Return the space of value / 255."""
    return Plain("pixels", {"kind": "none"})


def standardised_for(source: Source | None, means: str | None, channels: int) -> Mapping[str, Any]:
    """Return the preprocessing of a set of 8-bit pixels: ``means``, those of the source, or none.

    Their space does not say what networks were to see; a standardised input trains best.
    """
    if means is not None or _known(source, channels):
        return _standardised(*means_of(means, source, channels)).spec
    return {"kind": "none"} if source is None else fit(source.train.images, "standardise")


def _known(source: Source | None, channels: int) -> bool:
    """Say whether the means of a source are among the named ones."""
    found = None if source is None else MEANS.get(OF_SOURCE.get(source.name, source.name))
    return found is not None and len(found[0]) == channels


def _standardised(name: str, means: Means) -> Plain:
    mean, std = map(list, means)
    return Plain(f"mean-std={name}", {"kind": "standardise", "mean": mean, "std": std})


def complete(space: Space, source: Source | None) -> Space:
    """Return a space that was chosen, its matrix computed from all real images."""
    if isinstance(space, Whitened) and source is not None:
        return _whitened(space.whitening.variant, source)
    return space


def _whitened(variant: str, source: Source, step: int = 1) -> Whitened:
    spec = fit(source.train.images, "conv_whiten")
    images: Stored = source.train.images
    if step > 1:
        images = Part(images, np.arange(0, len(source.train), step))
    return Whitened(f"zca-{variant}", zca.fitted(variant, images), spec)
