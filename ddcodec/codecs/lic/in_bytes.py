"""A file of at most so many bytes: network -> images -> file, and again where it does not fit.

All that is made lies beside the output until the file is there: the network that was trained for
it, the files that were tried, and the plan that ties them to one encode.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import features

from ...errors import InvalidFile, SourceError, UsageError
from ...format import Manifest, read_manifest
from ...observers.file import Trained, load
from ...observers.rounding import smallest_bytes
from ...observers.small_networks import SmallNetwork
from ...runtime.atomic import write_atomically
from ...runtime.progress import Reporter
from ...runtime.ranks import Ranks
from ...sources.base import Source
from ..base import Request
from ..shared.free_bytes import left_free
from ..shared.groups import Parts
from .budget import MOST_QUALITY, QUALITY, Budget, Sizes
from .embedding import embed, require_embeddable, require_labels
from .expected import Choice, Expected
from .options import LIC, USUAL, USUAL_LIVE
from .own_network import NETWORK_SHARE, epochs_of, own_network, trained, training_seconds
from .pack import coded_bytes
from .params import LICParams

HEADER = 1750  # bytes, about, but for the names of classes and the chunks behind the first

Write = Callable[[Request, Trained, LICParams, Ranks, bool], None]


def encode_in_bytes(
    request: Request, options: LIC, precision: str, ranks: Ranks, write: Write
) -> Manifest:
    """Write a file of at most ``total_bytes`` and return its manifest.

    ``write`` makes the file of a request by an observer and settings. Raises what ``encode`` of
    this codec does; UsageError where the smallest file has more bytes.
    """
    source, total = request.source, options.total_bytes
    assert total is not None
    options = complete(options, request.reporter)
    request.reporter.stage("measuring images", 0)
    expected = Expected(source, options, request.seed)
    given = None if options.trains else _given(source, options, expected)
    settings = asdict(options) | {"observer": "" if given is None else given.digest}
    run = Parts(request.out, "bytes", settings, request.seed, source.by_class().digest())
    if given is None:
        network = bytes_for_network(source, expected, total)
        seconds = training_seconds(request, options) or 0.0
        _begin(run, request.resume, ranks, {"network": np.array([network, seconds])})
        observer = _trained(request, options, run, ranks)
        options = replace(options, time=None, epochs=epochs_of(observer, len(source.train)))
        request.reporter.stage("measuring images", 0)
    else:
        observer = given
    fixed = header_of(source.classes) + network_bytes(observer, expected)
    budget = Budget(total, expected, fixed)
    if given is not None:
        budget.require_least()
        _begin(run, request.resume, ranks, {})

    def make(choice: Choice, out: Path) -> None:
        params = expected.params(choice, precision, options)
        require_labels(observer, params)
        write(replace(request, out=out, resume=True), observer, params, ranks, False)

    best = fill(budget, run.folder, ranks, make)
    manifest = None if best is None else read_manifest(best)[0]
    ranks.wait()  # until all have read what the first one removes
    if ranks.rank == 0:
        with run.finishing():
            if best is not None:
                _copy(best, request.out)
    if manifest is None:
        budget.require_least()
    assert manifest is not None  # where nothing fits, the smallest does not
    tell(request.reporter, budget, expected)
    ranks.wait()
    return manifest


def fill(
    budget: Budget, folder: Path, ranks: Ranks, make: Callable[[Choice, Path], None]
) -> Path | None:
    """Return the largest file that fits, None where none does; ``make`` the files in a folder.

    What is there already is not made again.
    """

    def file_of(choice: Choice) -> Path:
        return folder / f"{choice.ipc}-{choice.quality}.ddset"

    while (choice := _agreed(ranks, budget.next())) is not None:
        out = file_of(choice)
        if not ranks.first(out.exists()):
            make(choice, out)
        budget.learn(choice, out.stat().st_size)
    best = budget.made()
    return None if best is None else file_of(best)


def complete(options: LIC, reporter: Reporter) -> LIC:
    """Return options with what is usual where nothing is said, and a note where that cannot be."""
    usual = USUAL_LIVE if options.live_in_bytes else USUAL
    absent: dict[str, Any] = {
        name: value for name, value in usual.items() if getattr(options, name) is None
    }
    if absent.get("images") == "avif" and not features.check("avif"):
        reporter.note("this Pillow has no AVIF, which takes fewer bytes: images are stored as WebP")
        absent["images"] = "webp"
    compensate = options.compensate and not (options.live_in_bytes and options.steps is None)
    return replace(options, **absent, compensate=compensate)


def bytes_for_network(source: Source, expected: Expected, total: int) -> int:
    """Return the bytes of the network that is trained for a file: its share, and what is left.

    Images come in whole numbers a class, and are not made finer than is of use. Raises UsageError
    where the smallest network and one image a class do not fit.
    """
    shape, classes = source.by_class().shape, source.classes
    smallest = smallest_bytes(shape, len(classes))
    budget = Budget(total, expected, header_of(classes) + smallest)
    more = min(int(NETWORK_SHARE * total) - smallest, total - budget.require_least())
    budget.fixed += max(0, more)
    choice = budget.best()
    assert choice is not None  # the share leaves room for the least
    return smallest + max(0, more) + total - budget.bytes(choice)


def network_bytes(observer: Trained, expected: Expected) -> int:
    """Return about the bytes of an observer in the file; 0 where labels are stored."""
    if not expected.embeds:
        return 0
    arrays, _ = embed(observer, expected.shown())
    return coded_bytes(arrays.values(), isinstance(observer.network, SmallNetwork))


def header_of(classes: tuple[str, ...]) -> int:
    """Return about the bytes of a file's header."""
    # A name is text in the text of the manifest, with a comma behind it.
    return HEADER + sum(len(json.dumps(json.dumps(name))) - 1 for name in classes)


def _given(source: Source, options: LIC, expected: Expected) -> Trained:
    """Return the observer that was given; raises UsageError for one that does not fit."""
    assert options.observer is not None  # checked with the options
    observer = load(options.observer)
    observer.require_fit(source.classes, source.by_class().shape)
    if expected.embeds:
        require_embeddable(observer, 1, options.labels)
    return observer


def _begin(run: Parts, resume: bool, ranks: Ranks, plan: dict[str, Any]) -> None:
    """Make the folder and keep the plan in it, unless one of the same encode is there."""
    if ranks.rank == 0:
        run.prepare(resume)
        if not run.has(0):
            run.save(0, plan)
    ranks.wait()


def _trained(request: Request, options: LIC, run: Parts, ranks: Ranks) -> Trained:
    """Return the network of the plan, which the first process trains."""
    if ranks.rank == 0:
        total, seconds = run.load(0)["network"].tolist()
        device = ranks.device(request.device)
        try:
            own_network(request, options, run.folder, int(total), seconds or None, device)
        except (InvalidFile, SourceError, UsageError):  # nothing to go on from
            shutil.rmtree(run.folder, ignore_errors=True)
            raise
    ranks.wait()
    return trained(run.folder)


def _agreed(ranks: Ranks, choice: Choice | None) -> Choice | None:
    """Return the first process's choice; every one has to ask."""
    ipc, quality = (ranks.first(value) for value in choice or (0, 0))
    return Choice(ipc, quality) if ipc else None


def _copy(path: Path, out: Path) -> None:
    with path.open("rb") as file:
        write_atomically(out, lambda written: shutil.copyfileobj(file, written))


def tell(reporter: Reporter, budget: Budget, expected: Sizes) -> None:
    """Say what was chosen, and why a file is smaller than it might be."""
    choice, total = budget.made(), budget.total
    assert choice is not None
    size = budget.bytes(choice)
    at = f" at quality {choice.quality}" if choice.quality else ""
    reporter.result(f"{choice.ipc:,} a class{at}: {size:,} of {total:,} bytes")
    why = "one more a class does not fit" + (f" at quality {QUALITY}" if expected.free else "")
    if choice.ipc == expected.most:
        why = "the smallest class has no more images"
    if expected.free and choice.quality == MOST_QUALITY:
        why += f", and no image is stored above quality {MOST_QUALITY}"
    if (line := left_free(total, size, why)) is not None:
        reporter.note(line)
