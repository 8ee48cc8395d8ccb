"""The finished groups of classes of an encode, kept until the file is complete."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from ...errors import CheckpointMismatch, OutputError
from ...runtime import checkpoint
from ...runtime.outputs import checkpoint_of
from ...runtime.progress import Reporter
from ...runtime.ranks import Ranks
from ...version import __version__

Group = dict[str, NDArray[Any]]


def in_groups(classes: int, size: int) -> list[range]:
    """Return the classes that belong together; every group but the last has ``size``."""
    return [range(start, min(start + size, classes)) for start in range(0, classes, size)]


class Parts:
    """A folder beside the output with a file for each finished group."""

    def __init__(self, out: Path, *facts: Any) -> None:
        """Take JSON values that must be equal for groups of two runs to be exchangeable."""
        self.folder = checkpoint_of(out)
        text = json.dumps([*facts, __version__], sort_keys=True)
        self._identity = hashlib.sha256(text.encode()).hexdigest()

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
        shutil.rmtree(self.folder, ignore_errors=True)

    def make(
        self,
        stage: str,
        numbers: list[int],
        make: Callable[[int], tuple[Group, float]],
        reporter: Reporter,
    ) -> None:
        """Make and keep those of some groups that are not finished, each with a loss to report."""
        reporter.stage(stage, len(numbers))
        loss = 0.0
        for done, number in enumerate(numbers, 1):
            if not self.has(number):
                group, loss = make(number)
                self.save(number, group)
            reporter.step(done, loss)

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

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"
