"""What a P-PoDD encode takes beside the settings of a PoDD encode."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from ...errors import UsageError
from .stages import MOST_STAGES
from .weights import Direction, stage_weights

Start = Literal["copy", "noise", "blend"]


@dataclass(frozen=True)
class PPoDDOptions:
    """Stages and how they are weighted; the defaults are the paper's where it states them.

    Attributes:
        stages: posters (T), each trained for steps / T and then frozen.
        start: what a new poster begins with: ``copy`` of the one before, ``noise`` (what the
            first poster began with, drawn anew) or ``blend``, the mean of both. The paper leaves
            it open.
        decay, boost, floor, direction: lambda, beta and epsilon of ``weights.stage_weights``.
        max_bytes: bound on the bytes of all stages' posters and labels together, or None. Where
            it is exceeded, the stages with the lowest weight are left out of the file.
    """

    stages: int = 5
    start: Start = "copy"
    decay: float = 0.5
    boost: float = 1.5
    floor: float = 0.1
    direction: Direction = "as-printed"
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.stages <= MOST_STAGES:
            raise UsageError(f"--stages must be 1 to {MOST_STAGES}, got {self.stages}")
        for option, value, allowed in (
            ("--stage-start", self.start, get_args(Start)),
            ("--stage-direction", self.direction, get_args(Direction)),
        ):
            if value not in allowed:
                raise UsageError(f"{option} {value} is unknown; use one of: {', '.join(allowed)}")
        ranges: tuple[tuple[str, float, float, float], ...] = (
            ("--stage-decay", self.decay, 0, 100),
            ("--stage-boost", self.boost, 0, 100),
            ("--stage-floor", self.floor, 0, 1),
        )
        for option, number, low, high in ranges:
            if not (math.isfinite(number) and low <= number <= high):
                raise UsageError(f"{option} must be from {low:g} to {high:g}, got {number:g}")
        if self.floor == 0 and self.boost == 0:
            raise UsageError("--stage-boost 0 needs a --stage-floor above 0")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise UsageError(f"--max-stages-bytes must be at least 1, got {self.max_bytes}")

    def weights(self, accuracies: list[float], stages: int) -> list[float]:
        """Return the share of each of ``stages`` stages (see ``stage_weights``)."""
        return stage_weights(
            accuracies,
            stages,
            decay=self.decay,
            boost=self.boost,
            floor=self.floor,
            direction=self.direction,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values (for fingerprints)."""
        return asdict(self)

    def words(self) -> list[str]:
        """Return the options of a command line that asks for these settings."""
        given, default = self._options(), PPoDDOptions()._options()
        changed = [(key, value) for key, value in given.items() if value != default[key]]
        return [word for key, value in changed for word in (key, f"{value}")]

    def _options(self) -> dict[str, Any]:
        return {
            "--stages": self.stages,
            "--stage-start": self.start,
            "--stage-decay": f"{self.decay:g}",
            "--stage-boost": f"{self.boost:g}",
            "--stage-floor": f"{self.floor:g}",
            "--stage-direction": self.direction,
            "--max-stages-bytes": self.max_bytes,
        }
