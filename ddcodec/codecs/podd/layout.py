"""From a budget to the sizes of an encode: the poster, its patches and its label cells."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from fractions import Fraction

from ...errors import UsageError
from ...limits import Limits
from ..options import Pair
from ..shared.grid import cell_edges
from .plan import Pooling
from .poster import PER_CLASS
from .presets import PoDDPreset

MOST_IMAGES = Limits().patches // 16  # of a poster; it has more patches than images
MOST_CELLS = 2048  # of labels, one a patch: the weights of patches and cells are a table
OF_A_CLASS = 7  # patches of a quick poster for each class, where they may lie close enough
DENSITIES = (2, 2.5, 3, 3.5, 4)  # patches that begin within one, along an axis
# Patches of a quick poster, above which they lie further apart, as runs of minutes do not learn so
# many; and how many begin within one then.
MANY, SPARSER = 256, (1.75, 1.5, 1.25, 1)
# Shares of labels for a stored value of the poster, at most: they take bytes too.
LABELS_A_VALUE = 1 / 8
WIDEST = 3  # images across for one down, of a class whose images lie side by side
CLOSE = 1 / 8  # of a patch: classes whose patches begin nearer to each other look alike


def images_shown(ipc: float, expand: float) -> float:
    """Return the images per class that a poster has when each side has grown by ``expand``."""
    return float(Fraction(str(ipc)) * _area(expand))


def _area(expand: float) -> Fraction:
    return Fraction(str(expand)) ** 2


def pixel_budget(ipc: float, classes: int, height: int, width: int, expand: float = 1) -> int:
    """Return floor(ipc x expand^2 x classes x height x width), of the decimals as they are written.

    So many pixels has the poster that patches are cut from; ``ipc`` counts those that are stored.
    """
    if not 0 < ipc < math.inf:
        raise UsageError(f"`ipc` must be more than 0, got {ipc:g}")
    return math.floor(Fraction(str(ipc)) * _area(expand) * classes * height * width)


def stored_size(poster: Pair, expand: float) -> Pair:
    """Return the (height, width) that is stored of a poster; never more pixels than the budget."""
    height, width = (max(1, math.floor(side / Fraction(str(expand)))) for side in poster)
    return height, width


def smallest_ipc(classes: int, expand: float = 1) -> float:
    """Return the smallest budget, in images per class, whose poster holds one patch.

    That is 1 / (classes expand^2), rounded up in the third significant digit or later.
    """
    images = classes * _area(expand)
    scale = 10 ** (len(str(math.ceil(images))) + 3)
    return float(math.ceil(scale / images) / scale)


def poster_size(
    ipc: float,
    classes: int,
    height: int,
    width: int,
    grid: Pair,
    table: Mapping[float, Pair] | None = None,
    expand: float = 1,
) -> Pair:
    """Return the (height, width) of the poster for a budget; never more pixels than it allows.

    The poster has the aspect of the class grid (x, y) as nearly as whole pixels allow, and at
    least the size of one image: H = floor(sqrt(B y / x)), W = floor(B / H). That gives the
    paper's 153x60 for CIFAR-10 at 0.9 images per class and 202x202 for CIFAR-100 at 0.4. ``table``
    holds published sizes (height, width) by ``ipc``, which win where they keep to the budget.
    Of a poster whose sides grow by ``expand`` it is the size after that.

    Raises UsageError where ``ipc`` is not more than 0, or where not even one patch fits.
    """
    budget = pixel_budget(ipc, classes, height, width, expand)
    if budget < height * width:
        raise UsageError(
            f"a poster of {budget} pixels cannot hold a {width}x{height} patch; "
            f"the smallest budget for this data set is `ipc`={smallest_ipc(classes, expand):g}"
        )
    rows, columns = (table or {}).get(images_shown(ipc, expand), (0, 0))
    if rows * columns <= budget and rows >= height and columns >= width:
        return rows, columns
    grid_x, grid_y = grid
    rows = math.isqrt(budget * grid_y // grid_x)
    rows = min(max(rows, height), budget // width)
    return rows, budget // rows


def side_by_side(ipc: float, classes: int, patch: Pair, grid: Pair) -> tuple[Pair, Pair]:
    """Return (height, width) of a poster of whole images side by side, and their grid (x, y).

    Every cell of the class ``grid`` (x, y) has as many of them, in a block up to ``WIDEST`` times
    wider than high; a ``patch`` is (height, width). There are no more pixels than the budget
    allows. Raises UsageError where it has no room for one in each cell, or for too many.
    """
    cells = grid[0] * grid[1]
    each = math.floor(Fraction(str(ipc)) * classes / cells)
    if each < 1:
        raise UsageError(
            f"`start`=images: `ipc`={ipc:g} has no room for a whole image in each of {cells} class "
            f"cells; the smallest budget is `ipc`={math.ceil(1000 * cells / classes) / 1000:g}"
        )
    blocks = [(min(each // down, WIDEST * down), down) for down in range(1, math.isqrt(each) + 1)]
    across, down = max(reversed(blocks), key=math.prod)
    images = across * grid[0], down * grid[1]
    if math.prod(images) > MOST_IMAGES:
        raise _too_large(ipc, classes)
    return (images[1] * patch[0], images[0] * patch[1]), images


def default_patch_grid(
    poster: Pair,
    patch: Pair,
    grid: Pair,
    published: Pair | None = None,
) -> Pair:
    """Return a patch grid (x, y): the published one of a data set, else three patches a class cell.

    ``poster`` and ``patch`` are (height, width), ``grid`` is the class grid (x, y). The paper uses
    3 to 3.2 patches a cell and axis for CIFAR-10 and CUB, 2 for the others. On a small poster
    there are fewer, as many as have distinct origins; on one of more than an image a class there
    are more, so that they overlap by half.
    """
    wanted = published or (3 * grid[0], 3 * grid[1])
    return covering(poster, patch, wanted)


def covering(poster: Pair, patch: Pair, least: Pair, a_patch: float = 2) -> Pair:
    """Return a patch grid (x, y), at least ``least``, in which ``a_patch`` begin within one.

    Two of them overlap by half. No two patches begin at the same pixel.
    """
    down, across = (
        overlapping(length, size, a_patch) for length, size in zip(poster, patch, strict=True)
    )
    most = most_patches(poster, patch)
    return min(max(across, least[0]), most[0]), min(max(down, least[1]), most[1])


def overlapping(length: int, size: int, a_patch: float = 2) -> int:
    """Return how many patches there are along an axis if ``a_patch`` or more begin within one."""
    return max(1, math.ceil((length - size) * a_patch / size) + 1)


def most_patches(poster: Pair, patch: Pair) -> Pair:
    """Return how many patches along (x, y) have distinct origins; arguments are (height, width)."""
    return poster[1] - patch[1] + 1, poster[0] - patch[0] + 1


def grid_with_room(grid: Pair, classes: int, ipc: float, patch: Pair, expand: float = 1) -> Pair:
    """Return the class grid (x, y) whose classes lie furthest apart: ``grid``, or one row.

    On a poster hardly higher than a patch, patches of two rows of classes show nearly the same
    pixels. Apart is how far the patches of neighbouring classes begin from each other, the lesser
    of both axes. On held-out digits at 0.3 images a class one row of ten gave 71 %, 5x2 gave 36 %.
    """
    height, width = patch

    def apart(grid: Pair) -> float:
        rows, columns = poster_size(ipc, classes, height, width, grid, expand=expand)
        if columns < grid[0] or rows < grid[1]:
            return -1.0  # no room for the cells themselves
        steps = [
            (length - size) / (cells - 1)
            for length, size, cells in ((columns, width, grid[0]), (rows, height, grid[1]))
            if cells > 1
        ]
        return min(steps, default=math.inf)

    row = (classes, 1)
    close = CLOSE * min(height, width)
    return row if apart(grid) < close and apart(row) > apart(grid) else grid


def grid_without_spare(grid: Pair, classes: int) -> Pair:
    """Return a class grid (x, y) of exactly as many cells as classes: ``grid``, or one row."""
    return grid if grid[0] * grid[1] == classes else (classes, 1)


def poster_for(
    ipc: float,
    classes: int,
    patch: Pair,
    grid: Pair,
    rule: str,
    table: Mapping[float, Pair],
    expand: float = 1,
) -> Pair:
    """Return the (height, width) of the poster for a budget (see ``poster_size``).

    With the rule ``per-class`` every cell of the class ``grid`` (x, y) is a poster of its own, of
    the aspect of a ``patch`` (height, width) and at least as large, and all are of one size.
    Raises UsageError where the budget is too small, or far above what a reader takes.
    """
    height, width = patch
    if images_shown(ipc, expand) * classes > MOST_IMAGES:
        raise _too_large(ipc, classes, expand)
    if rule != PER_CLASS:
        poster = poster_size(ipc, classes, height, width, grid, table, expand)
        if grid[0] > poster[1] or grid[1] > poster[0]:
            raise UsageError(
                f"a poster of {poster[1]}x{poster[0]} pixels has no room for {grid[0]}x{grid[1]} "
                "class cells; use a larger `ipc`"
            )
        return poster
    cells = grid[0] * grid[1]
    budget = pixel_budget(ipc, classes, height, width, expand) // cells
    if budget < height * width:
        least = math.ceil(1000 * cells / (classes * _area(expand))) / 1000
        raise UsageError(
            f"`origins`=per-class: {budget} pixels a class cannot hold a {width}x{height} patch; "
            f"the smallest budget is `ipc`={least:g}"
        )
    rows = min(max(math.isqrt(budget * height // width), height), budget // width)
    return rows * grid[1], budget // rows * grid[0]


def _too_large(ipc: float, classes: int, expand: float = 1) -> UsageError:
    return UsageError(
        f"`ipc`={ipc:g}: a poster of {classes} classes has room for {MOST_IMAGES:,} images; "
        f"the largest budget is `ipc`={MOST_IMAGES / (classes * expand**2):g}"
    )


def patch_grid_for(
    preset: PoDDPreset,
    profile: str,
    poster: tuple[int, int, int],
    patch: Pair,
    grid: Pair,
    rule: str,
    expand: float = 1,
) -> Pair:
    """Return the default patch grid (x, y) of a poster (C, H, W); all its pixels are in some patch.

    The published one with the profile ``paper``. Else at least one patch a class and one between
    neighbours, half overlapping above one image a class; closer where that makes no more than a few
    for each class, and further apart where there would be more than ``MANY``: docs/ablation.md.
    Sides of what is stored have grown by ``expand``.
    """
    size = poster[1], poster[2]
    if rule == PER_CLASS:
        across, down = (
            _in_a_cell(length, cells, side)
            for length, cells, side in zip(size[::-1], grid, patch[::-1], strict=True)
        )
        return across, down
    if profile == "paper":
        return default_patch_grid(size, patch, grid, preset.patch_grid)
    most = most_patches(size, patch)
    least = min(2 * grid[0] - 1, most[0]), min(grid[1], most[1])
    grids = [covering(size, patch, least, a_patch) for a_patch in DENSITIES]
    found = grids[0] if size[0] > grid[1] * patch[0] else (grids[0][0], least[1])
    for sparser in SPARSER:
        if math.prod(found) <= MANY:
            break
        found = covering(size, patch, least, sparser)
    classes, values = math.prod(grid), math.prod(poster) / expand**2
    for denser in grids:
        enough = math.prod(found) >= OF_A_CLASS * classes or math.prod(denser) > MANY
        if enough or math.prod(denser) * classes > LABELS_A_VALUE * values:
            break
        found = denser
    return found


def _in_a_cell(length: int, cells: int, size: int) -> int:
    edges = cell_edges(length, cells)
    least = min(after - before for before, after in itertools.pairwise(edges))
    return cells * min(overlapping(least, size), least - size + 1)


def label_grid_for(pooling: Pooling, profile: str, grid: Pair, patches: Pair, ipc: float) -> Pair:
    """Return the cells (x, y) of a learned label array.

    Of the pooling ``cell`` one for each patch: always with the profile ``quick``, up to
    ``MOST_CELLS`` of them, else where there are few patches. Otherwise those of the class
    ``grid``, more of them in proportion to the square root of ``ipc`` above 1 (paper section 6).
    """
    times = max(1, round(math.sqrt(ipc)))
    finer = (grid[0] * times, grid[1] * times)
    if pooling != "cell":
        return finer
    if patches[0] < grid[0] or patches[1] < grid[1]:
        return grid
    most = MOST_CELLS if profile == "quick" else 2 * finer[0] * finer[1]
    if patches[0] * patches[1] <= most:
        return patches
    return finer if patches[0] >= finer[0] and patches[1] >= finer[1] else grid
