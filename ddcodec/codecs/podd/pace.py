"""As many steps as a time allows, decided by the clock while they are taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from .plan import Plan, Stage

KERNEL_TIME = 0.15  # of the time, for the kernel stage; see docs/speed.md
# Filters and window of unrolled steps, the best first, and how many must fit: else cheaper ones are
# worth more. A step costs as the product of both.
UNROLLED = ((64, 20, 200), (32, 20, 60), (32, 10, 0))
FEW = 60  # unrolled steps of any kind, in all
LEAST = 10  # unrolled steps; where fewer fit, the kernel stage has all the time
RECENT = 0.9  # memory of the mean cost of a step
LATE = 0.1  # of the time, by which a run may end late where the machine became slower at last


@dataclass
class Pace:
    """Fixes the number of steps of each stage so that the last one ends at ``end``.

    A stage begins at constant rates with its end left open. When the time that is left is what the
    steps of falling rates take, at the cost of recent steps, their number is fixed. So a machine
    that becomes busy or idle on the way changes the number of steps, not the time, and rates
    always fall to their end.

    Attributes:
        end: ``time.monotonic()`` at which the run should be over.
        seconds: that the whole run was given.
    """

    end: float
    seconds: float
    _until: float = field(default=0.0, init=False)
    _last: float = field(default=0.0, init=False)
    _cost: float = field(default=0.0, init=False)

    @property
    def deadline(self) -> float:
        """The moment at which a run stops wherever it is."""
        return self.end + LATE * self.seconds

    def begin(self, share: float) -> None:
        """Begin a stage, or go on with one, that may take ``share`` of the time that is left."""
        self._last = now = time.monotonic()
        self._until, self._cost = now + share * (self.end - now), 0.0

    def length(self, step: int, last: float) -> int | None:
        """Return the steps of the stage once the last of them must begin; until then None.

        ``step`` are done by now, one more than at the last call; ``last`` is a share of all.
        """
        now = time.monotonic()
        took, self._last = now - self._last, now
        self._cost = took if self._cost == 0 else RECENT * self._cost + (1 - RECENT) * took
        whole = max(step + 1, round(step / (1 - last))) if last < 1 else step + 1
        return whole if now + self._cost * (whole - step) >= self._until else None


def affordable(plan: Plan, kernel: float, cheapest: float, seconds: float) -> Plan:
    """Return a plan of the quick profile with the unrolled steps that ``seconds`` allow.

    ``kernel`` and ``cheapest`` are the seconds of a kernel step and of the cheapest of
    ``UNROLLED``. The best kind of which enough fit is taken, or the plan's own if it has another;
    where the cheapest does not even fit ``LEAST`` times there are only kernel steps. Numbers of
    steps are first guesses, for people: ``Pace`` decides them.
    """
    first, last = plan.stages
    own = (last.width, last.window, 0)
    left, unit = (1 - KERNEL_TIME) * seconds, UNROLLED[-1][0] * UNROLLED[-1][1]
    for width, window, enough in UNROLLED if own[:2] == UNROLLED[0][:2] else (own,):
        steps = int(left / (cheapest * width * window / unit))
        if steps >= enough:
            break
    if steps < LEAST:
        return replace(plan, stages=(_lasting(first, seconds / kernel),))
    last = replace(last, width=width, window=window)
    stages = _lasting(first, KERNEL_TIME * seconds / kernel), _lasting(last, steps)
    return replace(plan, stages=stages)


def fastest_threads(
    seconds: Callable[[int | None], float], several: int, asked: int | None = None
) -> tuple[int | None, float]:
    """Return the CPU threads with which a step is fastest, and its ``seconds`` with them.

    ``asked`` is where the search begins, None for the default, which has ``several``. The number is
    halved as long as that pays: threads wait for each other, longest where other programs want the
    cores. Where rounding depends on it the file names it.
    """
    best, fastest = asked, seconds(asked)
    while several > 1:
        several //= 2
        found = seconds(several)
        if found >= fastest:
            break
        best, fastest = several, found
    return best, fastest


def cheapest_unrolled(plan: Plan) -> Plan:
    """Return a plan whose last stage has the cheapest of the unrolled steps."""
    width, window, _ = UNROLLED[-1]
    *before, last = plan.stages
    return replace(plan, stages=(*before, replace(last, width=width, window=window)))


def _lasting(stage: Stage, steps: float) -> Stage:
    return replace(stage, steps=max(1, int(steps)))
