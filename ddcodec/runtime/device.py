"""The device that a name stands for."""

from __future__ import annotations

import torch

from ..errors import UsageError


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; ``auto`` takes CUDA where it works, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device '{name}'; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device '{name}' was asked for, but this torch finds no CUDA GPU")
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device '{name}'; use auto, cpu, cuda or cuda:N")
    return device
