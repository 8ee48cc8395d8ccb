"""What the commands that train networks on a file share: the test, what is kept, interruptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddcodec.codecs.options import Common

from .files import kept_beside
from .output import accuracy, message

if TYPE_CHECKING:
    from ddcodec.data.dataset import DistilledDataset
    from ddcodec.judge.trial import Trial
    from ddcodec.observers.file import Trained
    from ddcodec.runtime.finished import FinishedFile
    from ddcodec.runtime.progress import Reporter
    from ddcodec.sources.base import Source
    from ddcodec.sources.split import Split

Report = dict[str, Any]  # what a command prints with --json; accuracies are shares of 1


def network_in_file(report: Report) -> str:
    """Return what the network in a file reaches that labels views, used instead of a student."""
    from ddcodec.sweep import verdict

    return verdict.network_in_file(report["network_in_file"])


def find_source(
    ds: DistilledDataset, spec: str | None, common: Common, say: Callable[[str], None]
) -> Source:
    """Return the source called ``spec``, or the one that the file was made from.

    Raises UsageError where there is nothing to go by, SourceError where the source is not found.
    """
    from ddcodec import sources

    made = ds.manifest.source
    if spec is None:
        return sources.find_again(made, ds.classes, say=say, **common.of_source)
    return sources.open_for(spec, made, ds.classes, say=say, **common.of_source)


def find_observer(ds: DistilledDataset, path: Path | None) -> Trained | None:
    """Return the observer in a file, None for none; raises UsageError where it does not fit."""
    if path is None:
        return None
    from ddcodec.observers.file import load

    observer = load(path)
    observer.require_fit(ds.classes, ds.image_shape)
    return observer


def trial_on(
    ds: DistilledDataset, source: Source, common: Common, reporter: Reporter, **how: Any
) -> tuple[Trial, Split]:
    """Return how the file is measured and on what; ``how`` are more arguments of ``protocol``."""
    from ddcodec.evaluate.measure import protocol, test_split

    split = test_split(ds, source)
    shared: dict[str, Any] = {"seed": common.seed, "device": common.device, "reporter": reporter}
    return protocol(ds, split, **shared, **how), split


def keeping(
    trial: Trial, run: dict[str, Any], file: str, place: Path
) -> tuple[Trial, FinishedFile]:
    """Return the trial of a run whose networks are kept, and where that is.

    ``place`` is where ``file`` lies; beside a file of the hub's cache nothing is kept, but here.
    """
    from ddcodec.runtime.finished import FinishedFile

    finished = FinishedFile(kept_beside(file, place), run, trial.reporter)
    return replace(trial, finished=finished), finished


@contextmanager
def interruption_told(trial: Trial, finished: FinishedFile) -> Iterator[None]:
    """Where the block is interrupted, say what networks have reached, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        import numpy as np

        for name, found in trial.scores.items():
            if found:
                reached = accuracy(float(np.mean(found)), float(np.std(found)))
                message(f"{name}: {reached} after {len(found)} of {trial.nets} networks")
        if finished.kept:
            message(f"interrupted; the same command goes on from {finished.path}")
        else:
            message("interrupted; no network is kept, the same command begins anew")
        raise
