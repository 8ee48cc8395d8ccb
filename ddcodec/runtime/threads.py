"""How many CPU threads to compute with: one, where more would only wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_IMAGE = 16 * 16  # pixels; below, an operation is shorter than waking a second thread


@contextmanager
def threads_for(height: int, width: int) -> Iterator[None]:
    """Run the body with the threads that suit images of this size; the old number comes back.

    Networks on tiny images are bound by the overhead of an operation. A second thread then gains
    nothing on an idle machine and costs several times the work on a busy one, as threads spin
    while they wait. One thread also makes the result independent of the number of cores.
    """
    before = torch.get_num_threads()
    if height * width <= SMALL_IMAGE:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
