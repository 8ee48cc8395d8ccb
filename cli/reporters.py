"""What people see of long work: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from ddcodec.runtime.memory import peak_memory
from ddcodec.runtime.progress import Reporter

from .flags import spelled
from .output import message, number, seconds

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_SECONDS = 30.0  # between two lines of a log
ESTIMATE_SECONDS = 60.0  # work that takes longer is estimated once it is measured
MEASURED_STEPS, MEASURED_SECONDS = 2, 1.0  # that a measurement takes at least

Clock = Callable[[], float]


class Stage:
    """A stage under way: what is done, how fast it goes, what is left. Times are of ``clock``."""

    def __init__(self, name: str, steps: int, clock: Clock) -> None:
        self.name, self.steps, self._clock = name, steps, clock
        self.began = clock()
        self.done, self.loss = 0, None  # type: int, float | None
        self._first: tuple[int, float] | None = None  # steps and time when the first were done
        self._last = self.began

    def step(self, done: int, loss: float | None) -> None:
        self.done, self.loss, self._last = done, loss, self._clock()
        # A resumed stage begins with steps that took no time, and the first step warms up.
        self._first = self._first or (done, self._last)

    @property
    def measured(self) -> bool:
        """Say whether the time of a step is known well enough to tell people what to expect."""
        if self._first is None:
            return False
        done, since = self._first
        return self.done - done >= MEASURED_STEPS and self._last - since >= MEASURED_SECONDS

    @property
    def step_seconds(self) -> float | None:
        """How long a step takes; None where none is timed yet."""
        if self._first is None or self.done <= self._first[0]:
            return None
        return (self._last - self._first[1]) / (self.done - self._first[0])

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take."""
        each = self.step_seconds
        if each is None or not self.steps:
            return None
        return max(0.0, each * (self.steps - self.done) - (self._clock() - self._last))

    def line(self) -> str:
        """Return how far it is: step, rate, loss, time left."""
        parts = [seconds(self._clock() - self.began)]
        if self.steps:
            parts = [f"step {number(self.done)} of {number(self.steps)}"]
        if self.step_seconds:
            parts.append(rate_text(1 / self.step_seconds))
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4f}")
        if self.left is not None:
            parts.append(f"{about(self.left)} left")
        elif self.steps:
            parts.append(f"{seconds(self._clock() - self.began)} so far")
        return f"{self.name}: {', '.join(parts)}"


class NoteReporter(Reporter):
    """Writes notes to stderr and nothing else."""

    def note(self, text: str) -> None:
        message(spelled(text))


class Told(NoteReporter):
    """A reporter that says results, and what to expect of a stage that takes over a minute.

    ``opening`` is said when the first step is done; ``advice`` says what makes long work shorter.
    """

    def __init__(self, opening: str = "", advice: str = "", clock: Clock = time.monotonic) -> None:
        self._opening, self._advice, self._clock = opening, advice, clock
        self._estimated = False
        self.now: Stage | None = None

    def stage(self, name: str, steps: int) -> None:
        self.now, self._estimated = Stage(name, steps, self._clock), False

    def step(self, done: int, loss: float | None = None) -> None:
        if self._opening:
            self.note(self._opening)
            self._opening = ""
        if self.now is None:
            return
        self.now.step(done, loss)
        if not self._estimated and self.now.measured:
            self._estimated = True
            left = self.now.left
            if left is not None and left > ESTIMATE_SECONDS:
                self.note(self._estimate(self.now, left))

    def result(self, text: str) -> None:
        self.note(text)

    def _estimate(self, stage: Stage, left: float) -> str:
        assert stage.step_seconds is not None
        steps = f"{number(stage.steps)} steps of about {stage.step_seconds:.2g} s"
        held = f"; at most {memory_text()} of memory so far" if memory_text() else ""
        advice = f"; {self._advice}" if self._advice else ""
        return f"{stage.name}: {steps}, some {about(left)} to go{held}{advice}"


class LogReporter(Told):
    """Writes a line every ``interval`` seconds, even while a single step takes long."""

    def __init__(
        self,
        opening: str = "",
        advice: str = "",
        clock: Clock = time.monotonic,
        interval: float | None = None,
    ) -> None:
        super().__init__(opening, advice, clock)
        self._began, self._lines = clock(), 0
        self._interval = LINE_SECONDS if interval is None else interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to write lines."""
        self._thread.start()

    def stop(self, complete: bool) -> None:
        """Write no more lines but the last one, if there were any and all went well."""
        self._over.set()
        self._thread.join()
        if self._lines and complete:
            message(f"done in {seconds(self._clock() - self._began)}")

    def _write(self) -> None:
        # A log that nobody can write to any more must not end the work.
        with suppress(OSError, ValueError):
            while not self._over.wait(self._interval):
                stage = self.now
                if stage is not None:
                    message(spelled(stage.line()))
                    self._lines += 1


class BarReporter(Told):
    """Draws the stage that is under way; a new stage takes the place of the last one."""

    def __init__(self, bar: Progress, opening: str = "", advice: str = "") -> None:
        super().__init__(opening, advice)
        self._bar = bar
        self._task: TaskID | None = None

    def stage(self, name: str, steps: int) -> None:
        super().stage(name, steps)
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=steps or None, rate="", loss="")

    def step(self, done: int, loss: float | None = None) -> None:
        super().step(done, loss)
        if self._task is None or self.now is None:
            return
        each = self.now.step_seconds
        said = "" if loss is None else f"loss {loss:.4f}"
        rate = rate_text(1 / each if each else None)
        self._bar.update(self._task, completed=done, rate=rate, loss=said)

    def note(self, text: str) -> None:
        """Write a line above the bar, where it stays."""
        self._bar.console.print(spelled(text), markup=False, highlight=False, soft_wrap=True)


def rate_text(speed: float | None) -> str:
    """Return steps a second, or seconds a step where steps are slow."""
    if not speed:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"


def about(value: float) -> str:
    """Return a length of time without the fractions that a guess does not have."""
    return seconds(value) if value >= 60 else f"{round(value)} s"


def memory_text() -> str:
    """Return the most memory that this process has held, that of an accelerator apart."""
    held = f"{peak_memory() / 2**30:.1f} GiB" if peak_memory() else ""
    torch = sys.modules.get("torch")
    if torch is None or not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return held
    on_device = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB on the device"
    return f"{held} and {on_device}" if held else on_device
