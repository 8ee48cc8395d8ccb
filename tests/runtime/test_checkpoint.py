"""Checkpoints: bit for bit, whole or not at all, and only for the run that wrote them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ddcodec.errors import CheckpointMismatch, OutputError
from ddcodec.runtime import checkpoint
from ddcodec.runtime.rng import generator

TENSORS = {"a": torch.randn(5, generator=generator(1)), "b": torch.arange(3)}


def raw(tensor: Tensor) -> bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def test_every_dtype_and_shape_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    odd = torch.tensor([float("nan"), -0.0, float("inf"), 1e-45, 1 / 3])
    tensors = {
        "float32": odd,
        "float64": odd.double(),
        "bfloat16": odd.bfloat16(),
        "int64": torch.tensor(2**62),
        "bool": torch.tensor([[True], [False]]),
        "empty": torch.zeros(0, 3),
        "strided": torch.arange(12).view(3, 4).T,
    }
    meta: dict[str, Any] = {"step": 4, "name": "é", "rate": 0.1, "steps": [1, 2]}
    checkpoint.save(path, tensors, meta, "key")
    back, stored = checkpoint.load(path, "key")
    assert stored == meta
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert back[name].shape == tensor.shape
        assert raw(back[name]) == raw(tensor.contiguous())
    assert [p.name for p in tmp_path.iterdir()] == ["run.checkpoint"]


def test_the_official_library_opens_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    checkpoint.save(path, TENSORS, {}, "key")
    assert torch.equal(safetensors.torch.load_file(path)["a"], TENSORS["a"])


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    checkpoint.save(one, TENSORS, {"x": 1, "y": 2}, "key")
    checkpoint.save(two, dict(reversed(TENSORS.items())), {"y": 2, "x": 1}, "key")
    assert one.read_bytes() == two.read_bytes()


def test_saving_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    tensors = {name: torch.zeros(1 << 20) for name in "abcd"}  # 4 MiB each
    tracemalloc.start()
    try:
        checkpoint.save(tmp_path / "run.checkpoint", tensors, {}, "key")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    checkpoint.save(path, TENSORS, {}, "key")
    with pytest.raises(CheckpointMismatch, match="another source, settings or version"):
        checkpoint.load(path, "other key")


def test_a_flipped_bit_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    checkpoint.save(path, TENSORS, {"step": 4}, "key")
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            path.write_bytes(broken)
            with pytest.raises(CheckpointMismatch):
                checkpoint.load(path, "key")


@given(kept=st.integers(0, 10_000), extra=st.binary(max_size=9))
def test_a_cut_or_lengthened_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, kept: int, extra: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.checkpoint"
    checkpoint.save(path, TENSORS, {}, "key")
    whole = path.read_bytes()
    changed = whole[:kept] + extra
    path.write_bytes(changed)
    if changed == whole:
        checkpoint.load(path, "key")
    else:
        with pytest.raises(CheckpointMismatch, match=r"not a readable checkpoint"):
            checkpoint.load(path, "key")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"\x02" + b"\0" * 7 + b"{}"])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.checkpoint"
    path.write_bytes(content)
    with pytest.raises(CheckpointMismatch, match="delete it to start again"):
        checkpoint.load(path, "key")


def test_a_missing_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="No such file"):
        checkpoint.load(tmp_path / "none", "key")


def test_an_interrupted_save_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.checkpoint"
    checkpoint.save(path, TENSORS, {"step": 1}, "key")

    def interrupt(_handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, TENSORS, {"step": 2}, "key")
    assert checkpoint.load(path, "key")[1] == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["run.checkpoint"]


def test_a_folder_that_is_gone_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write: No such file"):
        checkpoint.save(tmp_path / "gone" / "run.checkpoint", TENSORS, {}, "key")
