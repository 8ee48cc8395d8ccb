"""Strided convolutions of maps narrower than their stride keep their gradients in bfloat16 runs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ddcodec.judge.networks import fresh
from ddcodec.judge.recipe import Recipe as FileRecipe
from ddcodec.nn.workarounds import keep_narrow_exact
from ddcodec.observers.build import build
from ddcodec.observers.training import Recipe, Training
from ddcodec.preprocessing.transform import Preprocess
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source, Split

CPU = torch.device("cpu")


def network(side: int) -> nn.Sequential:
    convolution = nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8)
    made = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), convolution)
    return keep_narrow_exact(made, 1, side, side).to(memory_format=torch.channels_last)  # type: ignore[return-value, call-overload]


def gradient(made: nn.Sequential, x: torch.Tensor, half: bool) -> torch.Tensor:
    # What is freed here is what a library that forgets to write finds in its place.
    held = [torch.full((size,), float("nan")) for size in (100, 200, 400, 3600) for _ in range(50)]
    del held
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        out = made(x)
    weight = made[1].weight
    (found,) = torch.autograd.grad(out.float().square().mean(), weight)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("side", [1, 2, 3])
def test_gradients_in_bfloat16_are_those_of_float32(side: int) -> None:
    torch.manual_seed(0)
    made = network(side)
    x = torch.randn(64, 1, side, side)
    exact = gradient(made, x, False)
    for _ in range(3):
        torch.testing.assert_close(
            gradient(made, x, True), exact, rtol=0.1, atol=0.02 * float(exact.abs().max())
        )


@pytest.mark.parametrize(("side", "kind"), [(1, torch.float32), (2, torch.bfloat16)])
def test_only_narrow_maps_are_kept_out(side: int, kind: torch.dtype) -> None:
    made = network(side).train()
    with torch.autocast("cpu", torch.bfloat16):
        assert made(torch.zeros(2, 1, side, side)).dtype == kind
    assert made.training


def test_copies_compute_with_weights_of_their_own() -> None:
    made = network(1)
    other = copy.deepcopy(made)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    assert not other(torch.ones(1, 1, 1, 1)).any()
    assert made(torch.ones(1, 1, 1, 1)).any()


def narrow_ones(made: nn.Module) -> list[nn.Module]:
    return [module for module in made.modules() if "forward" in vars(module)]


def test_observers_and_students_are_kept_exact(digits: Source) -> None:
    architecture = "mobilenetv2"  # strides at one pixel on images of four
    split = Split(digits.train.images[:8, ::2, ::2], digits.train.labels[:8])
    spec = Preprocess({"kind": "none"}, 1, 4, 4)
    training = Training(split, build(architecture, 1, 4, 4, 10), spec, Recipe(steps=1), 0, CPU)
    assert narrow_ones(training.network)
    recipe = FileRecipe((1, 4, 4), 10, 1, 8, 0.01, 1, 1, "none")
    assert narrow_ones(fresh(recipe, generator(0, "x"), architecture))
