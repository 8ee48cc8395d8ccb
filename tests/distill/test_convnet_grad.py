"""First and second derivatives written out by hand, against autograd in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddcodec.distill.convnet_grad import (
    features,
    loss_gradient,
    mixed_product,
)
from ddcodec.distill.networks import ConvNet
from ddcodec.runtime.rng import generator
from tests.judge.plain import plain, plain_features, soft_cross_entropy

NETS = {
    "two blocks": ConvNet(2, 8, 8, 4, depth=2, filters=6),
    "odd sides": ConvNet(3, 9, 7, 5, depth=2, filters=5),
    "one channel, one block": ConvNet(1, 8, 8, 3, depth=1, filters=4),
    "fused norm": ConvNet(3, 32, 32, 4, depth=3, filters=8),  # 1024 pixels and fewer
    "a side of one": ConvNet(2, 3, 10, 3, depth=2, filters=4),  # its second block does not pool
}


def problem(net: ConvNet, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return parameters, images, labels that do not sum to 1, and a direction."""
    g = generator(3, "problem")
    x = torch.randn(7, net.channels, net.height, net.width, generator=g, dtype=torch.float64)
    labels = torch.rand(7, net.classes, generator=g, dtype=torch.float64)
    flat = net.init(g).double()
    flat = flat + 0.1 * torch.randn(len(flat), generator=g, dtype=torch.float64)
    direction = torch.randn(len(flat), generator=g, dtype=torch.float64)
    return flat.to(dtype), x.to(dtype), labels.to(dtype), direction.to(dtype)


def by_autograd(net: ConvNet) -> list[Tensor]:
    """Return loss, gradient in parameters and images, and the three mixed derivatives."""
    flat, x, labels, direction = problem(net, torch.float64)
    leaves = [t.requires_grad_() for t in (flat, x, labels)]
    loss = soft_cross_entropy(plain(net, flat, x), labels)
    gradient, to_x = torch.autograd.grad(loss, leaves[:2], create_graph=True)
    mixed = torch.autograd.grad(gradient, leaves, direction)
    return [t.detach() for t in (loss, gradient, to_x, *mixed)]


def by_hand(
    net: ConvNet, dtype: torch.dtype, activations: torch.dtype | None = None
) -> list[Tensor]:
    flat, x, labels, direction = problem(net, dtype)
    tape = loss_gradient(net, flat, x, labels, activations, images=True)
    assert tape.to_x is not None
    return [tape.loss, tape.gradient, tape.to_x, *mixed_product(tape, direction)]


def errors(net: ConvNet, found: list[Tensor]) -> list[float]:
    pairs = zip(found, by_autograd(net), strict=True)
    return [float((a.double() - b).norm() / b.norm()) for a, b in pairs]


@pytest.mark.parametrize("name", NETS)
def test_every_derivative_equals_autograd_in_float64(name: str) -> None:
    assert max(errors(NETS[name], by_hand(NETS[name], torch.float64))) < 1e-11


@pytest.mark.parametrize("name", NETS)
def test_float32_stays_within_a_ten_thousandth(name: str) -> None:
    assert max(errors(NETS[name], by_hand(NETS[name], torch.float32))) < 1e-4


def test_bfloat16_keeps_the_direction() -> None:
    net = NETS["fused norm"]
    found = by_hand(net, torch.float32, torch.bfloat16)
    assert all(t.dtype == torch.float32 for t in found)
    for a, b in zip(found[1:], by_autograd(net)[1:], strict=True):
        assert float(torch.cosine_similarity(a.double().flatten(), b.flatten(), dim=0)) > 0.97


def test_both_passes_can_be_differentiated_more_than_once() -> None:
    net = NETS["two blocks"]
    flat, x, labels, direction = problem(net, torch.float64)
    tape = loss_gradient(net, flat, x, labels)
    first, other = mixed_product(tape, direction), mixed_product(tape, 2 * direction)
    for a, b in zip(first, other, strict=True):
        torch.testing.assert_close(2 * a, b)


def test_without_the_images_gradient_nothing_else_changes() -> None:
    net = NETS["odd sides"]
    flat, x, labels, _ = problem(net, torch.float32)
    lean = loss_gradient(net, flat, x, labels)
    assert lean.to_x is None
    assert torch.equal(lean.gradient, loss_gradient(net, flat, x, labels, images=True).gradient)


@pytest.mark.parametrize("name", NETS)
def test_features_and_their_adjoint_equal_autograd(name: str) -> None:
    net = NETS[name]
    flat, x, _, _ = problem(net, torch.float64)
    x.requires_grad_()
    expected = plain_features(net, flat, x)
    g = torch.randn(expected.shape, generator=generator(1, "g"), dtype=torch.float64)
    (to_x,) = torch.autograd.grad(expected, x, g)
    found, adjoint = features(net, flat, x.detach())
    torch.testing.assert_close(found, expected.detach())
    torch.testing.assert_close(adjoint(g), to_x)
