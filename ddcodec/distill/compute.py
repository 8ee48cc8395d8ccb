"""What a machine is good for: bfloat16 where it multiplies it, and its memory."""

from __future__ import annotations

import os

import torch

MEMORY_SHARE = 4  # of the device's memory, one part for the passes of unrolled steps
FEW_BYTES = 1 << 29  # where the memory's size is not known
SMALL_SIDE = 16  # pixels; below, a step is bound by the overhead of its operations


def activation_type(device: torch.device, height: int, width: int) -> torch.dtype | None:
    """Return bfloat16 where it is faster for images of this size, None for the parameters' own.

    Parameters, their moments, sums and losses stay float32. Whoever trains on the file later does
    so in float32.
    """
    if min(height, width) < SMALL_SIDE:
        return None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    if device.type != "cpu":
        return None
    # Emulated bfloat16 is slower than float32, so these instructions have to be there.
    known = [
        getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")
    ]
    return torch.bfloat16 if any(ask is not None and ask() for ask in known) else None


def kept_bytes(device: torch.device) -> int:
    """Return how much memory the passes of unrolled steps may take, in bytes.

    More of it saves time and changes no result.
    """
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory) // MEMORY_SHARE
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on every system
        return FEW_BYTES
    return max(FEW_BYTES, pages // MEMORY_SHARE)
