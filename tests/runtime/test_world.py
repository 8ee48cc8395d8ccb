"""The neutral world: equal tensors and kernels inside, all settings back outside."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from ddcodec.runtime.world import SWITCHES, neutral, neutral_tensors
from tests.helpers.worlds import WORLDS, World, everything, state, switch

ALL = {**WORLDS, "everything": everything}
each_world = pytest.mark.parametrize("world", ALL.values(), ids=ALL)


@each_world
def test_inside_a_tensor_learns_and_is_float32_on_the_cpu(world: World) -> None:
    with world(), neutral():
        made = torch.ones(2, requires_grad=True)
        product = torch.outer(made, made)
        product.sum().backward()
        assert (made.dtype, product.dtype, made.device.type) == (
            torch.float32,
            torch.float32,
            "cpu",
        )
        assert made.grad is not None
        assert not made.is_inference()
        assert not torch.are_deterministic_algorithms_enabled()
        assert not torch.is_anomaly_enabled()
        assert all(getattr(place, name) == value for place, name, value in SWITCHES)
        assert float(torch.tensor(1e-40) * 1) > 0
        assert np.float32(1e-30) * np.float32(1e-30) == 0


def test_inside_a_gpu_has_its_library_and_repeats_its_sums() -> None:
    cudnn = torch.backends.cudnn
    with switch(cudnn, "deterministic", False), switch(cudnn, "benchmark", True):
        with switch(cudnn, "enabled", False), neutral():
            assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (True, False, True)
        assert (cudnn.benchmark, cudnn.deterministic) == (True, False)


@each_world
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_settings_come_back_whatever_happens(world: World, error: type[BaseException]) -> None:
    with world():
        before = state()
        with pytest.raises(error), neutral():
            raise error
        assert state() == before


@each_world
def test_the_quick_way_gives_ordinary_tensors_too(world: World) -> None:
    with world():
        before = state()
        with neutral_tensors():
            picked = torch.arange(4).index_select(0, torch.tensor([1, 3]))
            numbers = torch.rand(3, generator=torch.Generator().manual_seed(5))
        assert state() == before
    assert picked.tolist() == [1, 3]
    assert not picked.is_inference()
    assert torch.equal(numbers, torch.rand(3, generator=torch.Generator().manual_seed(5)))


def test_the_last_of_two_threads_brings_the_settings_back() -> None:
    entered, left = threading.Event(), threading.Event()
    found = []

    def other() -> None:
        with neutral():
            entered.set()
            left.wait(60)
            found.append(torch.get_default_dtype())

    with WORLDS["float64"]():
        thread = threading.Thread(target=other)
        with neutral():
            thread.start()
            assert entered.wait(60)
        left.set()
        thread.join()
        assert found == [torch.float32]
        assert torch.get_default_dtype() == torch.float64
