"""SIGTERM and a lost terminal end a command as Ctrl-C does: work is kept, and said where."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_INTERRUPTED = 130
AGAIN_SECONDS = 2.0  # a signal that comes twice within this time was sent twice, as timeout does


class Interruption:
    """What ended a command; ``code`` is its exit code, 128 and the number of the signal."""

    def __init__(self) -> None:
        self.code, self._process, self._last = EXIT_INTERRUPTED, os.getpid(), -AGAIN_SECONDS

    def by(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: raise KeyboardInterrupt where the main thread is."""
        if os.getpid() != self._process:  # a worker, which inherited this, simply ends
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        now = time.monotonic()
        again, self._last = now - self._last < AGAIN_SECONDS, now
        if not again:
            self.code = 128 + number
            raise KeyboardInterrupt


@contextmanager
def signals_interrupt() -> Iterator[Interruption]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt in the block, unless they are ignored.

    Handlers that a caller has set stay, and so do all where this is not the main thread.
    """
    interruption, ours = Interruption(), []
    if threading.current_thread() is threading.main_thread():
        wanted = (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP"))
        ours = [n for n in wanted if n is not None and signal.getsignal(n) == signal.SIG_DFL]
    try:
        for number in ours:
            signal.signal(number, interruption.by)
        yield interruption
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
