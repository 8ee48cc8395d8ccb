"""``import``: what someone published, as one file that says everything about itself.

Read -> classes and labels -> space -> file -> measured. What the files do not say is asked for or
tried on the real images; nothing is guessed in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import sources
from ..codecs.options import Common
from ..codecs.podd.stored import StoredBits
from ..data.opening import load
from ..errors import InvalidFile, UsageError
from ..evaluate.measure import test_split as split_for
from ..evaluate.measure import train_students
from ..format import Manifest, restate
from ..inspection.published import statement
from ..judge.recipe import Recipe
from ..judge.trial import Accuracy
from ..preprocessing.transform import mean_and_std, to_unit_range
from ..runtime.device import choose_device
from ..runtime.outputs import check_output
from ..runtime.progress import SILENT, Reporter
from ..runtime.world import neutral
from . import posters
from .choosing import STEPS, Fit, as_soft, chosen, fits, verdict
from .job import Job, class_names
from .layouts import Found, find
from .options import Import
from .spaces import Plain, Space, Whitened, candidates, complete, standardised_for
from .writing import in_bytes, write_images, write_mosaics, write_poster

CLIPPED = 0.001  # of the values: more than that outside of 0 to 1 is no rounding
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Imported:
    """What was written, and what was found on the way.

    Attributes:
        manifest: of the file.
        kind: whose layout it was.
        space: what its images were in.
        fits: accuracy in each space that was tried, the best first; empty where it was said.
        measured: accuracy of networks that learned from the file, or None.
        change: accuracy before and after the way out of a space that no file can name, or None.
    """

    manifest: Manifest
    kind: str
    space: str
    fits: tuple[Fit, ...] = ()
    measured: Accuracy | None = None
    change: tuple[float, float] | None = None


@neutral()
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
    _published(options, None)  # what is wrong there is said before the work
    if options.measure and options.source is None:
        raise UsageError("`measure` needs real images to test on; name them with `source`")
    choose_device(common.device)
    reporter.stage("reading", 0)
    source = None
    if options.source is not None:
        source = sources.load(options.source, **common.of_source, say=reporter.result)
        if options.measure:
            source.require_test()
    found = find(path, options.labels_file)
    classes = class_names(options.classes, source, found)
    published = _published(options, found)
    pool = None if source is None else source.by_class()
    job = Job(path, out, options, common, reporter, found, source, pool, classes, published)
    result = _poster(job) if found.poster else _images(job)
    if options.source is not None:
        sources.remember(result.manifest.source["digest"], options.source)
    return _measured(job, result) if options.measure else result


def _published(options: Import, found: Found | None) -> dict[str, Any]:
    stated, network = options.stated, options.stated_network
    share = None if stated is None else stated / 100
    if share is None and found is not None and found.stated is not None:
        share, network = found.stated[0], network or found.stated[1]
    return statement(options.cite, options.url, share, network)


def _images(job: Job) -> Imported:
    """Write stored images or mosaics."""
    found, options = job.found, job.options
    labels = job.labels()
    job.check_size(found.images.shape[1:])
    if found.manifest is not None:
        return _again(job, found.manifest, labels)
    cells = job.cells()
    pixels = found.images.dtype == np.uint8 or found.space == "pixels"
    if pixels and options.space not in (None, "auto", "pixels"):
        raise UsageError(f"`space`={options.space}: these images are pixels")
    if pixels:
        return _of_pixels(job, found.images, labels, cells)
    soft = as_soft(labels, len(job.classes))
    space, scores = _space(job, found.images, soft)
    if isinstance(space, Plain) and (space.name == "pixels" or cells > 1):
        unit = to_unit_range(found.images, space.spec)
        return replace(_of_pixels(job, unit, labels, cells), space=space.name, fits=scores)
    if cells > 1:
        raise UsageError(
            f"{job.path}: mosaics are stored in bytes, which {space.name} does not go back to; "
            "say `factor`=1"
        )
    stored, preprocessing = space.stored(found.images)
    manifest = write_images(job.out, stored, labels, job.statement(preprocessing), options.bits)
    result = Imported(manifest, found.kind, space.name, scores)
    return _compared(job, result, space, found.images, soft)


def _poster(job: Job) -> Imported:
    """Write a poster."""
    found, options, pool = job.found, job.options, job.pool
    poster, count = found.images[0].astype(np.float32), len(job.classes)
    if options.side is not None:
        patch = (options.side, options.side)
    elif pool is not None:
        patch = (pool.shape[1], pool.shape[2])
    else:
        raise UsageError("the size of a patch is not known; say `side` or name the `source`")
    job.check_size((poster.shape[0], *patch))
    if found.labels is None and options.order is None:
        raise UsageError(
            "the poster comes without labels, so its classes must be known by their place; say "
            "`order`=paper, given or a text file, or name labels with `labels_file`"
        )
    geometry, order = posters.layout_of(
        poster, count, patch, options.patches, options.order, job.source
    )
    cells = None
    if found.labels is not None:
        if found.labels.shape[2] != count:
            raise InvalidFile(
                f"{job.path}: labels are of {found.labels.shape[2]} classes, {count} are named"
            )
        cells = posters.labels_by_patch(found.labels, geometry)
        if not (cells.sum(2) > 0).all():
            raise InvalidFile(f"{job.path}: the label of a patch is all zero")
    patches, soft = posters.samples_of(poster, cells, geometry, order, count)
    space, scores = _space(job, patches, soft)
    stored, preprocessing = space.stored(patches)
    if isinstance(space, Whitened):
        poster = posters.from_patches(stored, geometry, poster)
    layout = posters.fields_of(geometry, order)
    manifest = write_poster(
        job.out, poster, cells, layout, job.statement(preprocessing), options.bits
    )
    result = Imported(manifest, found.kind, space.name, scores)
    return _compared(job, result, space, patches, soft)


def _again(job: Job, old: Manifest, labels: NDArray[Any]) -> Imported:
    """Write what was decoded from a file: its samples, with all that the file said."""
    told = replace(
        job.statement(old.image["preprocessing"]),
        source=old.source,
        recipe=old.recipe | job.options.of_recipe(),
        license=job.options.license or old.license,
        ignorable=old.ignorable | job.ignorable(),
        measured=old.measured,
        measured_networks=old.measured_networks,
    )
    exact = StoredBits.of("lossless")
    manifest = write_images(job.out, job.found.images, labels, told, exact)
    return Imported(manifest, job.found.kind, old.image["preprocessing"]["kind"])


def _of_pixels(job: Job, images: NDArray[Any], labels: NDArray[Any], cells: int) -> Imported:
    """Write values of 0 to 255, or of 0 to 1: as bytes wherever they fit into these."""
    options, kind = job.options, job.found.kind
    spec = dict(standardised_for(job.source, options.means, images.shape[1]))
    told = job.statement(spec)
    if images.dtype != np.uint8:
        as_bytes, outside = in_bytes(images)
        if cells == 1 and (outside > CLIPPED or options.quality == "lossless"):
            # Distilled values that no byte can hold are kept as networks are to see them.
            mean, std = mean_and_std(spec, images.shape[1])
            seen = ((images - mean[:, None, None]) / std[:, None, None]).astype(np.float32)
            manifest = write_images(job.out, seen, labels, told, options.bits)
            return Imported(manifest, kind, "pixels")
        job.say_clipped(outside)
        images = as_bytes
    if cells == 1:
        manifest = write_images(job.out, images, labels, told, options.bits)
    else:
        manifest = write_mosaics(job.out, images, labels, cells, told)
    return Imported(manifest, kind, "pixels")


def _space(job: Job, images: Floats, soft: Floats) -> tuple[Space, tuple[Fit, ...]]:
    """Return the space that was said, or the one that fits best, and the fit of all tried."""
    options = job.options
    asked = options.space or ("mean-std" if options.means is not None else "auto")
    shape, usual = images.shape[1:], job.found.whitening
    spaces = candidates(asked, options.means, usual, job.source, shape)
    if len(spaces) == 1:
        return spaces[0], ()
    scores = _fits(job, images, soft, spaces, job.recipe(images.shape))
    best = chosen(scores, f"zca-{usual}")
    job.reporter.note(verdict(scores, best))
    space = next(space for space in spaces if space.name == best.name)
    return complete(space, job.source), tuple(scores)


def _fits(job: Job, images: Floats, soft: Floats, spaces: list[Space], recipe: Recipe) -> list[Fit]:
    assert job.source is not None
    nets, seed, device = job.options.trials, job.common.seed, job.common.device
    return fits(images, soft, spaces, job.source, recipe, nets, seed, device, job.reporter)


def _compared(job: Job, result: Imported, space: Space, images: Floats, soft: Floats) -> Imported:
    """Say what the way out of a space of ZCA costs: networks learn before and after it."""
    if not isinstance(space, Whitened):
        return result
    recipe = Recipe.of(result.manifest)
    (before,) = _fits(job, images, soft, [space], recipe)
    ds = load(job.out)
    stored = ds.on("cpu")[0].gather(torch.arange(len(ds))).numpy()
    own = Plain("file", ds.manifest.image["preprocessing"])
    (after,) = _fits(job, stored, ds.soft_labels.numpy(), [own], recipe)
    job.reporter.note(
        f"from {space.name} to a whitening that fits into the file: "
        f"{100 * before.accuracy:.1f} % before, {100 * after.accuracy:.1f} % after, networks "
        f"trained for {min(recipe.steps, STEPS)} steps"
    )
    return replace(result, change=(before.accuracy, after.accuracy))


def _measured(job: Job, result: Imported) -> Imported:
    """Train networks on the file and write their accuracy into it."""
    ds, source = load(job.out), job.source
    assert source is not None
    split = split_for(ds, source)
    accuracy = train_students(
        ds,
        split,
        nets=job.options.nets,
        seed=job.common.seed,
        device=job.common.device,
        reporter=job.reporter,
    )
    manifest = restate(
        job.out,
        measured={
            "accuracy_mean": round(accuracy.mean, 4),
            "accuracy_std": round(accuracy.std, 4),
            "nets": accuracy.nets,
            "steps": accuracy.steps,
            "test": source.name,
            "test_count": len(split),
        },
    )
    return replace(result, manifest=manifest, measured=accuracy)
