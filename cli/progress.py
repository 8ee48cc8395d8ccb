"""Progress of a command: who is told what, and what is said of work that can go on later."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ddcodec.runtime.progress import Reporter

from .output import message
from .reporters import BarReporter, LogReporter, NoteReporter

# Of every command that may take long.
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="No progress and no estimates on stderr.")
]


def is_first() -> bool:
    """Say whether this process speaks for all that torchrun started; alone it does."""
    return (os.environ.get("RANK") or "0") == "0"


@contextmanager
def resumable(
    target: Path, resume: bool, overwrite: bool = False, quiet: bool = False, advice: str = ""
) -> Iterator[Reporter]:
    """Give a reporter for work with a checkpoint beside ``target``; an interruption names it.

    Raises OutputError where a checkpoint is there and neither ``resume`` nor ``overwrite`` is
    given: what it holds may be a day's work.
    """
    from ddcodec.runtime.checkpoint import require_free
    from ddcodec.runtime.device import keep_large_blocks
    from ddcodec.runtime.outputs import checkpoint_of

    checkpoint = checkpoint_of(target)
    require_free(checkpoint, resume, overwrite)
    opening = ""
    if resume and checkpoint.exists():
        opening = f"{checkpoint}: this run goes on from there"
    elif resume:
        message(f"{checkpoint}: not there; starting from the beginning")
    keep_large_blocks()
    try:
        with progress(quiet, opening, advice) as reporter:
            yield reporter
    except KeyboardInterrupt as stop:
        saved = f"the checkpoint is {checkpoint}; run the same command with --resume"
        none = "nothing was saved yet, run the same command again"
        known = next(iter(stop.args), saved if checkpoint.exists() else none)
        message(f"interrupted; {known}")
        raise


@contextmanager
def progress(quiet: bool = False, opening: str = "", advice: str = "") -> Iterator[Reporter]:
    """Give a reporter for one piece of work: a bar, which is gone at the end, or lines of a log.

    ``opening`` and ``advice`` are those of ``reporters.Told``.
    """
    if quiet or not is_first():
        yield NoteReporter()
        return
    if not sys.stderr.isatty():
        log = LogReporter(opening, advice)
        log.start()
        complete = False
        try:
            yield log
            complete = True
        finally:
            log.stop(complete)
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
        yield BarReporter(bar, opening, advice)
