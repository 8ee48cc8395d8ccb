"""What images will take in a file: those of a few classes, as they are drawn and squeezed, coded.

No network has looked at them yet, and nothing is compensated, so this is a guide: whoever needs
the size of a file makes it (``budget``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import SourceError
from ...format.tensors import PICTURES
from ...sources.base import Source
from ..shared.groups import in_groups
from ..shared.labels import LabelPlan
from ..shared.rules import index_planes
from ..shared.selection import candidates
from .options import LIC, plan_images
from .pack import bytes_of_images, spread
from .params import LICParams, make_params

LOOKED_AT = 1 << 22  # pixels of images that are coded for one size; more are inferred
SHOWN = 64  # images that show a network the range of its values
CHUNK = 130  # bytes in the header of a group of classes behind the first: digest and place
UNNAMED = "observer"  # settings need the name of one, from which nothing follows


class Choice(NamedTuple):
    """How many mosaics a class, and the quality of lossy ones, 0 for exact ones."""

    ipc: int
    quality: int


class Expected:
    """The expected bytes of images and stored labels, with what they take in the header.

    Attributes:
        most: mosaics a class that every class has images for; at least 1.
        free: whether the quality is to be found. quality: that of the options, else 0.
        embeds: whether the file holds the observer.
    """

    def __init__(self, source: Source, options: LIC, seed: int) -> None:
        """Take complete options but for the number of mosaics.

        Raises SourceError, naming the class, where one has too few images for a mosaic.
        """
        assert options.images is not None  # complete
        assert options.squeeze is not None
        self._pool, self._options, self._seed = source.by_class(), options, seed
        self._classes, self._known = len(source.classes), dict[Choice, int]()
        coder, self.quality = plan_images(options.images, free=True)
        self.embeds = options.labels in ("live", "embed-teacher")
        self._coder, self.free = coder, coder in PICTURES and not self.quality
        counts = [self._pool.count(label) for label in range(self._classes)]
        self.most = min(counts) // options.squeeze
        if not self.most:
            raise SourceError(
                f"class '{source.classes[int(np.argmin(counts))]}' has {min(counts)} training "
                f"images, one mosaic takes {options.squeeze}; use a smaller `squeeze`"
            )

    def params(self, choice: Choice, precision: str, asked: LIC) -> LICParams:
        """Return the settings of an encode that makes this choice, as ``make_params`` does."""
        images = f"{self._coder}={choice.quality}" if choice.quality else self._coder
        options = replace(
            self._options, ipc=choice.ipc, images=images, observer=UNNAMED,
            total_bytes=None, time=None, epochs=None,
        )  # fmt: skip
        shape = self._pool.shape
        return make_params(options, shape, self._classes, precision, self._seed, asked)

    def bytes(self, choice: Choice) -> int:
        """Return about the bytes that depend on a choice.

        Raises UsageError for mosaics that no picture can hold.
        """
        if choice not in self._known:
            self._known[choice] = self._measured(choice)
        return self._known[choice]

    def shown(self) -> Tensor:
        """Return a few images uint8 (n, C, H, W)."""
        each = min(self.most, -(-SHOWN // self._classes))
        labels = range(0, self._classes, max(1, self._classes // SHOWN))
        drawn = [self._drawn(label, each) for label in labels]
        return spread(torch.cat(drawn), SHOWN)

    def _measured(self, choice: Choice) -> int:
        params = self.params(choice, "float32", self._options)
        geometry = params.mosaic(*self._pool.shape[1:])
        groups = in_groups(self._classes, params.group)
        images = params.squeeze * params.ipc
        pixels = images * len(groups[0]) * geometry.height * geometry.width
        count = min(len(groups), max(1, LOOKED_AT // pixels))
        looked = [groups[i * len(groups) // count] for i in range(count)]
        size = 0
        for group in looked:
            drawn = torch.cat([self._drawn(label, images) for label in group])
            mosaics: NDArray[np.uint8] = geometry.squeeze(drawn).numpy()
            size += bytes_of_images(mosaics, params)
        size = -(-size * self._classes // sum(map(len, looked)))
        regions = params.ipc * self._classes * geometry.regions
        size += regions * _bytes_of_label(params.labels, self._classes)
        return size + CHUNK * (len(groups) - 1)

    def _drawn(self, label: int, count: int) -> Tensor:
        return candidates(self._pool, label, count, self._seed, torch.device("cpu"))


def _bytes_of_label(plan: LabelPlan, classes: int) -> int:
    """Return the bytes of a stored label, at most; 0 where none is stored, or next to nothing."""
    if plan.kind == "top":
        return plan.top * (1 + index_planes(classes)) + 1
    return classes if plan.kind == "logits" else 0
