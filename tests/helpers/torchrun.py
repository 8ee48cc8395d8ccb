"""``ddcodec`` in several processes, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Two processes of two threads each would wait for each other on two cores.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def command(*words: object, processes: int = 2) -> list[str]:
    """Return what starts ``ddcodec`` with ``words``, through torchrun where it is not alone."""
    start = [sys.executable, "-m"]
    if processes > 1:
        start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    return [*start, "ddcodec", *map(str, words)]


def run(folder: Path, *words: object, processes: int = 2) -> str:
    """Run it in ``folder`` to a good end and return its messages."""
    done = subprocess.run(
        command(*words, processes=processes),
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr
