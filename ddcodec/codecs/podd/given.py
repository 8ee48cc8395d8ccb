"""``--init``: a distillation that begins from a file instead of class means or noise.

A poster of the same patches, class order and space goes on from where it is, with its labels. Of
any other file the images of each class are laid where the poster has the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import UsageError
from ...format import DDSetFile, read_named
from ...preprocessing.transform import Preprocess, is_whitening, mean_and_std, to_unit_range
from ...preprocessing.whiten import whiten_values
from ...sources.base import Source
from ..base import ModelPlace
from ..registry import CODECS
from .decode import geometry_of, order_of
from .plan import Plan
from .poster_file import stored_pixels
from .variables import PosterVariables

Spec = dict[str, Any]


@dataclass(frozen=True)
class GivenImages:
    """The images of a file by class, in place of the means of real ones (``ClassMeans``)."""

    images: Tensor  # float32 (N, C, h, w), in the space of the run
    classes: Tensor  # int64 (N,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image: (C, h, w)."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def of(self, label: int, count: int) -> Tensor:
        """Return ``count`` images of a class, float32 (count, C, h, w), again and again the same.

        One is the mean of all: where there is place for one, each has its share.
        """
        own = self.images[self.classes == label]
        if count == 1:
            return own.mean(0, keepdim=True)
        return own[torch.arange(count) % len(own)]


class Given:
    """A file to begin from, of the classes and the size of a source."""

    def __init__(self, path: Path, source: Source) -> None:
        """Read it. Raises UsageError where it does not fit, InvalidFile, SourceError."""
        self.file: DDSetFile = read_named(path)
        manifest, pool = self.file.manifest, source.by_class()
        image = manifest.image
        size = (image["channels"], image["height"], image["width"])
        if size != pool.shape:
            ours, theirs = _text(size), _text(pool.shape)
            raise UsageError(f"`init`: {path} has images of {ours}, the source of {theirs}")
        missing = [name for name in source.classes if name not in manifest.classes]
        if missing or len(manifest.classes) != len(source.classes):
            what = f"no class '{missing[0]}'" if missing else "other classes too"
            raise UsageError(f"`init`: {path} has {what}; it must have those of the source")
        self._source = source
        self._place = torch.tensor([source.classes.index(name) for name in manifest.classes])

    @property
    def digest(self) -> str:
        """Content digest of the file."""
        return self.file.manifest.content_digest

    def space(self, kind: str) -> Spec | None:
        """Return its preprocessing where it is of a kind and was fitted to the source's images.

        So a poster goes on in its own space, however fine this version would make another.
        """
        manifest = self.file.manifest
        spec: Spec = manifest.image["preprocessing"]
        digest = str(manifest.source.get("digest", ""))
        same = spec["kind"] == kind and digest and self._source.is_that_of(digest)
        return spec if same else None

    def begin(self, variables: PosterVariables, plan: Plan, spec: Spec) -> bool:
        """Put poster and labels into ``variables`` where they fit as they are; say if they did."""
        manifest = self.file.manifest
        if (
            "poster" not in self.file.arrays
            or manifest.classes != self._source.classes
            or manifest.image["preprocessing"] != spec
            or geometry_of(manifest) != plan.geometry
            or order_of(manifest).cells != plan.order.cells
            or order_of(manifest).grid != plan.order.grid
        ):
            return False
        stored = stored_pixels(manifest, self.file.arrays)
        if stored.shape != tuple(variables.poster.shape):
            return False
        device = variables.poster.device
        variables.poster.copy_(torch.from_numpy(stored).to(device))
        labels = manifest.labels
        learned = (labels["kind"], labels["pooling"], labels.get("grid"))
        if variables.label_array is not None and learned == (
            "learned", plan.label_pooling, list(plan.label_grid)
        ):  # fmt: skip
            array = torch.from_numpy(self.file.arrays["labels"]).to(device)
            variables.label_array.copy_(array.reshape(variables.label_array.shape))
        return True

    def images(self, spec: Spec) -> GivenImages:
        """Return its images in the space that ``spec`` says; raises UsageError for a lacking class.

        What a whitening has lost, mean and contrast of an image, are usual ones.
        """
        manifest = self.file.manifest
        samples = CODECS[manifest.codec["name"]].decode(self.file, ModelPlace())
        index, old = torch.arange(len(samples)), manifest.image["preprocessing"]
        stored = samples.bytes
        if old == spec:
            found = samples.gather(index)
        elif stored is not None:
            found = Preprocess(spec, *samples.image_shape)(stored.gather(index))
        else:
            unit = torch.from_numpy(to_unit_range(samples.gather(index).numpy(), old))
            found = _prepared(unit, spec)
        classes = self._place[torch.from_numpy(samples.labels.argmax(1))]
        lacking = np.flatnonzero(np.bincount(classes, minlength=len(self._place)) == 0)
        if len(lacking):
            name = self._source.classes[int(lacking[0])]
            raise UsageError(f"`init`: no image of it is of the class '{name}' above all")
        return GivenImages(found.float(), classes)


def _prepared(unit: Tensor, spec: Spec) -> Tensor:
    """Return images of 0 to 1 and beyond, float32 (N, C, h, w), as a preprocessing would."""
    if is_whitening(spec):
        return whiten_values(unit, spec)
    mean, std = (torch.from_numpy(x)[:, None, None] for x in mean_and_std(spec, unit.shape[1]))
    return ((unit.double() - mean) / std).float()


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
