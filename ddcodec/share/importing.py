"""``import``: what someone published, as one file that says everything about itself.

Read -> classes and labels -> space -> file -> measured. What the files do not say is asked for or
tried on the real images; nothing is guessed in silence.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import sources
from ..codecs.options import Common, spelled
from ..codecs.podd.stored import StoredBits
from ..codecs.shared.statement import provenance_of, source_of
from ..data.dataset import load
from ..errors import InvalidFile, UsageError
from ..evaluate.measure import train_students
from ..evaluate.measure import test_split as split_for
from ..format import Manifest, restate
from ..inspection.published import NAME, statement
from ..judge.recipe import Recipe
from ..judge.trial import Accuracy
from ..runtime.device import choose_device
from ..runtime.outputs import check_output
from ..runtime.progress import SILENT, Reporter
from ..sources import Source
from ..sources.spelling import plain, text_lines
from . import posters
from .choosing import Fit, as_soft, fits, verdict
from .layouts import Found, find
from .options import Import
from .spaces import Space, Whitened, candidates, complete, standardised_for
from .writing import Statement, in_bytes, write_images, write_mosaics, write_poster

CLIPPED = 0.001  # of the values: more than that outside of 0 to 1 is no rounding


@dataclass(frozen=True)
class Imported:
    """What was written, and what was found on the way.

    Attributes:
        manifest: of the file.
        kind: whose layout it was.
        space: what its images were in.
        fits: accuracy in each space that was tried, the best first; empty where it was said.
        measured: accuracy of networks that learned from the file, or None.
        before: accuracy in the space of the authors, where the file has another, or None.
    """

    manifest: Manifest
    kind: str
    space: str
    fits: tuple[Fit, ...] = ()
    measured: Accuracy | None = None
    before: float | None = None


def import_set(
    path: Path, out: Path, options: Import, common: Common, reporter: Reporter = SILENT
) -> Imported:
    """Write the set at ``path`` as a file and return what was found.

    Raises:
        UsageError: something has to be said, or does not fit. InvalidFile: the files are damaged,
        contradict themselves, or ask for code. SourceError: they are not there. MissingExtra: a
        library that reads them is not installed. OutputError: ``out`` cannot be written.
    """
    check_output(out, common.overwrite)
    published = _published(options, None)  # what is wrong there is said before the work
    if options.measure and options.source is None:
        raise UsageError("`measure` needs real images to test on; name them with `source`")
    reporter.stage("reading", 0)
    found = find(path, options.labels_file)
    source = None
    if options.source is not None:
        source = sources.load(options.source, **common.of_source, say=reporter.result)
    published = _published(options, found)
    classes = class_names(options.classes, source, found)
    job = _Job(path, out, options, common, reporter, found, source, classes, published)
    result = job.poster() if found.poster else job.images()
    if source is not None and options.source is not None:
        sources.remember(result.manifest.source["digest"], options.source)
    if options.measure:
        result = job.measured(result)
    return result


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


def _published(options: Import, found: Found | None) -> dict[str, Any]:
    stated, network = options.stated, options.stated_network
    if stated is None and found is not None and found.stated is not None:
        share, network = found.stated[0], network or found.stated[1]
    else:
        share = None if stated is None else stated / 100
    return statement(options.cite, options.url, share, network)


@dataclass(frozen=True)
class _Job:
    """One import; see ``import_set``."""

    path: Path
    out: Path
    options: Import
    common: Common
    reporter: Reporter
    found: Found
    source: Source | None
    classes: tuple[str, ...]
    published: Mapping[str, Any]

    def images(self) -> Imported:
        """Write stored images or mosaics."""
        found, options = self.found, self.options
        labels = self._labels()
        self._check_size(found.images.shape[1:])
        if found.manifest is not None:
            return self._again(found.manifest, labels)
        cells = self._cells()
        pixels = found.images.dtype == np.uint8 or found.space == "pixels"
        if pixels and options.space not in (None, "auto", "pixels"):
            raise UsageError(f"`space`={options.space}: these images are pixels")
        if pixels or cells > 1:
            return self._of_pixels(found.images, labels, cells, "pixels")
        recipe = self._recipe(found.images.shape, {"kind": "none"})
        space, scores = self._space(found.images, as_soft(labels, len(self.classes)), recipe)
        if space.name == "pixels":
            return replace(self._of_pixels(found.images, labels, 1, "pixels"), fits=scores)
        stored, preprocessing = space.stored(found.images)
        manifest = write_images(
            self.out, stored, labels, self._statement(preprocessing), options.bits
        )
        self._say_clipped(0.0)
        result = Imported(manifest, found.kind, space.name, scores)
        return self._compared(result, space, found.images, as_soft(labels, len(self.classes)))

    def poster(self) -> Imported:
        """Write a poster."""
        found, options, source = self.found, self.options, self.source
        poster, side = found.images[0].astype(np.float32), options.side
        if side is None and source is None:
            raise UsageError("the size of a patch is not known; say `side` or name the `source`")
        patch = (side, side) if side is not None else (source.height, source.width)  # type: ignore[union-attr]
        self._check_size((poster.shape[0], *patch))
        if found.labels is None and options.order is None:
            raise UsageError(
                "the poster comes without labels, so its classes must be known by their place; "
                "say `order`=paper, given or a text file, or name labels with `labels_file`"
            )
        count = len(self.classes)
        geometry, order = posters.layout_of(
            poster, count, patch, options.patches, options.order, source
        )
        cells = None
        if found.labels is not None:
            if found.labels.shape[2] != count:
                raise InvalidFile(
                    f"{self.path}: labels are of {found.labels.shape[2]} classes, {count} are named"
                )
            cells = posters.labels_by_patch(found.labels, geometry)
            if not (cells.sum(2) > 0).all():
                raise InvalidFile(f"{self.path}: the label of a patch is all zero")
        patches, soft = posters.samples_of(poster, cells, geometry, order, count)
        recipe = self._recipe(patches.shape, {"kind": "none"})
        space, scores = self._space(patches, soft, recipe)
        stored, preprocessing = space.stored(patches)
        if isinstance(space, Whitened):
            poster = posters.from_patches(stored, geometry, poster)
        layout = {
            "patches": {
                "grid": [geometry.patches_x, geometry.patches_y],
                "size": list(patch),
                "origins": geometry.rule,
            },
            "order": {"grid": list(order.grid), "cells": list(order.cells), "rule": order.rule},
        }
        statement = self._statement(preprocessing)
        manifest = write_poster(self.out, poster, cells, layout, statement, options.bits)
        result = Imported(manifest, found.kind, space.name, scores)
        return self._compared(result, space, patches, soft)

    def measured(self, result: Imported) -> Imported:
        """Train networks on the file and write their accuracy into it."""
        accuracy = self._accuracy(self.options.nets, None)
        assert self.source is not None
        assert self.source.test is not None
        manifest = restate(
            self.out,
            measured={
                "accuracy_mean": round(accuracy.mean, 4),
                "accuracy_std": round(accuracy.std, 4),
                "nets": accuracy.nets,
                "steps": accuracy.steps,
                "test": self.source.name,
                "test_count": len(self.source.test),
            },
        )
        return replace(result, manifest=manifest, measured=accuracy)

    def _accuracy(self, nets: int, steps: int | None) -> Accuracy:
        ds = load(self.out)
        assert self.source is not None
        return train_students(
            ds,
            split_for(ds, self.source),
            nets=nets,
            steps=steps,
            seed=self.common.seed,
            device=self.common.device,
            reporter=self.reporter,
        )

    def _again(self, old: Manifest, labels: NDArray[Any]) -> Imported:
        """Write what was decoded from a file: its samples, with all that the file said."""
        statement = replace(
            self._statement(old.image["preprocessing"]),
            source=old.source,
            recipe=old.recipe | self.options.of_recipe(),
            license=self.options.license or old.license,
            ignorable=old.ignorable | self._ignorable(),
            measured=old.measured,
        )
        exact = StoredBits.of("lossless")
        manifest = write_images(self.out, self.found.images, labels, statement, exact)
        return Imported(manifest, self.found.kind, old.image["preprocessing"]["kind"])

    def _of_pixels(
        self, images: NDArray[Any], labels: NDArray[Any], cells: int, name: str
    ) -> Imported:
        """Write values of 0 to 255, or of 0 to 1: as bytes wherever they fit into these."""
        source, options = self.source, self.options
        spec = dict(standardised_for(source, options.means, images.shape[1]))
        statement = self._statement(spec)
        if images.dtype != np.uint8:
            in_range, outside = in_bytes(images)
            if cells == 1 and (outside > CLIPPED or options.quality == "lossless"):
                # Distilled values that no byte can hold are kept as networks are to see them.
                mean, std = (np.array(spec.get(key, 0 if key == "mean" else 1), np.float32)
                             for key in ("mean", "std"))  # fmt: skip
                shape = (-1, 1, 1)
                seen = (images - mean.reshape(shape)) / std.reshape(shape)
                floats = seen.astype(np.float32)
                manifest = write_images(self.out, floats, labels, statement, options.bits)
                return Imported(manifest, self.found.kind, name)
            self._say_clipped(outside)
            images = in_range
        if cells == 1:
            manifest = write_images(self.out, images, labels, statement, options.bits)
        else:
            manifest = write_mosaics(self.out, images, labels, cells, statement)
        return Imported(manifest, self.found.kind, name)

    def _space(
        self, images: NDArray[np.float32], soft: NDArray[np.float32], recipe: Recipe
    ) -> tuple[Space, tuple[Fit, ...]]:
        """Return the space that was said, or the one that fits best, and the fit of all tried."""
        options = self.options
        asked = options.space or ("mean-std" if options.means is not None else "auto")
        shape = images.shape[1:]
        spaces = candidates(asked, options.means, self.found.whitening, self.source, shape)
        if len(spaces) == 1:
            return spaces[0], ()
        assert self.source is not None
        scores = self._fits(images, soft, spaces, recipe)
        self.reporter.note(verdict(scores))
        chosen = next(space for space in spaces if space.name == scores[0].name)
        return complete(chosen, self.source), tuple(scores)

    def _fits(
        self,
        images: NDArray[np.float32],
        soft: NDArray[np.float32],
        spaces: list[Space],
        recipe: Recipe,
    ) -> list[Fit]:
        assert self.source is not None
        return fits(
            images,
            soft,
            spaces,
            self.source,
            recipe,
            self.options.trials,
            self.common.seed,
            choose_device(self.common.device),
            self.reporter,
        )

    def _compared(
        self, result: Imported, space: Space, images: NDArray[np.float32], soft: NDArray[np.float32]
    ) -> Imported:
        """Say what the way out of a space of ZCA costs: networks learn before and after it."""
        if not isinstance(space, Whitened) or self.source is None or self.source.test is None:
            return result
        recipe = Recipe.of(result.manifest)
        before = self._fits(images, soft, [space], recipe)[0].accuracy
        ds = load(self.out)
        stored, labels = (x.numpy() for x in (ds.on("cpu")[0].gather(_all(len(ds))), ds.soft_labels))
        own = _OfFile(ds.preprocess)
        after = self._fits(stored, labels, [own], recipe)[0].accuracy
        self.reporter.note(
            f"from {space.name} to conv_whiten: {100 * before:.1f} % before, {100 * after:.1f} % "
            f"in the file ({self.options.trials} networks)"
        )
        return replace(result, before=before)

    def _labels(self) -> NDArray[Any]:
        from .layouts.found import stored_labels

        found = self.found
        if found.labels is None:
            raise InvalidFile(f"{self.path}: has no labels; name them with `labels_file`")
        labels = found.labels
        if labels.ndim == 1 and found.classes and self.classes != found.classes:
            labels = self._by_name(labels)
        scores = found.scores if self.options.scores == "auto" else self.options.scores
        return stored_labels(self.path, labels, len(self.classes), scores)

    def _by_name(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return class indices in the order of ``classes``, where the files name the same ones."""
        theirs = self.found.classes
        if len(theirs) > len(self.classes):
            raise UsageError(
                f"{self.path}: has {len(theirs)} classes, {len(self.classes)} are named"
            )
        if not set(theirs) <= set(self.classes):
            return labels  # other words for them, in the same order
        number = np.array([self.classes.index(name) for name in theirs])
        return np.asarray(number[labels])

    def _cells(self) -> int:
        found, factor = self.found, self.options.factor
        if factor is not None:
            return factor
        if found.cells is None:
            raise UsageError(
                f"{self.path}: images of 0 to 1 with labels, as IDC writes mosaics; say how many "
                "images lie along a side, `factor`=2, or 3 (ImageNet), or 1 where they are none"
            )
        if found.cells > 1:
            self.reporter.note(
                f"read as mosaics of {found.cells}x{found.cells} images, usual for {found.kind}; "
                "say `factor`=1 where they are none"
            )
        return found.cells

    def _check_size(self, shape: tuple[int, ...]) -> None:
        if self.source is None:
            return
        channels, height, width = shape
        ours, theirs = (channels, height, width), (
            self.source.channels, self.source.height, self.source.width
        )  # fmt: skip
        if ours != theirs:
            raise UsageError(
                f"{self.path}: images are {'x'.join(map(str, ours))} (channels x height x width), "
                f"those of the source {'x'.join(map(str, theirs))}; scale it with `size`"
            )

    def _say_clipped(self, share: float) -> None:
        if share:
            self.reporter.note(f"{100 * share:.2g} % of the values lay outside of 0 to 1: clipped")

    def _ignorable(self) -> dict[str, Any]:
        return {NAME: dict(self.published)} if self.published else {}

    def _recipe(self, shape: tuple[int, ...], preprocessing: Mapping[str, Any]) -> Recipe:
        """Return how the set is trained on, for images (N, C, H, W)."""
        statement = self._statement(preprocessing)
        labels = {"kind": "soft"}
        return Recipe.of(statement.manifest("images", shape[1:], 1, shape[0], labels=labels))

    def _statement(self, preprocessing: Mapping[str, Any]) -> Statement:
        source, options = self.source, self.options
        if source is not None:
            made = source_of(source.name, len(source.train), source.digest(), **source.asked)
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
            self._ignorable(),
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
        return text if len(text) <= 2000 else shlex.join(words[:3])


@dataclass(frozen=True)
class _OfFile:
    """The space of a file: what its preprocessing makes of real images."""

    preprocess: Any
    name: str = "file"

    def seen(self, pixels: NDArray[np.uint8]) -> Any:
        return self.preprocess(pixels)

    def stored(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return images, {}


def _all(count: int) -> Any:
    import torch

    return torch.arange(count)


def _digest(found: Found) -> str:
    import hashlib

    whole = hashlib.sha256(np.ascontiguousarray(found.images).data)
    if found.labels is not None:
        whole.update(np.ascontiguousarray(found.labels).data)
    return whole.hexdigest()
