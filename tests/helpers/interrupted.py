"""Commands in processes of their own that get a signal at a step, whatever the machine's speed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

# ``told`` names the method of a reporter at whose call number ``at`` the signals are sent.
SCRIPT = """
import os, signal, sys
from ddcodec_cli.reporters import LogReporter

told, at, signals, ignored, *words = sys.argv[1:]
# Where tests run in the background or under nohup these are ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if ignored:
    signal.signal(int(ignored), signal.SIG_IGN)
count = 0
before = getattr(LogReporter, told)
def heard(*args):
    global count
    before(*args)
    count += 1
    if count == int(at):
        for number in signals.split():
            os.kill(os.getpid(), int(number))
setattr(LogReporter, told, heard)
from ddcodec_cli.app import main
sys.exit(main(words))
"""


def interrupted(
    folder: Path,
    *words: object,
    told: str = "step",
    at: int = 8,
    signals: tuple[int, ...] = (signal.SIGTERM,),
    ignored: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command in ``folder`` and send it signals; return how it ended."""
    sent = " ".join(str(int(number)) for number in signals)
    mute = "" if ignored is None else str(int(ignored))
    command = [sys.executable, "-c", SCRIPT, told, str(at), sent, mute, *map(str, words)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
