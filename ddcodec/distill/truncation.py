"""Where the unrolled window of an inner run begins, and how long it is."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Truncation = Literal["random", "adaptive"]
MEMORY = 0.9  # of a position's running mean of gradient norms
SPREAD = 0.25  # an adaptive window is up to this share longer or shorter


def sample_truncation(generator: torch.Generator, window: int, total: int) -> int:
    """Return the inner steps before the window: uniform in 0..total - window (paper section 3)."""
    return int(torch.randint(max(0, total - window) + 1, (1,), generator=generator))


class AdaptiveTruncation:
    """Windows drawn by the size and the change of inner gradients, after AT-BPTT.

    Li et al. (arXiv 2510.04838) choose the position with a probability that grows with the inner
    gradient's norm in the first third of the outer steps, evenly in the second, and that falls
    with it in the last; a window grows where the norm changes fast along the run. Here the norms
    are running means over outer steps, of the steps that are done anyway, so nothing is added to
    the cost. A position that no run has reached yet counts as the last one that one has.
    """

    def __init__(self, window: int, total: int) -> None:
        self.window = window
        self.total = max(total, window)
        self.norms = torch.zeros(self.total)

    def observe(self, start: int, norms: Tensor) -> None:
        """Take in the norms (steps,) of the inner gradients from step ``start`` on."""
        norms = norms.detach().cpu().float()[: max(0, self.total - start)]
        held = self.norms[start : start + len(norms)]
        fresh = torch.where(held > 0, MEMORY * held + (1 - MEMORY) * norms, norms)
        self.norms[start : start + len(norms)] = fresh

    def sample(self, generator: torch.Generator, progress: float) -> tuple[int, int]:
        """Return (steps before the window, steps in it) at ``progress``, 0 to 1, of the run."""
        places = self.total - self.window + 1
        weights = torch.ones(places)
        direction = 1 if progress < 1 / 3 else 0 if progress < 2 / 3 else -1
        norms = self._filled()
        if norms is not None:
            sizes = norms.unfold(0, self.window, 1).mean(1)
            if direction and float(sizes.std(correction=0)) > 0:
                scores = (sizes - sizes.mean()) / sizes.std(correction=0)
                weights = torch.softmax(direction * scores, 0)
        start = int(torch.multinomial(weights, 1, generator=generator))
        return start, self.window if norms is None else self._length(norms, start)

    def _length(self, norms: Tensor, start: int) -> int:
        if self.window < 2:
            return self.window
        change = (norms[1:] - norms[:-1]).abs().unfold(0, self.window - 1, 1).mean(1)
        mean = float(change.mean())
        if mean == 0:
            return self.window
        share = max(-SPREAD, min(SPREAD, SPREAD * (float(change[start]) / mean - 1)))
        return max(1, min(round(self.window * (1 + share)), self.total - start))

    def _filled(self) -> Tensor | None:
        """Return the norms with none left open; None before the first run."""
        # Runs begin at step 0, so what has been seen is without gaps.
        seen = int((self.norms > 0).sum())
        if not 0 < seen < self.total:
            return self.norms if seen else None
        return torch.cat([self.norms[:seen], self.norms[seen - 1].expand(self.total - seen)])
