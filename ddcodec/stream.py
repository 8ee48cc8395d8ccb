"""A decoded data set as a stream: shared out over ranks and workers, resumable to the sample.

The order of an epoch is a pure function of (seed, epoch). Its units, samples or whole batches, are
dealt like cards: unit k goes to rank k mod R, and there to worker (k div R) mod W. So every unit is
given once, whatever R and W are, and a DataLoader that takes turns between its workers gives the
batches of a rank in one order for any number of workers.

A state says how many units each shard has given. Whoever knows the states of all shards can go on
with another number of them: what is left of the epoch is dealt anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from .errors import UsageError
from .loader import epoch_order

if TYPE_CHECKING:
    from .dataset import DistilledDataset

State = dict[str, Any]
SAME = ("digest", "seed", "shuffle", "batch_size", "drop_last", "even")


class SampleStream(IterableDataset[tuple[Any, Any]]):
    """Gives (image, label) pairs, or whole batches of them where ``batch_size`` is set.

    With ``batch_size`` put it into a ``DataLoader(stream, batch_size=None)``: the batches then
    come in the same order for any number of workers. ``set_epoch`` before each epoch gives each
    its own order; it reaches persistent workers too.
    """

    def __init__(
        self,
        ds: DistilledDataset,
        *,
        seed: int = 0,
        shuffle: bool = True,
        batch_size: int | None = None,
        drop_last: bool = False,
        even: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """Share out ``ds``.

        Args:
            ds: the data set; its transforms apply to single samples.
            seed, shuffle: of the order.
            batch_size: give batches (images (B, C, H, W), labels (B, ...)) instead of pairs.
            drop_last: leave out a last batch that is not full.
            even: leave out the last units of an epoch so that every rank gives as many.
            rank, world_size: by default those of torch.distributed or of torchrun, else 0 of 1.

        Raises UsageError for numbers out of range, and for batches of a set with transforms.
        """
        super().__init__()
        if seed < 0 or (batch_size is not None and batch_size < 1):
            raise UsageError("seed must be 0 or more and batch_size 1 or more")
        if batch_size is not None and (ds.transform or ds.target_transform):
            raise UsageError("transforms work on single samples; leave batch_size out")
        self._ds = ds
        self._settings: State = {
            "digest": ds.manifest.content_digest,
            "seed": seed,
            "shuffle": shuffle,
            "batch_size": batch_size,
            "drop_last": drop_last,
            "even": even,
        }
        self._rank, self._world = _place(rank, world_size)
        # In shared memory, so that set_epoch reaches workers that are already running.
        self._epoch: Tensor = torch.zeros((), dtype=torch.int64)
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

    def __len__(self) -> int:
        """Return the units that this rank gives in a whole epoch."""
        count = self._unit_count()
        used = count - count % self._world if self._settings["even"] else count
        return len(range(self._rank, used, self._world))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Give this rank's and this worker's units of the epoch, or what is left of them."""
        if self._over:
            self._layers, self._over = [], False
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        shards, shard = self._world * workers, worker * self._world + self._rank
        skip = self._passed_over(shards, shard)
        self._start = None
        units = left_over(self._unit_count(), self._layers)
        if self._settings["even"]:
            units = units[: len(units) - len(units) % self._world]
        return self._give(units[shard::shards].tolist(), shards, shard, skip)

    def _give(
        self, units: list[int], shards: int, shard: int, skip: int
    ) -> Iterator[tuple[Any, Any]]:
        order = self._order()
        for given in range(skip, len(units)):
            self._now = (shards, shard, given + 1)
            yield self._unit(order, units[given])
        # Until the next iteration, which begins an epoch, the state says that this one is over.
        self._over = True

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
            for name in SAME:
                if one.get(name) != self._settings[name]:
                    raise UsageError(
                        f"the state was saved with {name} {one.get(name)}, this stream has "
                        f"{self._settings[name]}; it cannot go on"
                    )
            if any(one[key] != states[0][key] for key in ("epoch", "layers", "shards")):
                raise UsageError("the states are of different epochs or runs")
        first = states[0]
        self._epoch.fill_(first["epoch"])
        self._layers = [list(layer) for layer in first["layers"]]
        shards = int(first["shards"])
        self._over = False
        found = {int(one["shard"]): int(one["given"]) for one in states}
        self._start = None
        if set(found) == set(range(shards)):
            self._layers.append([found[shard] for shard in range(shards)])
        elif len(states) == 1:
            self._start = (shards, int(first["shard"]), int(first["given"]))
            self._now = self._start
        else:
            missing = sorted(set(range(shards)) - set(found))
            raise UsageError(f"the states of shards {missing} of {shards} are missing")

    def _passed_over(self, shards: int, shard: int) -> int:
        if self._start is None:
            self._now = (shards, shard, 0)
            return 0
        if self._start[:2] != (shards, shard):
            raise UsageError(
                f"the state is that of shard {self._start[1]} of {self._start[0]}, this is shard "
                f"{shard} of {shards}; give the states of all shards to load_state_dict"
            )
        return self._start[2]

    def _unit_count(self) -> int:
        count, size = len(self._ds), self._settings["batch_size"]
        if size is None:
            return count
        return count // int(size) if self._settings["drop_last"] else -(-count // int(size))

    def _order(self) -> Tensor:
        if self._settings["shuffle"]:
            return epoch_order(len(self._ds), self._settings["seed"], self.epoch)
        return torch.arange(len(self._ds))

    def _unit(self, order: Tensor, unit: int) -> tuple[Any, Any]:
        size = self._settings["batch_size"]
        if size is None:
            item: tuple[Any, Any] = self._ds[int(order[unit])]
            return item
        index = order[unit * size : (unit + 1) * size]
        samples, labels = self._ds.on("cpu")
        return samples.gather(index), labels.index_select(0, index)


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


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise UsageError("give rank and world_size together, or neither")
    if rank is None or world_size is None:
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if not 0 <= rank < world_size:
        raise UsageError(f"rank {rank} of {world_size} does not exist")
    return rank, world_size
