"""Files larger than memory: batches straight from the chunks of a file, shuffled as they pass.

The order of an epoch is a pure function of (seed, epoch). Its chunks are shuffled and read as one
long row; the row is cut into windows of whole batches, a few chunks long, and each window is
shuffled once more. So one window is in memory at a time, and every image can meet many others.

Windows are dealt to ranks and workers, window k to shard k mod S, so each chunk is decoded by one
shard alone (by two on a border).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codecs.registry import CODECS
from ..codecs.shared.reading import Reading
from ..errors import Unsupported
from ..format import ChunkReader, Manifest
from ..hub import local
from ..limits import Limits
from ..nn.augment import Augment
from ..nn.views import Draw, find_draw
from ..runtime.arguments import whole
from ..runtime.rng import generator
from ..runtime.world import neutral, neutral_tensors
from .stream import ShardedStream
from .windows import Left, Windows, after, left_over

Pair = tuple[NDArray[Any], NDArray[Any]]
STREAMED = Limits(patches=1 << 40)


class ChunkedDataset(ShardedStream):
    """Batches (images float32 (B, C, H, W), labels float32 (B, classes)) of a file in chunks.

    Memory is bounded by ``buffer`` + ``threads`` + 1 decoded chunks. Chunks are decoded ahead by
    threads, so a plain loop is fast; in a ``DataLoader`` use ``batch_size=None``. Every batch but
    the last of an epoch is full.

    Attributes:
        teacher: the network in the file, where the file says that it labels views; see
            ``DistilledDataset``. Batches are views then, until ``set_augment`` says otherwise.
    """

    @neutral()
    def __init__(
        self,
        path: str | os.PathLike[str],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        buffer: int = 8,
        threads: int = 2,
        drop_last: bool = False,
        raw: bool = False,
        hard_labels: bool = False,
        check: bool = True,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """Open the file's header.

        Args:
            path: a file of the codec ``images`` or ``lic``, stored in chunks (as ``pack`` and the
                encoder of ``lic`` write them), or its address on the hub.
            batch_size: images a batch, at least 1.
            seed, shuffle: of the order; ``buffer``: chunks that are shuffled together.
            threads: that decode ahead.
            drop_last: leave out a last batch that is not full.
            raw: images as they were before preprocessing: uint8, or float32 with 0 black, 1 white.
            hard_labels: labels are class indices, int64 (B,).
            check: compare every chunk with its digest.
            rank, world_size: by default those of torch.distributed or of torchrun, else 0 of 1.

        Raises:
            UsageError: a number is out of range. Unsupported: a file of another codec.
            InvalidFile: a broken file; damage in a chunk is found when the chunk is read.
        """
        seed, batch_size = whole("seed", seed, 0), whole("batch_size", batch_size, 1)
        buffer, threads = whole("buffer", buffer, 1), whole("threads", threads, 1)
        path = local(path)
        with ChunkReader(path, check=check, limits=STREAMED) as reader:
            self.manifest: Manifest = reader.manifest
            name = self.manifest.codec["name"]
            decoder = CODECS[name].chunks(self.manifest)
            if decoder is None:
                raise Unsupported(
                    f"{os.fspath(path)}: codec '{name}' has no chunks of images; use ddcodec.load"
                )
            # It sees preprocessed images.
            self.teacher = None if raw else decoder.teacher(reader)
        self._decoder = decoder
        settings = {
            "digest": self.manifest.content_digest,
            "seed": seed,
            "shuffle": shuffle,
            "batch_size": batch_size,
            "drop_last": drop_last,
            "buffer": buffer,
        }
        super().__init__(settings, rank, world_size)
        self._path, self._check = path, check
        self._threads, self._raw, self._hard = threads, raw, hard_labels
        spec = self.manifest.tensors["images"]
        each = self._decoder.per_row
        self.count = spec.shape[0] * each
        chunk = (spec.chunk or spec.shape[0]) * each
        self._plan = Windows(self.count, chunk, batch_size, buffer, drop_last)
        self._reading = Reading(self.manifest)
        self.preprocess = self._reading.preprocess
        self.set_augment("auto")

    def set_augment(self, augment: str | Augment) -> None:
        """Choose how batches are changed, as ``augment`` of ``ds.batches`` does.

        It holds from the next iteration on; workers that are running keep theirs. Raises UsageError
        for an unknown name, and for bytes (``raw``) where the augmentation needs floats.
        """
        recipe = str(self.manifest.recipe["augment"])
        of_bytes = self._raw and self.manifest.tensors["images"].dtype == "uint8"
        self._draw: Draw | None = find_draw(augment, recipe, self.teacher, self._hard, of_bytes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.manifest.classes

    def __len__(self) -> int:
        """Return the batches that this rank gives in a whole epoch."""
        windows = left_over(self._plan, [])[self._rank :: self._world]
        return sum(end - begin for _, begin, end in windows)

    def _units(self, shards: int, shard: int, skip: int) -> Iterator[tuple[Tensor, Tensor]]:
        with neutral_tensors():
            mine = after(left_over(self._plan, self._layers)[shard::shards], skip)
        size, epoch = self._settings["batch_size"], self.epoch
        for (window, begin, end), (images, labels) in self._loaded(mine, epoch):
            order = self._order_in(window, len(images), epoch)
            for batch in range(begin, end):
                index = order[batch * size : (batch + 1) * size]
                with neutral_tensors():
                    found = self._batch(images, labels, index)
                if self._draw is not None:
                    key = generator(self._settings["seed"], "augment", epoch, window, batch)
                    found = self._draw(*found, key)
                yield found
            del images, labels  # before the next window is made

    @neutral()
    def _decoded(self, reader: ChunkReader, chunk: int) -> Pair:
        # A teacher labels what becomes of the images.
        plain = self._draw is None or self._draw.teacher is None
        return self._decoder.read(reader, chunk, plain)

    def _batch(
        self, images: NDArray[Any], labels: NDArray[Any], index: Tensor
    ) -> tuple[Tensor, Tensor]:
        picked = torch.from_numpy(images).index_select(0, index)
        soft = torch.from_numpy(self._decoder.soft(labels[index.numpy()]))
        image = self._reading.raw(picked) if self._raw else self._reading.ready(picked)
        return image, soft.argmax(1) if self._hard else soft

    @neutral()
    def _order_in(self, window: int, count: int, epoch: int) -> Tensor:
        if not self._settings["shuffle"]:
            return torch.arange(count)
        return torch.randperm(
            count, generator=generator(self._settings["seed"], "window", epoch, window)
        )

    def _loaded(self, windows: list[Left], epoch: int) -> Iterator[tuple[Left, Pair]]:
        """Give each window with its images and labels; chunks are decoded ahead, each once.

        A chunk on the border of two windows is decoded once where both are given here in turn.
        """
        with neutral_tensors():
            order = self._plan.chunk_order(self._settings["seed"], epoch, self._settings["shuffle"])
        parts = [(left, self._plan.parts(left[0], order)) for left in windows]
        jobs = [chunk for chunk, _ in groupby(c for _, pieces in parts for c, _, _ in pieces)]
        with (
            ChunkReader(self._path, check=self._check, limits=STREAMED) as reader,
            closing(_ahead(partial(self._decoded, reader), jobs, self._threads)) as decoded,
        ):
            held, pair = -1, (np.empty(0), np.empty(0))
            for left, pieces in parts:
                at, count = 0, sum(end - begin for _, begin, end in pieces)
                window: Pair | None = None
                for chunk, begin, end in pieces:
                    if chunk != held:
                        held, pair = chunk, next(decoded)
                    if window is None:
                        window = _room(pair, count)
                    for whole, piece in zip(window, pair, strict=True):
                        whole[at : at + end - begin] = piece[begin:end]
                    at += end - begin
                assert window is not None  # a window has at least one batch
                yield left, window


def _ahead(
    decode: Callable[[int], Pair], jobs: Sequence[int], threads: int
) -> Generator[Pair, None, None]:
    """Give images and labels of each chunk in ``jobs``, decoded ahead by threads."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Pair]] = deque()
        for chunk in jobs:
            waiting.append(pool.submit(decode, chunk))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _room(pair: Pair, count: int) -> Pair:
    images, labels = (np.empty((count, *part.shape[1:]), part.dtype) for part in pair)
    return images, labels
