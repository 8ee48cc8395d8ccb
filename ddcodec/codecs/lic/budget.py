"""A budget of bytes: the most mosaics in a file of no more, and the finest where they are lossy.

Sizes are expected at first. The file of the best choice is then made and its size taken; where it
is too large, or something larger is now expected to fit, the next one is made.
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

from ...errors import UsageError
from ...format import Manifest, read_manifest
from ...observers.file import Trained, load
from ...observers.rounding import smallest_bytes
from ...observers.small_networks import SmallNetwork
from ...runtime.atomic import write_atomically
from ...runtime.progress import Reporter
from ...runtime.ranks import Ranks
from ..base import Request
from ..shared.groups import Parts
from .embedding import embed, require_labels
from .expected import SOMEBODY, Choice, Expected
from .options import LIC, USUAL, USUAL_LIVE
from .own_network import NETWORK_SHARE, epochs_of, own_network, trained, training_seconds
from .pack import coded_bytes
from .params import LICParams

# Of lossy mosaics whose quality is to be found: images are counted at the first, as best were 250
# at 50 against 130 at 65 and 500 at 30 (docs/lic.md); it becomes less where one a class does not
# fit, and more as far as bytes are left.
QUALITY, LEAST_QUALITY, MOST_QUALITY = 50, 40, 65
CLOSE = 0.98  # of the bytes: no further file is made
TRIES = 4  # files, at most, once one has fitted
HEADER = 1750  # bytes, about, but for the names of classes and the chunks behind the first

Write = Callable[[Request, Trained, LICParams, Ranks, bool], None]


def encode_in_bytes(
    request: Request, options: LIC, precision: str, ranks: Ranks, write: Write
) -> Manifest:
    """Write a file of ``total_bytes`` at most and return its manifest.

    ``write`` makes the file of a request with an observer and settings. Raises what ``encode`` of
    this codec does; UsageError where the smallest file has more bytes.
    """
    source, total = request.source, options.total_bytes
    assert total is not None
    options = complete(options, request.reporter)
    request.reporter.stage("measuring images", 0)
    expected = Expected(source, options, request.seed)
    observer, plan = None, {"network": np.zeros(1, np.int64)}
    if options.trains:
        plan["network"][0] = bytes_for_network(request, expected, total)
        plan["seconds"] = np.array([training_seconds(request, options) or 0])
    else:
        observer = _given(request, options, expected, precision)
    digest = "" if observer is None else observer.digest
    settings = asdict(options) | {"observer": digest, "seed": request.seed}
    run = Parts(request.out, "bytes", settings, source.by_class().digest())
    if ranks.rank == 0:
        run.prepare(request.resume)
        if not run.has(0):
            run.save(0, plan)
    ranks.wait()
    if observer is None:
        if ranks.rank == 0:
            kept = run.load(0)
            seconds = float(kept["seconds"][0]) or None
            device = ranks.device(request.device)
            own_network(request, options, run.folder, int(kept["network"][0]), seconds, device)
        ranks.wait()
        observer = trained(run.folder)
    asked = recorded(options, observer, len(source.train)) if options.trains else options
    observer.network.to(ranks.device(request.device))
    budget = Budget(total, expected, header_of(source.classes) + network_bytes(observer, expected))

    def file_of(choice: Choice) -> Path:
        return run.folder / f"{choice.ipc}-{choice.quality}.ddset"

    while (choice := _agreed(ranks, budget.next())) is not None:
        path = file_of(choice)
        if not ranks.first(path.exists()):
            params = expected.params(choice, precision, SOMEBODY, asked)
            require_labels(observer, params)
            write(replace(request, out=path, resume=True), observer, params, ranks, False)
        budget.learn(choice, path.stat().st_size)
    ranks.wait()  # until all have looked at the files
    best = budget.made_best()
    if best is None:
        if ranks.rank == 0:
            shutil.rmtree(run.folder, ignore_errors=True)
        raise too_few(total, budget.bytes(budget.least))
    manifest, _ = read_manifest(file_of(best))
    ranks.wait()
    if ranks.rank == 0:
        with run.finishing():
            _copy(file_of(best), request.out)
        tell(request.reporter, best, expected, budget.bytes(best), total)
    ranks.wait()
    return manifest


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


class Budget:
    """What fits into ``total`` bytes, as far as is known.

    Attributes:
        fixed: bytes of all that does not depend on the choice.
        least: the choice of the smallest file.
    """

    def __init__(self, total: int, expected: Expected, fixed: int) -> None:
        self._total, self._expected, self.fixed, self._scale = total, expected, fixed, 1.0
        self._made: dict[Choice, int] = {}
        self._quality = QUALITY if expected.free else expected.quality
        self.least = Choice(1, LEAST_QUALITY if expected.free else expected.quality)

    def bytes(self, choice: Choice) -> int:
        """Return the bytes of the file of a choice, about where it was not made."""
        if choice in self._made:
            return self._made[choice]
        return self.fixed + round(self._scale * self._expected.bytes(choice))

    def learn(self, choice: Choice, size: int) -> None:
        """Take the size of a file that was made: what is expected of others moves with it."""
        self._made[choice] = size
        self._scale = max(0, size - self.fixed) / self._expected.bytes(choice)

    def next(self) -> Choice | None:
        """Return the choice whose file is to be made next, None where nothing is to be gained."""
        best = self.made_best()
        close = best is not None and self._made[best] >= CLOSE * self._total
        if close or (best is not None and len(self._made) >= TRIES):
            return None
        choice = self.best()
        return None if choice in self._made else choice

    def made_best(self) -> Choice | None:
        """Return the choice of the largest file that was made and fits, None where none does."""
        fitting = [choice for choice, size in self._made.items() if size <= self._total]
        return max(fitting, key=self.bytes, default=None)

    def best(self) -> Choice | None:
        """Return the choice that should fill the bytes best, None where none should fit."""
        ipc = self._most_mosaics()
        if not self._expected.free:
            return Choice(ipc, self._quality) if ipc else None
        if ipc:
            return self._finest(ipc, QUALITY, MOST_QUALITY)
        return self._finest(1, LEAST_QUALITY, QUALITY - 1) if self._fits(self.least) else None

    def _most_mosaics(self) -> int:
        """Return how many mosaics a class fit at the usual quality, 0 for none."""
        low, high, most = 0, 1, self._expected.most
        while high <= most and self._fits(Choice(high, self._quality)):
            low, high = high, 2 * high
        high = min(high, most + 1)
        while high - low > 1:
            middle = (low + high) // 2
            fits = self._fits(Choice(middle, self._quality))
            low, high = (middle, high) if fits else (low, middle)
        return low

    def _finest(self, ipc: int, low: int, high: int) -> Choice:
        """Return the choice with the best quality up to ``high`` that fits; ``low`` does."""
        while low < high:
            middle = (low + high + 1) // 2
            fits = self._fits(Choice(ipc, middle))
            low, high = (middle, high) if fits else (low, middle - 1)
        return Choice(ipc, low)

    def _fits(self, choice: Choice) -> bool:
        try:
            return self.bytes(choice) <= self._total
        except UsageError:
            return False  # of so many images there is no picture


def bytes_for_network(request: Request, expected: Expected, total: int) -> int:
    """Return the bytes of the network that is trained for a file: its share, and what is left.

    Images come in whole numbers a class, and not finer than ``MOST_QUALITY``. Raises UsageError
    where the smallest network and one image a class do not fit.
    """
    classes, pool = request.source.classes, request.source.by_class()
    smallest, header = smallest_bytes(pool.shape, len(classes)), header_of(classes)
    budget = Budget(total, expected, header + smallest)
    least = budget.bytes(budget.least)
    if least > total:
        raise too_few(total, least)
    budget.fixed += max(0, min(int(NETWORK_SHARE * total) - smallest, total - least))
    choice = budget.best()
    assert choice is not None  # the least fits, and the share leaves room for it
    return total - header - expected.bytes(choice)


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


def recorded(options: LIC, network: Trained, images: int) -> LIC:
    """Return the options that make the file again, however long its network took."""
    return replace(options, time=None, epochs=epochs_of(network, images))


def too_few(total: int, needed: int) -> UsageError:
    """Return the error for a budget that no file fits into."""
    return UsageError(
        f"`total_bytes`={total} is too few: the smallest file of these settings takes about "
        f"{needed}"
    )


def tell(reporter: Reporter, choice: Choice, expected: Expected, size: int, total: int) -> None:
    """Say what was chosen, and why the file is much smaller than it might be."""
    at = f" at quality {choice.quality}" if choice.quality else ""
    reporter.result(f"{choice.ipc:,} a class{at}: {size:,} of {total:,} bytes")
    if size < (2 * CLOSE - 1) * total:
        why = "one more a class does not fit"
        if choice.ipc == expected.most:
            why = "the smallest class has no more images"
        reporter.note(f"{total - size:,} of `total_bytes`={total} stay free: {why}")


def _given(request: Request, options: LIC, expected: Expected, precision: str) -> Trained:
    """Return the observer that was given, of which labels can be had; raises UsageError."""
    assert options.observer is not None  # checked with the options
    observer = load(options.observer)
    observer.require_fit(request.source.classes, request.source.by_class().shape)
    least = Choice(1, LEAST_QUALITY if expected.free else expected.quality)
    require_labels(observer, expected.params(least, precision, SOMEBODY, options))
    return observer


def _agreed(ranks: Ranks, choice: Choice | None) -> Choice | None:
    """Return rank 0's choice; every process has to ask."""
    ipc, quality = (ranks.first(value) for value in choice or (0, 0))
    return Choice(ipc, quality) if ipc else None


def _copy(path: Path, out: Path) -> None:
    with path.open("rb") as file:
        write_atomically(out, lambda written: shutil.copyfileobj(file, written))
