"""Large blocks stay in the process where the C library can be told so, and nothing else changes."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from ddcodec.runtime.memory import keep_large_blocks

FAULTS = """
import resource, sys
import numpy as np
from ddcodec.runtime.memory import keep_large_blocks
if sys.argv[1] == "keep":
    assert keep_large_blocks()
np.ones(1 << 24, dtype=np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(1 << 24, dtype=np.float32)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_blocks_are_used_again_without_page_faults() -> None:
    faults = {}
    for mode in ("keep", "plain"):
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True
        )
        faults[mode] = int(done.stdout)
    # Transparent huge pages make few faults of many, so only the comparison is certain.
    assert faults["keep"] < 0.2 * faults["plain"]


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not keep_large_blocks()
