"""How often each stage is sampled: the dynamic stage weight of P-PoDD (algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Direction = Literal["as-printed", "recent"]


def stage_weights(
    accuracies: Sequence[float],
    stages: int,
    *,
    decay: float = 0.5,
    boost: float = 1.5,
    floor: float = 0.1,
    direction: Direction = "as-printed",
) -> list[float]:
    """Return the share of each of ``stages`` stages, T numbers that sum to 1.

    Args:
        accuracies: A_t, shares of 1, of all stages, or of all but the newest, whose accuracy then
            counts as 0.9 of the one before.
        stages: T, at least 1.
        decay: lambda. Stage t counts exp(-lambda (t - 1)) as printed, which favours old stages;
            with the direction ``recent`` exp(-lambda (T - t)), which favours new ones, as the
            paper's text has it.
        boost: beta, a factor for the newest stage.
        floor: epsilon; no stage counts less than floor / T before the shares are scaled to sum 1.
        direction: ``as-printed`` or ``recent``.
    """
    if stages == 1:
        return [1.0]
    known = list(accuracies)
    if len(known) == stages - 1:
        known.append(0.9 * known[-1])
    if len(known) != stages:
        raise ValueError(f"{len(accuracies)} accuracies for {stages} stages")
    raised = [a + 1e-5 for a in known]
    weights = [a / sum(raised) for a in raised]
    for t in range(stages):
        age = t if direction == "as-printed" else stages - 1 - t
        weights[t] *= math.exp(-decay * age)
    weights[-1] *= boost
    weights = [max(w, floor / stages) for w in weights]
    return [w / sum(weights) for w in weights]
