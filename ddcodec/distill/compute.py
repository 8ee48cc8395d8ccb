"""The number type of activations in distillation: bfloat16 where the processor multiplies it."""

from __future__ import annotations

import torch

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
