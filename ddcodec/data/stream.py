"""Streams of a decoded data set: shared out over ranks and workers, resumable to the sample.

The order of an epoch is a pure function of (seed, epoch). Its units, samples or whole batches, are
dealt like cards: unit k goes to rank k mod R, and there to worker (k div R) mod W. So every unit is
given once, whatever R and W are, and a DataLoader that takes turns between its workers gives the
batches of a rank in one order for any number of workers.

A state says how many units each shard has given. Whoever knows the states of all shards can go on
with another number of them: what is left of the epoch is dealt anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from ..codecs.samples import Rows, Samples
from ..errors import UsageError
from ..nn.views import Draw
from ..runtime.arguments import whole
from ..runtime.ranks import rank_and_world
from ..runtime.world import neutral_tensors
from .batches import order_of, view_key

State = dict[str, Any]


class ShardedStream(IterableDataset[tuple[Any, Any]]):
    """Base of the streams: shards, epochs, and states that fit any number of shards."""

    def __init__(
        self, settings: Mapping[str, Any], rank: int | None, world_size: int | None
    ) -> None:
        """Take the settings that a state must share, and this rank (see ``this_rank``)."""
        super().__init__()
        self._settings: State = dict(settings)
        self._rank, self._world = this_rank(rank, world_size)
        # In shared memory, so that set_epoch reaches workers that are already running.
        self._epoch: Tensor = torch.zeros((), dtype=torch.int64, device="cpu")
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]
        self._layers: list[list[int]] = []  # what earlier runs of this epoch have given
        self._start: tuple[int, int, int] | None = None  # shards, shard, units to pass over
        self._now = (self._world, self._rank, 0)  # shards, shard, units given
        self._over = False  # every unit of the epoch was given

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration gives."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; what was left of another is forgotten. Raises UsageError below 0."""
        if epoch < 0:
            raise UsageError(f"an epoch is 0 or more, got {epoch}")
        if epoch != self.epoch:
            self._epoch.fill_(epoch)
            self._layers, self._start, self._over = [], None, False
            self._now = (self._world, self._rank, 0)

    def state_dict(self) -> State:
        """Return where this shard is: plain numbers and text, a few hundred bytes."""
        shards, shard, given = self._now
        return {
            **self._settings,
            "epoch": self.epoch,
            "layers": [list(layer) for layer in self._layers],
            "shards": shards,
            "shard": shard,
            "given": given,
        }

    def load_state_dict(self, state: State | Sequence[State]) -> None:
        """Go on where a state, or the states of all shards together, left off.

        One state fits the same shard of as many (a StatefulDataLoader gives each worker its own).
        All shards' states may be dealt to any number of ranks and workers.

        Raises UsageError for a state of another file, seed or setting, for shards that are
        missing, and for states of different epochs.
        """
        states = [state] if isinstance(state, dict) else list(state)
        if not states:
            raise UsageError("no state was given")
        for one in states:
            for name, mine in self._settings.items():
                if one.get(name) != mine:
                    raise UsageError(
                        f"the state was saved with {name} {one.get(name)}, this stream has "
                        f"{mine}; it cannot go on"
                    )
            if any(one[key] != states[0][key] for key in ("epoch", "layers", "shards")):
                raise UsageError("the states are of different epochs or runs")
        shards = int(states[0]["shards"])
        found = {int(one["shard"]): int(one["given"]) for one in states}
        missing = sorted(set(range(shards)) - set(found))
        if missing and len(states) > 1:
            raise UsageError(f"the states of shards {missing} of {shards} are missing")
        self._epoch.fill_(states[0]["epoch"])
        self._layers = [list(layer) for layer in states[0]["layers"]]
        self._over = False
        if missing:
            self._start = self._now = (shards, *next(iter(found.items())))
        else:
            self._start, self._now = None, (self._world, self._rank, 0)
            self._layers.append([found[shard] for shard in range(shards)])

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Give this rank's and this worker's units of the epoch, or what is left of them."""
        return self._counted(*self._begin())

    def _counted(self, shards: int, shard: int, given: int) -> Iterator[tuple[Any, Any]]:
        for unit in self._units(shards, shard, given):
            given += 1
            self._now = (shards, shard, given)
            yield unit
        # Until the next iteration, which begins an epoch, the state says that this one is over.
        self._over = True

    def _units(self, shards: int, shard: int, skip: int) -> Iterator[tuple[Any, Any]]:
        """Give what is left of the epoch for a shard, without the first ``skip`` units of it."""
        raise NotImplementedError

    def _begin(self) -> tuple[int, int, int]:
        """Return (shards, shard, units to pass over) of the iteration that begins.

        The worker is the slower digit: a rank's workers then hold its units in turn.
        """
        if self._over:
            self._layers, self._over = [], False
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        shards, shard = self._world * workers, worker * self._world + self._rank
        start, self._start = self._start or (shards, shard, 0), None
        if start[:2] != (shards, shard):
            raise UsageError(
                f"the state is that of shard {start[1]} of {start[0]}, this is shard "
                f"{shard} of {shards}; give the states of all shards to load_state_dict"
            )
        self._now = start
        return start


def this_rank(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Return (rank, number of ranks): as given, or of torch.distributed, or of torchrun.

    Without any of them it is 0 of 1. Raises UsageError for one without the other or out of range.
    """
    if (rank is None) != (world_size is None):
        raise UsageError("give `rank` and `world_size` together, or neither")
    if rank is None or world_size is None:
        rank, world_size = rank_and_world()
    if not 0 <= rank < world_size:
        raise UsageError(f"rank {rank} of {world_size} does not exist")
    return rank, world_size


class SampleStream(ShardedStream):
    """Gives (image, label) pairs, or whole batches of them where ``batch_size`` is set.

    With ``batch_size`` put it into a ``DataLoader(stream, batch_size=None)``: the batches then
    come in the same order for any number of workers. ``set_epoch`` before each epoch gives each
    its own order; it reaches persistent workers too.
    """

    def __init__(
        self,
        samples: Samples,
        labels: Rows,
        item: Callable[[int], tuple[Any, Any]],
        digest: str,
        *,
        seed: int = 0,
        shuffle: bool = True,
        batch_size: int | None = None,
        drop_last: bool = False,
        even: bool = False,
        draw: Draw | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """Share out samples.

        Args:
            samples, labels: on the CPU.
            item: gives the pair at an index.
            digest: of the file; a state of another file is refused.
            seed, shuffle: of the order.
            batch_size: give batches (images (B, C, H, W), labels (B, ...)) instead of pairs.
            drop_last: leave out a last batch that is not full.
            even: leave out the last units of an epoch so that every rank gives as many.
            draw: what is done to batches, keyed as in ``Batches``.
            rank, world_size: by default those of torch.distributed or of torchrun, else 0 of 1.

        Raises UsageError for numbers out of range.
        """
        settings = {
            "digest": digest,
            "seed": whole("seed", seed, 0),
            "shuffle": shuffle,
            "batch_size": (None if batch_size is None else whole("batch_size", batch_size, 1)),
            "drop_last": drop_last,
            "even": even,
        }
        super().__init__(settings, rank, world_size)
        self._samples, self._labels, self._item, self._draw = samples, labels, item, draw

    def __len__(self) -> int:
        """Return the units that this rank gives in a whole epoch."""
        count = self._unit_count()
        used = count - count % self._world if self._settings["even"] else count
        return len(range(self._rank, used, self._world))

    def _units(self, shards: int, shard: int, skip: int) -> Iterator[tuple[Any, Any]]:
        seed, size = self._settings["seed"], self._settings["batch_size"]
        with neutral_tensors():
            units = left_over(self._unit_count(), self._layers)
            if self._settings["even"]:
                units = units[: len(units) - len(units) % self._world]
            order = order_of(self._samples, seed if self._settings["shuffle"] else None, self.epoch)
        for unit in units[shard::shards][skip:].tolist():
            if size is None:
                yield self._item(int(order[unit]))
                continue
            with neutral_tensors():
                index = order[unit * size : (unit + 1) * size]
                x, y = self._samples.take(index), self._labels.take(index)
            if self._draw is not None:
                x, y = self._draw(x, y, view_key(seed, self.epoch, unit * size))
            yield x, y

    def _unit_count(self) -> int:
        count, size = len(self._samples) // self._samples.variations, self._settings["batch_size"]
        if size is None:
            return count
        return count // int(size) if self._settings["drop_last"] else -(-count // int(size))


def left_over(count: int, layers: Sequence[Sequence[int]]) -> Tensor:
    """Return the units 0..count - 1 that are left, int64, in order.

    Each layer was a run over what was left before it: shard s of S = len(layer) took the units
    s, s + S, ... of it and gave the first layer[s] of these.
    """
    units = torch.arange(count)
    for layer in layers:
        keep = torch.ones(len(units), dtype=torch.bool)
        for shard, given in enumerate(layer):
            keep[shard :: len(layer)][:given] = False
        units = units[keep]
    return units
