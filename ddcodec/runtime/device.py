"""The device to compute on, and what it is good for: types, threads, memory, equal bits twice."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import torch

from ..errors import UsageError
from .memory import available_memory, local_processes

MEMORY_SHARE = 4  # of the device's memory, one part for the passes of unrolled steps
FEW_BYTES = 1 << 29  # of a GPU, at least
MOST_BYTES = 3 << 29  # of a CPU's, so that an encode stays a good neighbour on any machine
SMALL_SIDE = 16  # pixels; below, a step is bound by the overhead of its operations
SMALL_IMAGE = 16 * 16  # pixels; up to it, an operation is shorter than waking a second thread
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc, malloc.h


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; ``auto`` takes CUDA where it works, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with contextlib.suppress(RuntimeError):
        device = torch.device(name)
        if device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_available()):
            return device
        if device.type == "cuda":
            raise UsageError(f"device '{name}' was asked for, but this torch finds no CUDA GPU")
    raise UsageError(f"unknown device '{name}'; use auto, cpu, cuda or cuda:N")


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
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in tests)


def default_threads(height: int, width: int) -> int:
    """Return how many threads of the CPU suit images of this size: one, or as torch has them.

    Networks on tiny images are bound by the overhead of an operation. A second thread then gains
    nothing on an idle machine and costs several times the work on a busy one, as threads spin
    while they wait. One thread also makes the result independent of the number of cores.
    """
    return 1 if height * width <= SMALL_IMAGE else torch.get_num_threads()


@contextlib.contextmanager
def threads_for(height: int, width: int, threads: int | None = None) -> Iterator[None]:
    """Run the body with ``threads``, or those that suit images of a size; then as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or default_threads(height, width))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def kept_bytes(device: torch.device) -> int:
    """Return how much memory the passes of unrolled steps may take in this process, in bytes.

    A quarter of a GPU's memory, or of what is free, and then ``MOST_BYTES`` at most, shared by the
    processes that torchrun started here. More of it saves time and changes no result.
    """
    processes = local_processes()
    if device.type == "cuda":
        whole = int(torch.cuda.get_device_properties(device).total_memory)
        return max(FEW_BYTES, whole // MEMORY_SHARE) // -(-processes // torch.cuda.device_count())
    return min(MOST_BYTES // processes, available_memory() // MEMORY_SHARE)


def keep_large_blocks() -> bool:
    """Tell the C library to reuse large blocks; return whether it did.

    glibc hands every block over 32 MiB back to the kernel when it is freed, and a fresh one must
    be cleared page by page: about half of the time of an unrolled step on the CPU. The setting
    holds for the whole process, so the command line makes it, never the library.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    large = mallopt(M_MMAP_THRESHOLD, 1 << 30)
    return bool(large and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
