"""Mosaics back to a training set: every cell at full size, and every mosaic as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..shared.labels import restore
from ..shared.mosaic import Mosaic
from ..shared.reading import Reading, StoredSamples
from .live import LiveTeacher, live_teacher
from .rules import TEACHER
from .teacher import Teacher, teacher_symbols

if TYPE_CHECKING:
    from ...format import ChunkReader, Manifest

MOSAICS_SEEN = 16  # at once, by the network in a file
EXPANDED_BYTES = 64 << 20  # of all regions together; below, they are expanded once


class MosaicSamples(StoredSamples):
    """The regions of mosaics, a tensor uint8 (M, C, H, W): sample i is region i mod R of mosaic
    i div R.

    Regions 0 to N - 1 are the cells, row by row, expanded to full size; the last, where a mosaic
    has several cells, is the mosaic as it is. Where all regions together are small they are
    expanded once, at the first batch.
    """

    def __init__(
        self, mosaics: Tensor, labels: NDArray[np.float32], geometry: Mosaic, reading: Reading
    ) -> None:
        shape = (int(mosaics.shape[1]), geometry.height, geometry.width)
        super().__init__(mosaics, shape, labels, reading)
        self._geometry = geometry
        self._expanded: Tensor | None = None

    def stored(self, index: Tensor) -> Tensor:
        index = index.to(self._store.device)
        if self._expanded is None and len(self) * prod(self.image_shape) <= EXPANDED_BYTES:
            self._expanded = all_regions(self._store, self._geometry)
        if self._expanded is None:
            return self._expand(index)
        return self._expanded.index_select(0, index)

    def _expand(self, index: Tensor) -> Tensor:
        regions = self._geometry.regions
        mosaic, region = torch.div(index, regions, rounding_mode="floor"), index % regions
        out = torch.empty(
            (len(index), *self.image_shape), dtype=torch.uint8, device=self._store.device
        )
        for number in range(regions):
            places = (region == number).nonzero()[:, 0]
            if len(places):
                picked = self._store.index_select(0, mosaic[places])
                out[places] = self._geometry.region(picked, number)
        return out

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy, without regions that it can expand itself."""
        return {**super().__getstate__(), "_expanded": None}


def all_regions(mosaics: Tensor, geometry: Mosaic) -> Tensor:
    """Return every region of mosaics uint8 (M, C, H, W): uint8 (M x R, C, H, W)."""
    out = [geometry.region(mosaics, region) for region in range(geometry.regions)]
    return torch.stack(out, 1).flatten(0, 1)


def geometry_of(manifest: Manifest) -> Mosaic:
    """Return the geometry that the manifest of a LIC file states."""
    across, down = manifest.codec["params"]["cells"]
    return Mosaic(manifest.image["height"], manifest.image["width"], down, across)


def region_labels(
    manifest: Manifest,
    arrays: dict[str, NDArray[Any]],
    reading: Reading,
    teacher: Teacher | None = None,
) -> NDArray[np.float32]:
    """Return soft labels float32 (M x R, classes) of decoded tensors or chunks."""
    kind, classes = manifest.labels["kind"], len(manifest.classes)
    if kind == "index":
        return np.repeat(reading.soft(arrays["labels"]), geometry_of(manifest).regions, 0)
    if kind == "teacher":
        teacher = teacher or Teacher(arrays, manifest.labels, manifest.image, classes)
        found = seen_by_teacher(manifest, arrays["images"], teacher)
        return restore({"labels": found}, "logits", classes)
    return restore(arrays, kind, classes)


def seen_by_teacher(
    manifest: Manifest, mosaics: NDArray[np.uint8], teacher: Teacher
) -> NDArray[np.uint8]:
    """Return symbols (M x R, classes) of the labels that the network in a file gives."""
    geometry, temperature = geometry_of(manifest), manifest.labels["temperature"]
    found = []
    # A few mosaics at a time: their regions are expanded to be seen.
    for part in torch.split(torch.from_numpy(mosaics), MOSAICS_SEEN):
        logits = teacher.logits(all_regions(part, geometry))
        found.append(teacher_symbols(logits, temperature))
    return np.concatenate(found)


class MosaicChunks:
    """Decodes a file in chunks: the regions of one chunk's mosaics, expanded."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest, self._reading = manifest, Reading(manifest)
        self._geometry = geometry_of(manifest)
        self.per_row = self._geometry.regions  # samples of a stored mosaic
        self._teacher: Teacher | None = None

    def read(
        self, reader: ChunkReader, chunk: int, plain: bool = True
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        manifest, classes = self._manifest, len(self._manifest.classes)
        arrays = {
            name: reader.read(name, chunk) for name in manifest.tensors if name not in TEACHER
        }
        regions = all_regions(torch.from_numpy(arrays["images"]), self._geometry)
        if not plain:
            return regions.numpy(), np.zeros((len(regions), classes), np.float32)
        if manifest.labels["kind"] == "teacher" and self._teacher is None:
            # Made once for all chunks; threads that make it twice make the same.
            own = {name: reader.read(name, 0) for name in TEACHER}
            self._teacher = Teacher(own, manifest.labels, manifest.image, classes)
        labels = region_labels(manifest, arrays, self._reading, self._teacher)
        return regions.numpy(), labels

    def teacher(self, reader: ChunkReader) -> LiveTeacher | None:
        if "live" not in self._manifest.labels:
            return None
        return live_teacher(self._manifest, {name: reader.read(name, 0) for name in TEACHER})

    def soft(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        return labels  # soft already


def decode(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> MosaicSamples:
    """Turn the arrays of a LIC file into samples; exact on every machine."""
    reading = Reading(manifest)
    labels = region_labels(manifest, dict(arrays), reading)
    images, geometry = torch.from_numpy(arrays["images"]), geometry_of(manifest)
    samples = MosaicSamples(images, labels, geometry, reading)
    samples.teacher = live_teacher(manifest, arrays)
    return samples
