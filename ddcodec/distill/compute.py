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
    return torch.bfloat16 if has_bfloat16(device) else None


def has_bfloat16(device: torch.device) -> bool:
    """Say whether a device multiplies bfloat16 in hardware, so that it is faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in tests)


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
