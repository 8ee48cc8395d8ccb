"""Reporters that keep what is said, or interrupt."""

from __future__ import annotations

from ddcodec.runtime.progress import Reporter


class Notes(Reporter):
    """A reporter that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, name: str, steps: int) -> None:
        pass

    def step(self, done: int, loss: float | None = None) -> None:
        pass

    def note(self, text: str) -> None:
        self.said.append(text)


class StopAfter(Notes):
    """A reporter that interrupts at the given call of ``step``, as a person at the keyboard."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def step(self, done: int, loss: float | None = None) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class StopAt(Notes):
    """A reporter that interrupts once ``at`` steps are done."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def step(self, done: int, loss: float | None = None) -> None:
        if done >= self.at:
            raise KeyboardInterrupt
