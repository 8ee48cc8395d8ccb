"""``sweep``: a grid of encodes, each one measured, beside what the same bytes hold otherwise.

Every point of the grid becomes a file in one folder, measured as ``evaluate`` does; nothing is
chosen by the result. Baselines take the same bytes or pixels, networks and recipe
(``alternatives``). A point that is finished is never run again, so a sweep can be interrupted and
widened.
"""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .. import sources
from ..codecs.podd.options import PoDD
from ..data.opening import load
from ..encoder import encode, resolve
from ..errors import CheckpointMismatch, InvalidFile, OutputError, UsageError
from ..evaluate.baselines import full_data
from ..evaluate.live import used_directly
from ..evaluate.measure import on_file, protocol, test_split
from ..format import read_manifest
from ..inspection import info as report
from ..runtime.device import choose_device
from ..runtime.outputs import destination
from ..runtime.progress import SILENT, Reporter
from ..runtime.world import neutral
from ..sources.views import in_order
from .alternatives import SELECTIONS, Alternatives
from .grid import Grid, Place, Settings, commands, identity
from .record import Entry, SweepRecord

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..format import Manifest
    from ..judge.trial import Trial
    from ..sources.base import Source


class Watcher(Protocol):
    """Told of every piece of work of a sweep; must not raise. Itself it is silent."""

    def begins(self, what: str, number: int, of: int) -> None:
        """Piece ``number`` of ``of`` (from 1) begins; ``what`` says which in a few words."""
        return

    def ends(self, what: str, number: int, of: int, entry: Entry, new: bool) -> None:
        """It is finished, or was before (``new`` is False); ``entry`` is its result."""
        return


class _Unwatched(Watcher):
    pass


@neutral()
def sweep(
    source: str,
    out: str | os.PathLike[str],
    grid: Grid,
    settings: Settings | None = None,
    *,
    reporter: Reporter = SILENT,
    watcher: Watcher | None = None,
) -> SweepRecord:
    """Run what is not there yet and return the record, saved in the folder ``out``.

    ``out`` is made if its parent exists. It then holds ``sweep.json``, ``sweep.csv``, ``sweep.md``
    and a ``.ddset`` file for each point.

    Raises:
        UsageError, SourceError, Unsupported: as ``encode`` and ``evaluate.measure.protocol``.
        CheckpointMismatch: the folder holds a sweep, or files, made with other settings.
        OutputError: the folder cannot be written to.
        KeyboardInterrupt: interrupted; finished points are in the record.
    """
    settings, watcher = settings or Settings(), watcher or _Unwatched()
    _check_options(grid, settings)
    how: dict[str, Any] = {
        "download": settings.download,
        "size": settings.size,
        "say": reporter.result,
    }
    data = sources.load(source, test_share=settings.test_share, **how)
    test = data
    if settings.test is not None:
        test = in_order(sources.load(settings.test, **how), data.classes)
    common = identity(data, test, settings)
    record = SweepRecord.open(_folder(Path(out)), common)
    runner = _Runner(source, data, test, settings, record, reporter)
    tasks = list(runner.tasks(grid))
    record.save()  # from here on the files in the folder have these settings
    for number, task in enumerate(tasks, 1):
        entry = task.find()
        new = entry is None
        if entry is None:
            watcher.begins(task.what, number, len(tasks))
            entry = task.run()
            record.begun = {}
            record.save()
        watcher.ends(task.what, number, len(tasks), entry, new)
    return record


def _check_options(grid: Grid, settings: Settings) -> None:
    """Refuse what no point could take, and a time that would end one before its last step."""
    given = dict(settings.encode)
    codec = given.pop("codec", "podd")
    for place in grid.places():
        _, options = resolve(codec, {**place.varied, **given})
    if given.get("time") is None:
        return
    if given.get("steps") is not None:
        raise UsageError("give a sweep `steps` or `time`, not both")
    profile = getattr(options, "profile", None)
    if profile == "auto" and choose_device(settings.device).type == "cuda":
        profile = "paper"
    if profile == "paper" and isinstance(options, PoDD):
        raise UsageError("`time` bounds one call of a paper run; give a sweep `steps` instead")


@dataclass(frozen=True)
class _Task:
    """One piece of work: ``find`` gives its result if it is there, ``run`` makes and keeps it."""

    what: str
    find: Callable[[], Entry | None]
    run: Callable[[], Entry]


@dataclass
class _Runner:
    spec: str
    source: Source
    test: Source
    settings: Settings
    record: SweepRecord
    reporter: Reporter

    def tasks(self, grid: Grid) -> Iterator[_Task]:
        """Give all work, finished or not: the files of a size, then its baselines."""
        beside = self._alternatives() if self.settings.baselines else None
        seeds = sorted(set(grid.seeds))
        for place in grid.places():
            for seed in seeds:
                yield _Task(
                    f"{place}, seed {seed}",
                    partial(self._found, place, seed),
                    partial(self._point, place, seed),
                )
            # Once for each size; a preprocessing changes a few bytes, and a quality no pixels.
            if beside is None or place.preprocessing != grid.preprocessing[0]:
                continue
            for name in beside.names():
                what = f"{name}, in the bytes of the file of {place}"
                yield self._beside(what, beside, name, place, seeds[0])
            if place.quality == grid.quality[0]:
                for name in SELECTIONS:
                    what = f"{name}, in the pixels of the file of {place}"
                    yield self._beside(what, beside, name, place, seeds[0])
        if beside is not None:
            first = partial(self._full_data, next(grid.places()), seeds[0])
            yield _Task("all training images", lambda: self.record.full_data, first)

    def _alternatives(self) -> Alternatives:
        found = Alternatives(self.source, self.settings.encode.get("observer"))
        self.record.notes = found.notes
        return found

    def _beside(self, what: str, beside: Alternatives, name: str, place: Place, seed: int) -> _Task:
        """Return the task of one baseline of a place, beside its file of a seed."""
        return _Task(
            what,
            partial(self.record.baseline, name, place),
            partial(self._baseline, beside, name, place, seed),
        )

    def _path(self, place: Place, seed: int) -> Path:
        return self.record.folder / place.file_name(seed)

    def _found(self, place: Place, seed: int) -> Entry | None:
        """Return the result of a point whose file is still there, and still the same."""
        entry, path = self.record.point(place, seed), self._path(place, seed)
        if entry is None or not path.exists():
            return None
        if _manifest(path).content_digest != entry["content_digest"]:
            raise CheckpointMismatch(
                f"{path}: is not the file that was measured; remove it and it is made again"
            )
        return entry

    def _point(self, place: Place, seed: int) -> Entry:
        path, settings = self._path(place, seed), self.settings
        started = clock.monotonic()
        encode_seconds = None  # of a file that an interrupted sweep left behind
        if path.exists():
            self._check_file(path, seed)
        else:
            self._encode(place, seed, path)
            encode_seconds = clock.monotonic() - started
        ds, facts = load(path), report.info(path)
        trial = self._trial(ds)
        result = on_file(ds, trial)
        entry = {
            **place._asdict(),
            "seed": seed,
            "file": path.name,
            "content_digest": facts["content_digest"],
            "pixels": facts["pixels"],
            "bytes": facts["bytes"]["total"],
            "bits_per_class": facts["bits_per_class"],
            "external_bytes": sum(item.get("bytes", 0) for item in facts["external"]),
            **result.figures(),
            "train_steps": result.steps,
            "encode_seconds": encode_seconds and round(encode_seconds, 1),
            "train_seconds": round(result.seconds, 1),
            "network_in_file": used_directly(ds, trial),
            "commands": commands(self.spec, path.name, facts["provenance"]["command"], settings),
        }
        old = self.record.point(place, seed)
        self.record.points = [e for e in self.record.points if e is not old] + [entry]
        return entry

    def _encode(self, place: Place, seed: int, path: Path) -> None:
        encode(
            self.source,
            path,
            **place.varied,
            seed=seed,
            device=self.settings.device,
            resume=True,
            reporter=self.reporter,
            **self.settings.encode,
        )

    def _check_file(self, path: Path, seed: int) -> None:
        manifest = _manifest(path)
        ours = self.source.digest().startswith(manifest.source.get("digest", "?"))
        if not ours or manifest.provenance.get("seed") != seed:
            raise CheckpointMismatch(
                f"{path}: was not made by this sweep; remove it or choose another `out`"
            )

    def _baseline(self, beside: Alternatives, name: str, place: Place, seed: int) -> Entry:
        ds = load(self._path(place, seed))
        total, classes = ds.file.sizes.total, len(ds.classes)
        found = beside.measured(name, self._trial(ds), ds)
        what = {"name": name, **place._asdict(), "budget_bytes": total}
        entry = what | found | {"bits_per_class": 8 * found["bytes"] / classes}
        self.record.baselines.append(entry)
        return entry

    def _full_data(self, place: Place, seed: int) -> Entry:
        ds = load(self._path(place, seed))
        found = full_data(self._trial(ds), ds, self.source.train)
        self.record.full_data = found | {"bits_per_class": 8 * found["bytes"] / len(ds.classes)}
        return self.record.full_data

    def _trial(self, ds: DistilledDataset) -> Trial:
        settings = self.settings
        return protocol(
            ds,
            test_split(ds, self.test),
            nets=settings.nets,
            steps=settings.train_steps,
            device=settings.device,
            reporter=self.reporter,
            finished=self.record,
        )


def _folder(out: Path) -> Path:
    try:
        destination(out).mkdir(exist_ok=True)  # of a link that leads to none yet
    except FileNotFoundError:
        raise OutputError(f"{out}: the folder {out.parent} does not exist; make it first") from None
    except FileExistsError:
        raise OutputError(f"{out}: is not a folder; name another as `out`") from None
    except OSError as error:
        raise OutputError(f"{out}: cannot be made: {error.strerror}") from None
    return out


def _manifest(path: Path) -> Manifest:
    try:
        return read_manifest(path)[0]
    except InvalidFile as error:
        raise InvalidFile(f"{path}: {error}; remove it and it is made again", error.code) from None
