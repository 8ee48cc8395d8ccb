"""The step of the observers: that of torch, to the bit, and in less memory."""

from __future__ import annotations

import copy

import pytest
import torch

from ddcodec.observers.build import build, initialise
from ddcodec.observers.sgd import SGD
from ddcodec.runtime.rng import generator


def test_steps_are_those_of_torch_to_the_bit() -> None:
    ours = initialise(build("convnet3", 3, 8, 8, 4), generator(0, "x"))
    ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    theirs = copy.deepcopy(ours)
    mine = SGD(dict(ours.named_parameters()), 0.9, 5e-4)
    optimiser = torch.optim.SGD(
        theirs.parameters(), lr=1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    for step in range(4):
        x = torch.rand(5, 3, 8, 8, generator=generator(step, "x"))
        for network in (ours, theirs):
            network(x).square().sum().backward()
        mine.step(0.1 / (1 + step))
        optimiser.param_groups[0]["lr"] = 0.1 / (1 + step)
        optimiser.step()
        optimiser.zero_grad()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.grad is None
        assert torch.equal(mine.moved[name], optimiser.state[b]["momentum_buffer"])


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_weights_without_a_gradient_stay(momentum: float) -> None:
    used, unused = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    sgd = SGD({"used": used, "unused": unused}, momentum, 0.0)
    sgd.step(1.0)
    assert used.tolist() == [1, 1]
    used.sum().backward()
    sgd.step(0.5)
    assert used.tolist() == [1 - 0.5 * (1 + momentum)] * 2
    assert unused.tolist() == [1, 1]
