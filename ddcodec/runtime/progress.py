"""What long work tells whoever watches it."""

from __future__ import annotations

import time
from typing import Protocol

FIRST = 3  # steps of which each is worth a report: they say how long the others take
EVERY = 10
SECONDS = 1.0  # between reports of slow steps


class Reporter(Protocol):
    """Told of each stage and step; must return at once and must not raise. Itself it is silent."""

    def stage(self, name: str, steps: int) -> None:
        """A stage of ``steps`` steps begins (or goes on after a resume); 0 if none are counted."""
        return

    def step(self, done: int, loss: float | None = None) -> None:
        """``done`` steps of the stage are finished; ``loss`` is that of the last one, if any."""
        return

    def result(self, text: str) -> None:
        """A part of the work has a result; ``text`` says which and what, without line breaks."""
        return

    def note(self, text: str) -> None:
        """Something that is worth a line; it has no line break."""
        return


class _Silent(Reporter):
    def __repr__(self) -> str:
        return "SILENT"


SILENT: Reporter = _Silent()


class Reports:
    """Says after which of ``steps`` steps to report: reading a loss makes an accelerator wait."""

    def __init__(self, steps: int) -> None:
        self._steps, self._told = steps, time.monotonic()

    def due(self, step: int) -> bool:
        """Say whether to report step ``step``, counted from 1."""
        now = time.monotonic()
        told = step <= FIRST or step % EVERY == 0 or step == self._steps
        if not told and now - self._told < SECONDS:
            return False
        self._told = now
        return True
