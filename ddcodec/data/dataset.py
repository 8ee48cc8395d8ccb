"""A ``.ddset`` file as a PyTorch data set."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..codecs.base import ModelPlace
from ..codecs.registry import CODECS
from ..codecs.samples import Device, Rows, Samples
from ..codecs.shared.reading import Reading
from ..errors import UsageError
from ..nn.augment import Augment
from ..nn.views import Draw, Teacher, find_draw
from ..runtime.world import neutral, neutral_tensors
from .batches import Batches, Block
from .stream import SampleStream
from .views import PartOfSamples, places_of, raw_samples

if TYPE_CHECKING:
    from ..format import DDSetFile, Manifest

Item = tuple[Any, Any]
Several = slice | list[int] | list[bool] | NDArray[Any] | Tensor


class DistilledDataset(Dataset[Item]):
    """Images and soft labels of a distilled data set, decoded on demand.

    ``ds[i]`` is (image float32 (C, H, W), label float32 (classes,)). Images are in the space of
    ``preprocess``: train on them as they are, and pass real images through ``preprocess`` before
    the network sees them.

    Attributes:
        file: the manifest and the decoded arrays.
        preprocess: turns real 8-bit images into network inputs, float32 (N, C, H, W).
        transform, target_transform: called on the image and on the label of ``ds[i]``.
        hard_labels: labels are class indices (int64), the largest share of the soft label; of
            equal shares the first.
        raw: images are as they were before the preprocessing: uint8 where the file stores bytes,
            else float32 with 0 black and 1 white.
        soft_labels: all labels, float32 (N, classes), whatever ``hard_labels`` says; rows sum to 1.
    """

    @neutral()
    def __init__(
        self,
        file: DDSetFile,
        *,
        transform: Callable[[Tensor], Any] | None = None,
        target_transform: Callable[[Tensor], Any] | None = None,
        hard_labels: bool = False,
        raw: bool = False,
        model: ModelPlace | None = None,
    ) -> None:
        self.file = file
        self.transform = transform
        self.target_transform = target_transform
        self.hard_labels = hard_labels
        self.preprocess = Reading(file.manifest).preprocess
        self.raw = raw
        codec = CODECS[file.manifest.codec["name"]]
        self._samples = codec.decode(file, model or ModelPlace())
        self._of_bytes = raw and self._samples.bytes is not None
        if raw:
            self._samples = raw_samples(self._samples, file.manifest.image["preprocessing"])
        self.soft_labels = torch.from_numpy(self._samples.labels)
        self._labels = Rows(self.soft_labels.argmax(1) if hard_labels else self.soft_labels)
        self._resident: tuple[torch.device, Samples, Rows] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a spawned worker, without what lives on another device."""
        return {**self.__dict__, "_resident": None}

    @property
    def manifest(self) -> Manifest:
        """What the file says about itself; ``manifest.recipe`` is how to train on it."""
        return self.file.manifest

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.file.manifest.classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        return self._samples.image_shape

    @property
    def stage_shares(self) -> tuple[float, ...]:
        """With which probability ``batches``, streams and ``train`` draw from each stage.

        A ``DataLoader`` that shuffles the data set itself draws all stages alike; give it
        ``ds.stream(batch_size=...)`` instead.
        """
        return self._samples.shares or (1.0,)

    @property
    def stages(self) -> tuple[DistilledDataset, ...]:
        """The stages of a progressive file, oldest first, each a data set of its own.

        Any other file is its own only stage.
        """
        count = len(self.stage_shares)
        if count == 1:
            return (self,)
        size = len(self) // count
        return tuple(self[i * size : (i + 1) * size] for i in range(count))

    @property
    def teacher(self) -> Teacher | None:
        """The network in the file, where the file says that it labels views; else None.

        ``ds.teacher.labels(x)`` gives soft labels float32 (B, classes) of preprocessed images
        float32 (B, C, H, W) on the CPU, ``ds.teacher.to(device)`` the same network elsewhere.
        ``batches`` and streams of batches ask it by themselves; ``soft_labels`` and ``ds[i]`` are
        its exact labels of the images as they are. Without preprocessing (``raw``) it is None.
        """
        return self._samples.teacher

    @property
    def variations(self) -> int:
        """Sets of images of which ``batches`` and streams show one an epoch, in turn.

        More than 1 only for a file of generated images with as many sets of seeds. ``len(ds)``
        and ``ds[i]`` go over all of them, one after the other.
        """
        return self._samples.variations

    def _part(self, index: NDArray[np.int64]) -> DistilledDataset:
        part = copy.copy(self)
        with neutral_tensors():
            part._samples = PartOfSamples(self._samples, index)
            part.soft_labels = torch.from_numpy(part._samples.labels)
            part._labels = Rows(self._labels.take(index))
        part._resident = None
        return part

    def __repr__(self) -> str:
        manifest = self.manifest
        return (
            f"DistilledDataset({manifest.source['name']!r}, {len(self)} images "
            f"{'x'.join(map(str, self.image_shape))}, {len(self.classes)} classes, "
            f"{manifest.codec['name']})"
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: Several) -> DistilledDataset: ...
    def __getitem__(self, index: int | Several) -> Item | DistilledDataset:
        """Return image and label ``index``; negative indices count from the end.

        A slice, or a list, an array or a tensor of integers or of one truth value an image, gives
        the data set of these images, with ``batches`` and all else; it has no stages or variations.

        Raises IndexError where there is no such image.
        """
        count = len(self)
        if isinstance(index, slice):
            return self._part(np.arange(count)[index])
        if isinstance(index, list | np.ndarray | Tensor) and np.ndim(index) != 0:
            return self._part(places_of(index, count))
        index = operator.index(cast(int, index))
        if not -count <= index < count:
            raise IndexError(f"index {index} is outside of a data set of {count} images")
        return self.__getitems__([index % count])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Return several (image, label) pairs with one gather; a DataLoader calls this.

        Without transforms its default collation takes the gathered batch as it is. Raises
        IndexError where there is no such image.
        """
        with neutral_tensors():  # the transforms see the caller's world
            index = places_of(indices, len(self))
            block = Block(self._samples.take(index), self._labels.take(index))
        if self.transform is None and self.target_transform is None:
            return cast(list[Item], block)
        return [
            (
                image if self.transform is None else self.transform(image),
                label if self.target_transform is None else self.target_transform(label),
            )
            for image, label in block
        ]

    def batches(
        self,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        epoch: int = 0,
        device: Device = "cpu",
        drop_last: bool = False,
        augment: str | Augment = "auto",
        infinite: bool = False,
    ) -> Batches:
        """Return one epoch of batches, cut on ``device`` at memory speed.

        The order is a pure function of (seed, epoch). Give the next ``epoch`` for another order.

        Args:
            batch_size: images a batch, at least 1.
            shuffle: False gives the order of the file.
            seed, epoch: 0 or more.
            device: where the data lives and the batches appear.
            drop_last: leave out a last batch that is not full.
            augment: changes whole batches: ``none``, ``flip``, ``flip_rotate`` and others of
                ``nn.views``, ``recipe`` for what the file's recipe says, or a function of
                (images float32 (B, C, H, W), torch.Generator) that returns images. ``auto`` is
                the recipe's where there is a ``teacher``, which then labels what was changed, and
                ``none`` elsewhere.
            infinite: go on with epoch + 1 and so on, without end.

        Raises:
            UsageError: an argument is out of range, images are bytes (``raw``) where the
                augmentation needs floats, or a transform is set: those work on single images, so
                they need a ``torch.utils.data.DataLoader``.
        """
        if self.transform is not None or self.target_transform is not None:
            raise UsageError(
                "transforms work on single images and batches() has none; use a DataLoader, or "
                "load the file without a transform and change the batches"
            )
        samples, labels = self._on(device)
        draw = self._draw(augment, samples.teacher)
        return Batches(samples, labels, batch_size, shuffle, seed, epoch, drop_last, draw, infinite)

    def _draw(self, augment: str | Augment, teacher: Teacher | None) -> Draw | None:
        recipe = str(self.manifest.recipe["augment"])
        return find_draw(augment, recipe, teacher, self.hard_labels, self._of_bytes)

    def stream(
        self,
        seed: int = 0,
        *,
        shuffle: bool = True,
        batch_size: int | None = None,
        drop_last: bool = False,
        even: bool = False,
        augment: str | Augment = "auto",
        rank: int | None = None,
        world_size: int | None = None,
    ) -> SampleStream:
        """Return the data set as a resumable stream; see ``stream.SampleStream`` for settings.

        Batches have ``augment``, that of ``batches``. Single samples are as the file has them.

        Raises UsageError for batches of a set with transforms, for single samples to be augmented.
        """
        single = batch_size is None
        if not single and (self.transform or self.target_transform):
            raise UsageError("transforms work on single samples; leave `batch_size` out")
        if single and augment not in ("auto", "none"):
            raise UsageError("`augment` changes whole batches; give `batch_size` too")
        samples, labels = self._samples, self._labels
        return SampleStream(
            samples,
            labels,
            self.__getitem__,
            self.manifest.content_digest,
            seed=seed,
            shuffle=shuffle,
            batch_size=batch_size,
            drop_last=drop_last,
            even=even,
            draw=None if single else self._draw(augment, samples.teacher),
            rank=rank,
            world_size=world_size,
        )

    def on(self, device: Device) -> tuple[Samples, Tensor]:
        """Return the samples and all labels (N, ...) on ``device``, moved there once.

        Raises UsageError for a device that is unknown or not there.
        """
        samples, labels = self._on(device)
        return samples, labels.tensor

    def _on(self, device: Device) -> tuple[Samples, Rows]:
        if device == "cpu":
            return self._samples, self._labels
        try:
            where = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0"
        except (RuntimeError, AssertionError):
            raise UsageError(
                f"device '{device}' is not there; use cpu, or cuda where torch finds a GPU"
            ) from None
        if where.type == "cpu":
            return self._samples, self._labels
        # Beside the CPU's, so that ds[i] and forked workers stay off the accelerator.
        if self._resident is None or self._resident[0] != where:
            with neutral_tensors():
                labels = Rows(self._labels.tensor.to(where))
                self._resident = (where, self._samples.to(where), labels)
        return self._resident[1:]
