"""Devices: what they are called, what they are good for, and what is told to the C library."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from ddcodec.errors import UsageError
from ddcodec.runtime import device
from ddcodec.runtime.device import (
    activation_type,
    choose_device,
    has_bfloat16,
    keep_large_blocks,
    kept_bytes,
    threads_for,
)

CPU = torch.device("cpu")
FAULTS = """
import resource, sys
import numpy as np
from ddcodec.runtime.device import keep_large_blocks
if sys.argv[1] == "keep":
    assert keep_large_blocks()
np.ones(1 << 24, dtype=np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(1 << 24, dtype=np.float32)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.parametrize("instructions", [True, False])
def test_bfloat16_where_the_processor_has_it_and_images_are_large(
    instructions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: instructions, raising=False)
    assert has_bfloat16(CPU) is instructions
    assert activation_type(CPU, 32, 32) == (torch.bfloat16 if instructions else None)
    assert activation_type(CPU, 8, 32) is None
    assert not has_bfloat16(torch.device("meta"))


def test_windows_take_a_quarter_of_what_is_free_and_never_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for free, kept in ((4, 1), (0, 0), (100, 1.5)):
        monkeypatch.setattr(device, "available_memory", lambda free=free: free << 30)
        assert kept_bytes(CPU) == kept * 2**30
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert kept_bytes(CPU) == 3 << 26


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


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "meta", ""])
def test_an_unknown_device_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="use auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == CPU
    with pytest.raises(UsageError, match="no CUDA GPU"):
        choose_device("cuda:1")


def test_tiny_images_are_computed_by_one_thread_and_the_number_comes_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(8, 8):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with threads_for(32, 32):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
