"""Progress for people: a bar with loss, rate and time left on a terminal, only notes elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ddcodec.runtime.progress import Reporter

from .flags import spelled
from .output import EXIT_INTERRUPTED, message

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def is_first() -> bool:
    """Say whether this process speaks for all that torchrun started; alone it does."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def resumable(target: Path, resume: bool) -> Iterator[Reporter]:
    """Give a reporter for work with a checkpoint beside ``target``; an interruption names it."""
    from ddcodec.runtime.device import keep_large_blocks

    checkpoint = target.with_name(target.name + ".checkpoint")
    if resume and not checkpoint.exists():
        message(f"{checkpoint}: not there; starting from the beginning")
    keep_large_blocks()
    try:
        with progress() as reporter:
            yield reporter
    except KeyboardInterrupt:
        saved = f"the checkpoint is {checkpoint}; run the same command with --resume"
        none = "nothing was saved yet, run the same command again"
        message(f"interrupted; {saved if checkpoint.exists() else none}")
        raise typer.Exit(EXIT_INTERRUPTED) from None


@contextmanager
def progress() -> Iterator[Reporter]:
    """Give a reporter for one piece of work; its bar is gone when the block ends."""
    if not (sys.stderr.isatty() and is_first()):
        yield NoteReporter()
        return
    from rich import progress as parts
    from rich.console import Console

    bar = parts.Progress(
        parts.TextColumn("{task.description}"),
        parts.BarColumn(),
        parts.MofNCompleteColumn(),
        parts.TextColumn("{task.fields[rate]}"),
        parts.TextColumn("{task.fields[loss]}"),
        parts.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        yield BarReporter(bar)


class NoteReporter(Reporter):
    """Writes notes to stderr and nothing else."""

    def note(self, text: str) -> None:
        message(spelled(text))


class BarReporter(Reporter):
    """Draws the stage that is under way; a new stage takes the place of the last one."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def stage(self, name: str, steps: int) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=steps, rate="", loss="")

    def step(self, done: int, loss: float) -> None:
        if self._task is None:
            return
        self._bar.update(self._task, completed=done)
        speed = next(task.speed for task in self._bar.tasks if task.id == self._task)
        self._bar.update(self._task, rate=rate_text(speed), loss=f"loss {loss:.4f}")

    def note(self, text: str) -> None:
        """Write a line above the bar, where it stays."""
        self._bar.console.print(spelled(text), markup=False, highlight=False, soft_wrap=True)


def rate_text(speed: float | None) -> str:
    """Return steps a second, or seconds a step where steps are slow."""
    if not speed:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
