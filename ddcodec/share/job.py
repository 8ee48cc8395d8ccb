"""One import: what was found and asked for, and what follows from both for any file."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codecs.options import Common, spelled
from ..codecs.shared.statement import provenance_of, source_of
from ..errors import InvalidFile, UsageError
from ..inspection.published import NAME
from ..judge.recipe import Recipe
from ..runtime.progress import Reporter
from ..sources import ByClass, Source
from ..sources.spelling import plain, text_lines
from .layouts import Found
from .layouts.found import stored_labels
from .options import Import
from .writing import Statement

COMMAND = 2000  # characters of a command that a file may hold


@dataclass(frozen=True)
class Job:
    """What an import works with.

    Attributes:
        path, out: the files that were published, and the one to write.
        options, common: what was asked for.
        reporter: told of stages and of what was decided.
        found: what the files hold.
        source: the real images that the set was made from, or None; pool: its training images.
        classes: names in label order.
        published: what is known beside the data (``inspection.published``).
    """

    path: Path
    out: Path
    options: Import
    common: Common
    reporter: Reporter
    found: Found
    source: Source | None
    pool: ByClass | None
    classes: tuple[str, ...]
    published: Mapping[str, Any]

    def labels(self) -> NDArray[Any]:
        """Return the labels as a file holds them; raises InvalidFile, UsageError."""
        found = self.found
        if found.labels is None:
            raise InvalidFile(f"{self.path}: has no labels; name them with `labels_file`")
        labels = found.labels
        if labels.ndim == 1 and found.classes and self.classes != found.classes:
            labels = self._by_name(labels)
        scores = found.scores if self.options.scores == "auto" else self.options.scores
        complete = found.manifest is None  # of a file that is one already nothing is asked
        return stored_labels(self.path, labels, len(self.classes), scores, complete)

    def _by_name(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return class indices in the order of ``classes``, where the files name the same ones."""
        theirs = self.found.classes
        if len(theirs) > len(self.classes):
            raise UsageError(
                f"{self.path}: has {len(theirs)} classes, {len(self.classes)} are named"
            )
        if not set(theirs) <= set(self.classes):
            if not all(name.isdigit() for name in theirs):
                self.reporter.note(
                    f"classes are called otherwise here, and taken in their order: '{theirs[0]}' "
                    f"is '{self.classes[0]}' and so on"
                )
            return labels
        number = np.array([self.classes.index(name) for name in theirs])
        return np.asarray(number[labels])

    def cells(self) -> int:
        """Return how many images lie along a side of a mosaic, 1 where they are none."""
        found, factor = self.found, self.options.factor
        if factor is not None:
            return factor
        if found.cells is None:
            raise UsageError(
                f"{self.path}: images of 0 to 1 with labels, as IDC writes mosaics; say how many "
                "images lie along a side, `factor`=2, or 3 (ImageNet), or 1 where they are none"
            )
        if found.hint:
            self.reporter.note(found.hint)
        return found.cells

    def check_size(self, shape: tuple[int, ...]) -> None:
        """Raise UsageError unless images (C, H, W) are of the source's size."""
        if self.pool is not None and shape != self.pool.shape:
            ours, theirs = ("x".join(map(str, each)) for each in (shape, self.pool.shape))
            raise UsageError(
                f"{self.path}: images are {ours} (channels x height x width), those of the source "
                f"{theirs}; scale it with `size`"
            )

    def say_clipped(self, share: float) -> None:
        """Say which share of the values did not fit into bytes."""
        if share:
            self.reporter.note(f"{100 * share:.2g} % of the values lay outside of 0 to 1: clipped")

    def ignorable(self) -> dict[str, Any]:
        """Return ``ignorable`` of the manifest."""
        return {NAME: dict(self.published)} if self.published else {}

    def recipe(self, shape: tuple[int, ...]) -> Recipe:
        """Return how the set is trained on, for images (N, C, H, W)."""
        statement = self.statement({"kind": "none"})
        labels = {"kind": "soft"}
        return Recipe.of(statement.manifest("images", shape[1:], 1, shape[0], labels=labels))

    def statement(self, preprocessing: Mapping[str, Any]) -> Statement:
        """Return what the manifest says, whatever the codec."""
        source, pool, options = self.source, self.pool, self.options
        if source is not None and pool is not None:
            made = source_of(source.name, pool.total, pool.digest(), **source.asked)
        else:
            made = source_of("images", len(self.found.images), _digest(self.found))
        recipe = dict(self.found.recipe) | options.of_recipe()
        if options.lr is not None:
            recipe["optimizer"] = {**recipe.get("optimizer", {"name": "adam"}), "lr": options.lr}
        return Statement(
            self.classes,
            preprocessing,
            made,
            provenance_of(self._command(), self.common.seed),
            recipe,
            options.license,
            self.ignorable(),
        )

    def _command(self) -> str:
        """Return what makes the file again; paths are names, since others have others."""
        values = vars(self.options) | vars(self.common)
        values |= {"measure": False, "nets": None, "resume": False, "overwrite": False}
        if self.source is not None:
            values["source"] = self.source.name
        named = {name: values[name] for name in (*Import.names(), "seed", "size", "test_share")}
        if named["classes"] is not None and Path(named["classes"]).is_file():
            named["classes"] = Path(named["classes"]).name
        words = ["ddcodec", "import", self.path.name, *spelled(named, Import, Common)]
        text = shlex.join(words)
        return text if len(text) <= COMMAND else shlex.join(words[:3])


def class_names(given: str | None, source: Source | None, found: Found) -> tuple[str, ...]:
    """Return the class names in label order; raises UsageError where nobody says them."""
    if given is not None:
        names = text_lines(Path(given)) if Path(given).is_file() else given.split(",")
        return tuple(map(plain, names))
    if found.manifest is not None:
        return found.manifest.classes
    if source is not None:
        return source.classes
    if found.classes:
        return found.classes
    raise UsageError("the files name no classes; say `classes`=a,b,c or name the `source`")


def _digest(found: Found) -> str:
    whole = hashlib.sha256(np.ascontiguousarray(found.images).data)
    if found.labels is not None:
        whole.update(np.ascontiguousarray(found.labels).data)
    return whole.hexdigest()
