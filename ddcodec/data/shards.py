"""What every stream shares: its place among ranks and workers, its epoch, its state.

Units are dealt to shards in turn. A state says how many units each shard has given; whoever knows
the states of all shards can go on with another number of them: what is left is dealt anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from ..errors import UsageError

State = dict[str, Any]


class ShardedStream(IterableDataset[tuple[Any, Any]]):
    """Base of the streams: shards, epochs, and states that fit any number of shards."""

    def __init__(
        self, settings: Mapping[str, Any], rank: int | None, world_size: int | None
    ) -> None:
        """Take the settings that a state must share, and this rank (see ``place``)."""
        super().__init__()
        self._settings: State = dict(settings)
        self._rank, self._world = place(rank, world_size)
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


def place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Return (rank, number of ranks): as given, or of torch.distributed, or of torchrun.

    Without any of them it is 0 of 1. Raises UsageError for one without the other or out of range.
    """
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
