"""What long work tells whoever watches it."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Told of each stage and step; must return at once and must not raise. Itself it is silent."""

    def stage(self, name: str, steps: int) -> None:
        """A stage of ``steps`` steps begins (or goes on after a resume)."""
        return

    def step(self, done: int, loss: float) -> None:
        """``done`` steps of the stage are finished; ``loss`` is that of the last one."""
        return

    def note(self, text: str) -> None:
        """Something that is worth a line; it has no line break."""
        return


class _Silent(Reporter):
    def __repr__(self) -> str:
        return "SILENT"


SILENT: Reporter = _Silent()
