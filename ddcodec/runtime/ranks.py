"""Several processes that share one encode, as torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import UsageError, one_line

T = TypeVar("T")
PATIENCE = timedelta(days=30)  # the fastest rank waits as long as the slowest works


@dataclass(frozen=True)
class Ranks:
    """This process and how many there are."""

    rank: int = 0  # to world - 1; rank 0 writes the file
    world: int = 1
    group: Any = None  # of torch.distributed, on the CPU

    def mine(self, number: int) -> bool:
        """Say whether piece ``number`` of the work belongs to this process."""
        return number % self.world == self.rank

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            dist.barrier(self.group)

    def first(self, mine: int) -> int:
        """Return what rank 0 said; every process has to ask."""
        if self.world == 1:
            return mine
        said = torch.tensor([int(mine)])
        dist.broadcast(said, 0, self.group)
        return int(said)

    def agreed(self, mine: int | None) -> int | None:
        """Return rank 0's natural number or None; every process has to ask."""
        said = self.first(-1 if mine is None else mine)
        return None if said < 0 else said

    def gathered(self, rows: Tensor) -> Tensor:
        """Return the rows (k, n) of every process as (k * world, n): row i is of rank i % world."""
        if self.world == 1:
            return rows
        mine = rows.cpu().contiguous()
        found = [torch.empty_like(mine) for _ in range(self.world)]
        dist.all_gather(found, mine, self.group)
        return torch.stack(found, 1).flatten(0, 1).to(rows.device)

    def to_first(self, mine: list[T]) -> list[T]:
        """Return the lists of all processes, joined, on rank 0; elsewhere the process's own."""
        if self.world == 1:
            return mine
        lists: list[list[T]] | None = [[] for _ in range(self.world)] if self.rank == 0 else None
        dist.gather_object(mine, lists, 0, self.group)
        return mine if lists is None else [item for part in lists for item in part]

    def device(self, device: torch.device) -> torch.device:
        """Return this process's own GPU where GPUs are meant without a number."""
        if self.world == 1 or str(device) != "cuda":
            return device
        local = _variable("LOCAL_RANK", self.rank)
        return torch.device("cuda", local % torch.cuda.device_count())


@contextmanager
def joined() -> Iterator[Ranks]:
    """Give this process's rank; join the others where torchrun or the caller started several.

    The meeting point is gloo, on GPUs too: what goes over it is small, a poster's gradient at most.
    """
    if dist.is_available() and dist.is_initialized():
        # Whatever the caller's own group speaks, this one takes tensors of the CPU.
        group = dist.new_group(timeout=PATIENCE, backend="gloo")
        yield Ranks(dist.get_rank(), dist.get_world_size(), group)
        return
    if world_size() == 1:
        yield Ranks()
        return
    try:
        dist.init_process_group("gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            f"WORLD_SIZE says {world_size()} processes, but they cannot meet "
            f"({one_line(error)}); start them with torchrun, or unset WORLD_SIZE"
        ) from None
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Return the processes that have joined, or that torchrun says there are; 1 without it."""
    return rank_and_world()[1]


def rank_and_world() -> tuple[int, int]:
    """Return this process's rank and the number of processes; 0 of 1 without torchrun."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return _variable("RANK", 0), _variable("WORLD_SIZE", 1)


def _variable(name: str, without: int) -> int:
    said = os.environ.get(name) or str(without)  # empty is as if it were not there
    if not (said.isascii() and said.isdigit()):
        raise UsageError(f"the variable {name} is '{said}'; unset it, or use torchrun")
    return int(said)
