"""Shared fixtures: the bundled digits, the real data sets where they are, short encodes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import settings

from ddcodec import encode, sources
from ddcodec.sources import Source

# Slow machines may take long over one example; that is no failure.
settings.register_profile("ddcodec", deadline=None)
settings.load_profile("ddcodec")
# The networks here are small: threads would wait for each other more than they work.
torch.set_num_threads(1)

DATA = Path(__file__).parents[2] / "shared" / "data"


def real_data(name: str) -> Path:
    """Return the folder of a real data set, or skip the test where it is not at hand."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def digits() -> Source:
    return sources.load("digits")


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    """A PoDD file of the digits at 0.9 IPC after a few steps."""
    path = tmp_path_factory.mktemp("digits") / "digits.ddset"
    encode(digits, ipc=0.9, out=path, steps=20, seed=3)
    return path


class Notes:
    """A reporter that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, name: str, steps: int) -> None:
        pass

    def step(self, done: int, loss: float) -> None:
        pass

    def note(self, text: str) -> None:
        self.said.append(text)


class StopAfter:
    """A reporter that interrupts as a person at the keyboard would."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def stage(self, name: str, steps: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def step(self, done: int, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
