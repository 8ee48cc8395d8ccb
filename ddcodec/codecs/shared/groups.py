"""The finished groups of classes of an encode, kept until the file is complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from ...errors import CheckpointMismatch, OutputError
from ...runtime import checkpoint
from ...runtime.ranks import Ranks

Group = dict[str, NDArray[Any]]


class Parts:
    """A folder beside the output with a file for each finished group."""

    def __init__(self, out: Path, identity: str) -> None:
        self.folder = out.with_name(out.name + ".checkpoint")
        self._identity = identity

    def prepare(self, resume: bool) -> None:
        """Make the folder; without ``resume`` an earlier one is emptied.

        Raises OutputError where that is impossible, CheckpointMismatch for a checkpoint that
        another codec wrote.
        """
        try:
            if self.folder.is_dir() and not resume:
                shutil.rmtree(self.folder)
            self.folder.mkdir(exist_ok=True)
        except FileExistsError:
            raise CheckpointMismatch(
                f"{self.folder}: is not a folder of finished classes; delete it to start again"
            ) from None
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot write: {error.strerror}") from None

    @contextmanager
    def shared(self, ranks: Ranks, resume: bool) -> Iterator[None]:
        """Prepare the folder for all processes; at the end all of their groups are there."""
        if ranks.rank == 0:
            self.prepare(resume)
        ranks.wait()
        yield
        ranks.wait()

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Remove the folder once the body has written the file; keep it where that fails."""
        try:
            yield
        except OutputError as error:
            raise OutputError(
                f"{error}; {self.folder.name} keeps the work, run the same call with `resume`"
            ) from None
        self.remove()

    def has(self, number: int) -> bool:
        """Say whether a group is finished; raises CheckpointMismatch for one of another encode."""
        if not self._path(number).exists():
            return False
        self.load(number)
        return True

    def save(self, number: int, group: Group) -> None:
        """Keep a finished group, whole or not at all."""
        tensors = {name: torch.from_numpy(array) for name, array in group.items()}
        checkpoint.save(self._path(number), tensors, {"group": number}, self._identity)

    def load(self, number: int) -> Group:
        """Return a finished group."""
        tensors, _ = checkpoint.load(self._path(number), self._identity)
        return {name: tensor.numpy() for name, tensor in tensors.items()}

    def each(self, count: int) -> Iterator[Group]:
        """Give all groups, one after the other."""
        for number in range(count):
            yield self.load(number)

    def remove(self) -> None:
        """Remove the folder, whose groups the output holds now."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"
