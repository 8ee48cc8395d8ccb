"""What people should know of a plan before the work begins: lines for them, or an error."""

from __future__ import annotations

import numpy as np

from ...errors import UsageError
from .labels import classes_without_patch, first_labels
from .order import ClassOrder
from .params import PoDDParams
from .poster import PosterGeometry


def label_notes(
    params: PoDDParams, geometry: PosterGeometry, order: ClassOrder, classes: tuple[str, ...]
) -> list[str]:
    """Return what is to be said about classes and their patches, as lines for people.

    Raises UsageError where a class has no share of any patch's label: no network could learn it.
    """
    labels = first_labels(
        geometry, order, len(classes), params.label_kind, params.label_pooling, params.label_grid
    )
    across, down = params.patch_grid
    absent = np.flatnonzero((labels == 0).all(axis=0))
    ways = "more --patches, a larger --ipc"
    if params.label_kind == "fixed":
        ways += ", --labels learned"
    elif params.label_pooling == "cell":
        ways += ", --label-pooling area"
    if len(absent):
        raise UsageError(
            f"{len(absent)} of {len(classes)} classes ('{classes[absent[0]]}' first) are in the "
            f"label of none of the {across}x{down} patches; use {ways}"
        )
    weak = classes_without_patch(labels)
    if not weak:
        return []
    return [
        f"labels: {len(weak)} of {len(classes)} classes ('{classes[weak[0]]}' first) have the "
        f"largest share of none of the {across}x{down} patches; {ways} would give each its own"
    ]
