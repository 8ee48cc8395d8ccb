"""``--bytes N``: the largest poster whose whole file is no larger than N bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import UsageError
from ...format import to_bytes
from ...preprocess import fit
from ...sources.base import Source
from .pack import Arrays, describe
from .plan import Plan

STEPS = 1_000_000  # of the command in the estimate: at least as many digits as any run has
MOST_IPC = 64.0
LABEL_SPREAD = 0.3  # of a Dirichlet distribution: labels with more small shares than learned ones


def fit_bytes(source: Source, plan_for: Callable[[float], Plan], total: int) -> Plan:
    """Return the plan with the largest poster that is expected to fit into ``total`` bytes.

    ``plan_for`` makes the plan of a number of images per class. A file is expected to be as large
    as one with a poster of noise, which no prediction makes smaller. Raises UsageError where even
    the smallest poster does not fit.
    """
    preprocessing = dict(fit(source.train.images, plan_for(1.0).params.preprocessing))
    sizes: dict[tuple[int, int], int] = {}

    def size(plan: Plan) -> int:
        shape = plan.params.poster
        if shape not in sizes:
            sizes[shape] = expected_bytes(source, plan, preprocessing)
        return sizes[shape]

    low = 1 / len(source.classes)  # one patch
    if size(plan_for(low)) > total:
        raise UsageError(
            f"--bytes {total} is too few: the smallest file of these settings takes about "
            f"{size(plan_for(low))}; fewer bits (--quality bits=N) take less"
        )
    high = 2 * low
    while high < MOST_IPC and size(plan_for(high)) <= total:
        low, high = high, 2 * high
    while high - low > 0.005 * low:
        middle = (low + high) / 2
        low, high = (middle, high) if size(plan_for(middle)) <= total else (low, middle)
    return plan_for(float(f"{low:.4g}") if size(plan_for(float(f"{low:.4g}"))) <= total else low)


def expected_bytes(source: Source, plan: Plan, preprocessing: dict[str, Any]) -> int:
    """Return the size of a file of a plan with a poster of noise and blurred labels."""
    random = np.random.default_rng(0)
    params = plan.params
    manifest = describe(source, plan, params, preprocessing, STEPS)
    noise = random.standard_normal((source.channels, *params.poster)).astype(np.float32)
    arrays: Arrays = {"poster": noise}
    storage = {"poster": params.precision.poster}
    if params.label_kind == "learned":
        across, down = params.label_grid
        shares = random.dirichlet(np.full(len(source.classes), LABEL_SPREAD), size=(down, across))
        arrays["labels"] = shares.astype(np.float32)
        storage["labels"] = params.precision.labels
    return len(to_bytes(manifest, arrays, storage)[0])
