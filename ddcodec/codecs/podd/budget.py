"""A budget of bytes: the largest poster whose whole file is no larger."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...coresets.budgets import smallest_class
from ...coresets.draws import images_by_class
from ...errors import UsageError
from ...format import to_bytes
from ...format.payload import CODED
from ...preprocessing.transform import fit
from ...preprocessing.whiten import SIZE, SMALL
from ...sources.base import Source
from ...sources.split import Split
from ..base import Request
from .frequencies import COARSEST
from .initial import Real, initial_variables, real_tensors
from .judging import held_out
from .layout import smallest_ipc
from .options import PoDD
from .pack import Arrays, coded, describe, storage_of
from .plan import Plan
from .planning import NATURAL_SIDE, is_natural, make_plan, orders
from .poster import EVEN
from .transform import BLOCK
from .variables import PosterVariables

STEPS = 1_000_000  # of the command in the estimate: at least as many digits as any run has
# Of the command too, but not of the estimate: a clock decides them after the plan, and the command
# of the file, which names them, has to plan the same poster.
DECIDED_LATER = ("kernel_steps", "window", "width", "threads")
MOST_IPC = 64.0
CLOSE = 0.005  # of the images a class, to which the largest poster is found
ROOMIER = 1.1  # how much more is tried where classes have no room
OF_A_CLASS = 50  # images, at most, that stand for a class in the estimate
NOISE = 0.25  # share of noise that distillation adds to the poster it starts from, as measured
LABEL_SPREAD = 0.3  # of a Dirichlet distribution: labels with more small shares than learned ones

FEW_BYTES = 5000  # below which a whitening has a small kernel: of colours, 340 bytes less

# By how much sides grow in few bytes, and the most images a class that few bytes hold.
EXPANDED, EXPANDED_IPC = 1.5, 1.25
# The most images a class of a poster whose coefficients are stored, which are finer where there are
# more bytes, and the most bits of a value up to which they are stored unasked (docs/ablation.md).
CODED_IPC, CODED_BITS = 2.5, 1.1
# Images of each class from which a poster begins as real ones: photographs in colour, which have
# coefficients in fewer bytes too, and others (docs/ablation.md). Runs of minutes do not learn more
# of them in all than ``SIDE_BY_SIDE``, so there are more only where these would have more than
# ``CODED_BITS``. Beyond ``IMAGES_BITS``, those of pixels, coefficients are no gain.
IMAGES, IMAGES_OTHER = 8, 3
SIDE_BY_SIDE, IMAGES_BITS = 200, 3

PlanFor = Callable[[float], Plan]  # of a number of images per class


def plan_in_bytes(request: Request, options: PoDD, total: int) -> Plan:
    """Return the plan of the largest poster in ``total`` bytes; raises UsageError.

    Where nothing else is asked for it begins as real images, stored as coefficients, if there is
    room for some of each class. In fewer bytes, and of icons, it begins as class means:
    photographs in colour are stored as coefficients up to some bits a value, all else as pixels,
    expanded in few bytes.
    """
    source, ordered = request.source, orders(request.source, options, request.seed)
    expected, kernel = Expected(source), SMALL if total < FEW_BYTES else SIZE

    def planner(options: PoDD) -> PlanFor:
        return lambda ipc: replace(make_plan(source, ipc, options, request, ordered), kernel=kernel)

    usual = _is_usual(options)
    large = min(source.height, source.width) >= NATURAL_SIDE
    if options.of_images or (large and _may_be_images(options)):
        plan = _images_plan(expected, planner, options, total, request.seed)
        if plan is not None:
            return plan
    if options.coded or (usual and is_natural(source)):
        plan = _coded_plan(expected, planner(replace(options, transform="dct")), total)
        values = source.channels * math.prod(plan.size)
        few = values <= CODED and 8 * (plan.coded_bytes or 0) <= CODED_BITS * values
        if options.coded or few:
            return plan
    elif usual:
        plan_for = planner(replace(options, expand=EXPANDED))
        if not _fits(expected, plan_for, total, ROOMIER * EXPANDED_IPC):
            plan = fit_bytes(expected, plan_for, total, EXPANDED)
            if plan.ipc <= EXPANDED_IPC:
                return plan
    return fit_bytes(expected, planner(options), total, options.expansion)


def _images_plan(
    expected: Expected,
    planner: Callable[[PoDD], PlanFor],
    options: PoDD,
    total: int,
    seed: int,
) -> Plan | None:
    """Return the plan of a poster of real images, as coefficients unless pixels are asked for.

    None where that was not asked for and there is no room for enough of them, or no use for the
    bytes.
    """
    asked, source, pixels = options.of_images, expected.source, options.transform == "none"
    plan_for = planner(replace(options, start="images", transform="none" if pixels else "dct"))
    if pixels:
        return fit_bytes(expected, plan_for, total)
    classes, values = len(source.classes), source.channels * source.height * source.width
    least = IMAGES if is_natural(source) else IMAGES_OTHER
    most = min(MOST_IPC, CODED / (classes * values))
    if most < least and not asked:
        return None
    kept, _ = held_out(source.train.labels, classes, seed)
    most = min(most, smallest_class(images_by_class(source, kept)))
    usual = SIDE_BY_SIDE / classes  # of each class
    try:
        plan = _coded_plan(expected, plan_for, total, min(most, usual))
        if (fine := _at_bits(plan, CODED_BITS, values)) > usual:
            plan = _coded_plan(expected, plan_for, total, min(most, fine))
    except UsageError:
        if asked:
            raise
        return None
    each = plan.geometry.num_patches / classes
    useful = each >= max(least, _at_bits(plan, IMAGES_BITS, values))
    return plan if asked or useful else None


def _at_bits(plan: Plan, bits: float, values: int) -> float:
    """Return of how many images a class, of so many ``values``, coefficients have ``bits``."""
    assert plan.coded_bytes is not None
    return 8 * plan.coded_bytes / (bits * values * len(plan.classes))


def why_free(plan: Plan) -> str:
    """Return why a file is smaller than the bytes that it may have, and what makes it larger."""
    if plan.coded_bytes is None and plan.ipc * (1 + CLOSE) >= MOST_IPC:
        return f"a poster has {MOST_IPC:g} images a class at most"
    if plan.coded_bytes is None and plan.start == "images":
        return "more whole images of each class do not fit"
    more = "a larger `total_bytes` gives a larger or a finer poster"
    return f"labels and poster took fewer than expected; {more}"


def _is_usual(options: PoDD) -> bool:
    """Say whether the quick profile is to choose how the poster is stored."""
    asked = options.transform, options.expand, options.init, options.quality, options.rule
    usual = "auto", None, None, options.usual_quality, EVEN
    return options.profile == "quick" and asked == usual


def _may_be_images(options: PoDD) -> bool:
    """Say whether the quick profile is to choose what the poster begins as."""
    left = options.start == "auto" and options.patches is None and options.transform != "none"
    return left and _is_usual(replace(options, transform="auto"))


def _coded_plan(expected: Expected, plan_for: PlanFor, total: int, most: float = CODED_IPC) -> Plan:
    """Return the plan of a poster whose coefficients take what the rest of the file leaves."""
    plan = fit_bytes(expected, plan_for, total, most=most)
    assert plan.coded_bytes is not None
    rest = expected.bytes_of(plan) - plan.coded_bytes
    return replace(plan, coded_bytes=total - rest)


def fit_bytes(
    expected: Expected,
    plan_for: PlanFor,
    total: int,
    expand: float = 1,
    most: float = MOST_IPC,
) -> Plan:
    """Return the plan with the largest poster that is expected to fit into ``total`` bytes.

    ``plan_for`` makes the plan of a number of images per class, up to ``most`` or the fewest that
    there can be, whose sides grow by ``expand``.
    Raises UsageError where even the smallest poster does not fit.
    """
    low, least = _smallest(plan_for, len(expected.source.classes), expand)
    pixels = least.coded_bytes is None
    if (smallest := expected.bytes_of(least)) > total:
        raise UsageError(
            f"`total_bytes`={total} is too few: the smallest file of these settings takes about "
            f"{smallest}" + ("; fewer bits (`quality`=bits=N) take less" if pixels else "")
        )
    high = low
    while high < most:
        high = min(2 * high, most)
        if not _fits(expected, plan_for, total, high):
            break
        low = high
    while high - low > CLOSE * low:
        middle = (low + high) / 2
        fits = _fits(expected, plan_for, total, middle)
        low, high = (middle, high) if fits else (low, middle)
    return replace(plan_for(low), total_bytes=total)


def _fits(expected: Expected, plan_for: PlanFor, total: int, ipc: float) -> bool:
    try:
        return expected.bytes_of(plan_for(ipc)) <= total
    except UsageError:
        return False  # another class grid, which has no room where smaller and larger ones do


def _smallest(plan_for: PlanFor, classes: int, expand: float) -> tuple[float, Plan]:
    """Return the smallest budget, about, that all classes have room in, and its plan."""
    ipc = smallest_ipc(classes, expand)
    while True:
        try:
            return ipc, plan_for(ipc)
        except UsageError:
            if ipc >= MOST_IPC:
                raise
            ipc = min(MOST_IPC, ROOMIER * ipc)


class Expected:
    """About the sizes that files of a source will have.

    Each is that of the poster which the optimisation starts from, with more noise, and of blurred
    labels.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._seen: dict[tuple[str, int], tuple[dict[str, Any], Real]] = {}  # by preprocessing
        self._sizes: dict[tuple[Any, ...], int] = {}

    def bytes_of(self, plan: Plan) -> int:
        """Return about the bytes of the file of a plan."""
        shown = plan.geometry.height, plan.geometry.width
        coded = plan.coded_bytes is not None
        key = plan.preprocessing, plan.kernel, plan.size, shown, coded, plan.stored
        if key not in self._sizes:
            self._sizes[key] = self._measured(plan)
        return self._sizes[key]

    def _measured(self, plan: Plan) -> int:
        source, kind = self.source, (plan.preprocessing, plan.kernel)
        if kind not in self._seen:
            fitted = dict(fit(source.train.images, *kind))
            self._seen[kind] = fitted, _some(source, fitted)
        preprocessing, real = self._seen[kind]
        random = np.random.default_rng(0)
        unsaid = replace(plan, recorded=plan.recorded | dict.fromkeys(DECIDED_LATER))
        manifest = describe(source, unsaid, preprocessing, STEPS)
        begun: PosterVariables = initial_variables(plan, real, torch.device("cpu"), compared=False)
        poster: NDArray[np.float32] = begun.poster.numpy()
        noise = float(poster.std()) * NOISE * random.standard_normal(poster.shape)
        arrays: Arrays = {"poster": (poster + noise).astype(np.float32)}
        if plan.label_kind == "learned":
            across, down = plan.label_grid
            shares = random.dirichlet(
                np.full(len(source.classes), LABEL_SPREAD), size=(down, across)
            )
            arrays["labels"] = shares.astype(np.float32)
        if plan.coded_bytes is not None:
            # All but the coefficients; a block of zeros stands for them, which takes next to none.
            block = {**arrays, "poster": arrays["poster"][:, :BLOCK, :BLOCK]}
            return len(to_bytes(*coded(manifest, block, plan, COARSEST))[0]) + plan.coded_bytes
        return len(to_bytes(manifest, arrays, storage_of(arrays, plan.stored))[0])


def _some(source: Source, preprocessing: dict[str, Any]) -> Real:
    """Return a few training images of every class as ``real_tensors`` does."""
    train = source.train
    chosen = np.concatenate(
        [np.flatnonzero(train.labels == c)[:OF_A_CLASS] for c in range(len(source.classes))]
    )
    few = Split(train.images[chosen], train.labels[chosen])
    part = Source(source.name, source.classes, {"train": lambda: few})
    return real_tensors(part, preprocessing, torch.device("cpu"))
