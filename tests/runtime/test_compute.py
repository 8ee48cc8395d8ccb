"""What a machine is good for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ddcodec.runtime import compute
from ddcodec.runtime.compute import activation_type, has_bfloat16, kept_bytes

CPU = torch.device("cpu")


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


def test_processes_share_a_quarter_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "_memory", lambda: 1 << 34)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert kept_bytes(CPU) == 1 << 32
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert kept_bytes(CPU) == 1 << 29
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "many")
    assert kept_bytes(CPU) == 1 << 32


def test_a_container_has_what_its_limit_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(compute, "CONTAINER_LIMITS", (str(limit), str(tmp_path / "none")))
    free = compute._memory()
    assert free > 1 << 28
    limit.write_text("max\n", encoding="ascii")
    assert compute._memory() == free
    limit.write_text(f"{1 << 28}\n", encoding="ascii")
    assert compute._memory() == 1 << 28
