"""The options of posters in stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...errors import UsageError
from ..options import option
from ..podd.options import PosterOptions
from .stages import MOST_STAGES

STARTS = ("copy", "noise", "blend")
DIRECTIONS = ("as-printed", "recent")


@dataclass(frozen=True)
class PPoDD(PosterOptions):
    """Options of the codec ``ppodd``; the defaults are the paper's where it states them.

    ``stage_decay``, ``stage_boost``, ``stage_floor`` and ``stage_direction`` are lambda, beta,
    epsilon and the sense of the decay in ``stages.stage_weights``.
    """

    title: ClassVar[str] = "Posters in stages (ppodd)"

    stages: int = option(5, "Posters, each frozen once it is distilled.", metavar="T",
                         least=1, most=MOST_STAGES)  # fmt: skip
    max_stages_bytes: int | None = option(
        None, "Leave out the stages of least weight until all fit in N bytes.", metavar="N", least=1
    )
    stage_start: str = option(
        "copy",
        "What a new poster begins as: the one before, what the first began as, or their mean.",
        choices=STARTS, expert=True,
    )  # fmt: skip
    stage_direction: str = option(
        "as-printed", "Which stages the decay favours: as printed the old ones.",
        choices=DIRECTIONS, expert=True,
    )  # fmt: skip
    stage_decay: float = option(
        0.5, "Decay of a stage's weight.", metavar="L", least=0, most=100, expert=True
    )
    stage_boost: float = option(
        1.5, "Boost of the newest stage.", metavar="B", least=0, most=100, expert=True
    )
    stage_floor: float = option(
        0.1, "The least share of a stage is E / T.", metavar="E", least=0, most=1, expert=True
    )

    def check(self) -> None:
        """Check what holds between options; raises UsageError."""
        super().check()
        if self.ipc is None:
            raise UsageError("`ipc` must be given; each stage has a poster of that budget")
        if self.steps is not None and self.time is not None:
            raise UsageError("give `steps` or `time`; only the codec podd takes both")
        if self.steps is not None and self.steps < self.stages:
            raise UsageError(
                f"`steps`={self.steps} is less than one for each of {self.stages} stages"
            )
        if self.stage_floor == 0 and self.stage_boost == 0:
            raise UsageError("`stage_boost`=0 needs a `stage_floor` above 0")
