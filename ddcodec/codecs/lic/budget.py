"""A budget of bytes: what fills it best, by the sizes that are expected and those of files made."""

from __future__ import annotations

from typing import Protocol

from ...errors import UsageError
from .expected import Choice

# Of lossy mosaics whose quality is to be found. Images are counted at the first: 250 at 50 taught
# better than 130 at 65 and 500 at 30 (docs/lic.md). It becomes less where one a class does not
# fit, and more as far as bytes are left.
QUALITY, LEAST_QUALITY, MOST_QUALITY = 50, 40, 65
CLOSE = 0.98  # of the bytes: no further file is made
AHEAD = 2  # behind one that does not fit: 270 images of CIFAR-10 take fewer bytes than 260
STEEPEST = 4  # times the expected difference of two files: else it is left out of account
# Files that are made, at most, once one has fitted; twice as many below this share of the bytes.
TRIES, FAR = 4, 0.95


class Sizes(Protocol):
    """What is expected of the choices of one data set; see ``expected.Expected``."""

    most: int
    free: bool
    quality: int

    def bytes(self, choice: Choice) -> int:
        """Return about the bytes that depend on a choice."""


class Budget:
    """What fits into ``total`` bytes, as far as is known.

    Attributes:
        fixed: bytes of all that depends on no choice, about.
        least: the choice of the smallest file.
    """

    def __init__(self, total: int, expected: Sizes, fixed: int) -> None:
        self.total, self.fixed = total, fixed
        self._expected, self._scale = expected, 1.0
        self._made: dict[Choice, int] = {}
        self._quality = QUALITY if expected.free else expected.quality
        self.least = Choice(1, LEAST_QUALITY if expected.free else expected.quality)

    def bytes(self, choice: Choice) -> int:
        """Return the bytes of the file of a choice, about where it was not made."""
        if choice in self._made:
            return self._made[choice]
        return self.fixed + round(self._scale * self._expected.bytes(choice))

    def learn(self, choice: Choice, size: int) -> None:
        """Take the size of a file that was made: what is expected of others moves with it.

        The first tells how far images are from what was expected, a second what the rest takes.
        """
        expected = self._expected.bytes(choice)
        # A file smaller than what was thought to be fixed says nothing of the images.
        scale = (size - self.fixed) / expected if size > self.fixed else self._scale
        if self._made:
            last, before = list(self._made.items())[-1]
            steps = expected - self._expected.bytes(last)
            slope = (size - before) / steps if steps else scale
            scale = slope if 1 / STEEPEST < slope < STEEPEST else scale
        self._made[choice], self._scale = size, scale
        self.fixed = size - round(scale * expected)

    def made(self) -> Choice | None:
        """Return the choice of the largest file that was made and fits, None where none does."""
        fitting = [choice for choice, size in self._made.items() if size <= self.total]
        return max(fitting, key=self.bytes, default=None)

    def next(self) -> Choice | None:
        """Return the choice whose file is to be made next, None where nothing is to be gained."""
        made = self.made()
        if made is not None:
            share = self.bytes(made) / self.total
            if share >= CLOSE or len(self._made) >= (TRIES if share >= FAR else 2 * TRIES):
                return None
        choice = self.best()
        return None if choice in self._made else choice

    def best(self) -> Choice | None:
        """Return the choice that should fill the bytes best, None where none should fit."""
        ipc = self._most_mosaics()
        if not self._expected.free:
            return Choice(ipc, self._quality) if ipc else None
        if ipc:
            return self._finest(ipc, QUALITY, MOST_QUALITY)
        return self._finest(1, LEAST_QUALITY, QUALITY - 1) if self._fits(self.least) else None

    def require_least(self) -> int:
        """Return the bytes of the smallest file; raises UsageError where they are too many."""
        least = self.bytes(self.least)
        if least > self.total:
            raise UsageError(
                f"`total_bytes`={self.total} is too few: the smallest file of these settings takes "
                f"about {least}"
            )
        return least

    def _most_mosaics(self) -> int:
        """Return how many mosaics a class fit at the usual quality, 0 for none."""
        low, high, most = 0, 1, self._expected.most
        while high <= most and self._fits(Choice(high, self._quality)):
            low, high = high, 2 * high
        high = min(high, most + 1)
        while high - low > 1:
            middle = (low + high) // 2
            fits = self._fits(Choice(middle, self._quality))
            low, high = (middle, high) if fits else (low, middle)
        for more in range(high + 1, min(high + AHEAD, most) + 1):
            low = more if self._fits(Choice(more, self._quality)) else low
        return low

    def _finest(self, ipc: int, low: int, high: int) -> Choice:
        """Return the choice with the best quality up to ``high`` that fits; ``low`` does."""
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._fits(Choice(ipc, middle)) else (low, middle - 1)
        return Choice(ipc, low)

    def _fits(self, choice: Choice) -> bool:
        try:
            return self.bytes(choice) <= self.total
        except UsageError:
            return False  # of so many images there is no picture
