"""Whole numbers of any library are taken, and nothing else for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddcodec import UsageError, load
from ddcodec.errors import require_at_least
from ddcodec.runtime.rng import key


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2), torch.tensor(2), np.array(2)])
def test_a_whole_number_of_any_library_is_taken(value: Any, digits_file: Path) -> None:
    require_at_least(1, steps=value)
    assert key(value, "x") == key(2, "x")
    ds = load(digits_file)
    found, wanted = (
        next(iter(ds.batches(size, seed=size, epoch=size)))[0] for size in (value, 2)
    )  # fmt: skip
    assert torch.equal(found, wanted)
    assert torch.equal(
        next(iter(ds.stream(seed=value, batch_size=value)))[0],
        next(iter(ds.stream(seed=2, batch_size=2)))[0],
    )


@pytest.mark.parametrize(
    "value", [True, 2.0, 2.5, float("nan"), "2", None, [2], torch.tensor([2, 3]), np.float32(2)]
)
def test_nothing_else_is(value: Any, digits_file: Path) -> None:
    with pytest.raises(UsageError, match="`steps` must be a whole number"):
        require_at_least(1, steps=value)
    with pytest.raises(UsageError, match="`batch_size`"):
        load(digits_file).batches(value)
