"""The estimate of a poster's rate: near what the coder needs, with the right derivative."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddcodec.distill.rate import poster_rate
from ddcodec.format import context
from ddcodec.format.quantise import Layout, quantise


def poster(smooth: float, size: int = 48) -> torch.Tensor:
    g = torch.Generator().manual_seed(1)
    noise = torch.randn((3, size, size), generator=g)
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    waves = torch.stack([torch.sin(6 * x + c) + torch.cos(5 * y) for c in range(3)])
    return smooth * waves + (1 - smooth) * noise


@pytest.mark.parametrize("smooth", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("bits", [3, 5, 8])
def test_the_rate_is_that_of_the_coder(smooth: float, bits: int) -> None:
    x = poster(smooth)
    rate, _ = poster_rate(x, bits)
    symbols, _ = quantise(x.numpy(), bits, layout=Layout(per_channel=True))
    coded = 8 * len(context.encode(symbols, bits)) / symbols.size
    assert abs(float(rate) - coded) < 0.4


def test_the_gradient_is_that_of_the_rate() -> None:
    x = poster(0.5, size=12).double()
    _, gradient = poster_rate(x, 5)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).double()
    # Away from the extremes, which set the range and have a gradient of their own.
    flat = x.flatten(1)
    direction.flatten(1)[flat == flat.amax(1, keepdim=True)] = 0
    direction.flatten(1)[flat == flat.amin(1, keepdim=True)] = 0
    eps = 1e-6
    above, below = (poster_rate(x + s * eps * direction, 5)[0] for s in (1, -1))
    numeric = float(above - below) / (2 * eps)
    # The weights are held fixed, which costs what the ridge does.
    assert numeric == pytest.approx(float((gradient * direction).sum()), rel=0.05)


def test_going_down_the_gradient_takes_fewer_bytes() -> None:
    x = poster(0.2)
    sizes = []
    for _ in range(3):
        symbols, _ = quantise(x.numpy(), 5, layout=Layout(per_channel=True))
        sizes.append(len(context.encode(symbols, 5)))
        for _ in range(20):
            _, gradient = poster_rate(x, 5)
            x = x - 0.01 * gradient / gradient.square().mean().sqrt()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.97 * sizes[0]


def test_a_flat_poster_has_no_rate_and_no_gradient_that_is_not_finite() -> None:
    rate, gradient = poster_rate(torch.ones(1, 4, 5), 8)
    assert float(rate) == 0
    assert np.isfinite(gradient.numpy()).all()
