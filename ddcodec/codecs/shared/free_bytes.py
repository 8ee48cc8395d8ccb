"""What is said where a file is much smaller than the bytes that were asked for."""

from __future__ import annotations

LITTLE = 0.05  # of the bytes: that more of them stay free is worth a line


def left_free(total: int, size: int, why: str) -> str | None:
    """Return what is to be said of a file of ``size`` bytes that may have ``total``, if anything.

    ``why`` says why it is no larger, and what would make it so.
    """
    if size >= (1 - LITTLE) * total:
        return None
    return f"{total - size:,} of `total_bytes`={total} stay free: {why}"
