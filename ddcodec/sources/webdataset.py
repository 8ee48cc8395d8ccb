"""WebDataset shards: tar archives in which files of one sample follow each other.

A sample is ``<key>.png`` (or another kind of image) and ``<key>.cls``, its class as a decimal
number, or ``<key>.json`` with that number as "label". Class names, one a line, may stand in a file
classes.txt beside the shards.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .archive import SUFFIXES as ARCHIVES
from .archive import entries, is_archive
from .base import Source
from .checks import numbered_classes
from .complete import require_all, require_finished
from .imagefolder import SUFFIXES as IMAGES
from .images import decode_all
from .spelling import text_lines
from .split import TESTS, Split

NAMES = "classes.txt"
LABELS = (".cls", ".json")
Member = tuple[re.Match[str], Callable[[], bytes]]  # of an archive: its name, what reads it
SAMPLE = re.compile(r"((?:.*/)?[^./]+)([.][^/]+)", re.DOTALL)  # key, and kind from the first dot


def shards(folder: Path, split: str) -> list[Path]:
    """Return the archives with the word ``split`` in their names, else those in such a folder."""
    word = re.compile(rf"(?i)(^|[^a-z]){split}([^a-z]|$)")
    found = sorted(p for p in folder.iterdir() if is_archive(p) and word.search(p.name))
    inner = folder / split
    return found or (sorted(p for p in inner.iterdir() if is_archive(p)) if inner.is_dir() else [])


def load(place: Path, name: str, size: int | None = None) -> Source | None:
    """Return the source in the shards of a folder, or in one archive, which is all to train on.

    Samples keep their order. The test split is the first of ``TESTS`` that is there.
    """
    tests: dict[str, list[Path]] = {}
    if is_archive(place):
        files, names = [place], place.with_name(NAMES)
        suffix = next(s for s in ARCHIVES if place.name.lower().endswith(s))
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    elif place.is_dir() and (files := shards(place, "train")):
        tests = {split: found for split in TESTS if (found := shards(place, split))}
        names = place / NAMES
    else:
        return None
    for folder in {path.parent for path in files}:
        require_finished(folder if place.is_dir() else place)
    passed = Counter[str]()
    train = Shards(files, size, passed)
    splits = {"train": train.read}
    for name_of, split in zip(("test", "validation"), tests, strict=False):
        splits[name_of] = Shards(tests[split], size, passed).read
    for found in (files, *tests.values()) if place.is_dir() else ():
        require_all(found)
    first = next(iter(tests), "")
    tested_on = tests[first][0].name if first else ""
    if first not in ("", "test"):
        tested_on += ", since there are no test shards"
    if names.is_file():
        classes = tuple(text_lines(names))
    else:
        classes = numbered_classes(train.labels, str(place))
    return Source(name, classes, splits, place, None, None, tested_on, passed)


@dataclass
class Shards:
    """The samples in some shards, in order; images are scaled to ``size`` where it is given."""

    files: list[Path]
    size: int | None
    passed: Counter[str]  # files that are part of no sample

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """One class number for each sample."""
        return np.asarray([_label(*sample) for sample in self._samples(LABELS)], np.int64)

    def read(self) -> Split:
        """Return the split; images are decoded as they come."""
        return Split(decode_all(self._images(), len(self.labels), self.size), self.labels)

    def _images(self) -> Iterator[tuple[str, bytes]]:
        for name, parts in self._samples(IMAGES):
            if len(parts) != 1:
                raise SourceError(f"{name}: has {len(parts) or 'no'} images; a sample needs one")
            yield name, next(iter(parts.values()))

    def _samples(self, wanted: Collection[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Yield (shard and key, content of the files of the wanted kinds) of each sample."""
        for shard in self.files:
            files = self._files(shard, wanted is IMAGES)
            for key, sample in groupby(files, lambda file: file[0][1]):
                where, parts = f"{shard} sample {key[:80]}", dict[str, bytes]()
                for found, read in sample:
                    kind = found[2].lower()
                    if kind in parts:
                        raise SourceError(f"{where}: holds {kind[:20]} twice")
                    if kind in wanted:
                        parts[kind] = read()
                yield where, parts

    def _files(self, shard: Path, count: bool) -> Iterator[Member]:
        for name, read in entries(shard):
            if found := SAMPLE.fullmatch(name):
                yield found, read
            elif count:  # hidden files, and what a packer leaves behind
                self.passed["hidden or without a suffix"] += 1


def _label(name: str, parts: dict[str, bytes]) -> int:
    if ".cls" in parts:
        text = parts[".cls"].removeprefix(codecs.BOM_UTF8).strip()
        if text.isdigit() and len(text) < 10:
            return int(text)
        raise SourceError(f"{name}: its .cls is no class number but {text[:20]!r}")
    try:
        label = json.loads(parts[".json"])["label"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise SourceError(f"{name}: has neither a .cls nor a .json with a label") from None
    if type(label) is not int or not 0 <= label < 10**9:
        raise SourceError(f"{name}: the label in its .json is no class number")
    return label
