"""The hand-written derivatives against PyTorch's own, in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ddcodec.distill.instance_norm import EPS, instance_norm


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(3)
    x = torch.randn(3, 4, 5, 6, generator=g, dtype=dtype)
    scale, shift = torch.randn(2, 4, generator=g, dtype=dtype)
    return x.requires_grad_(), scale.requires_grad_(), shift.requires_grad_()


def test_the_values_are_those_of_group_norm() -> None:
    x, scale, shift = inputs(torch.float32)
    expected = F.group_norm(x, 4, scale, shift, EPS)
    assert torch.equal(instance_norm(x, scale, shift), expected)
    with torch.no_grad():
        assert torch.equal(instance_norm(x, scale, shift), expected)


def test_both_derivatives_agree_with_finite_differences() -> None:
    assert torch.autograd.gradcheck(instance_norm, inputs())
    assert torch.autograd.gradgradcheck(instance_norm, inputs())


@pytest.mark.parametrize("part", [0, 1, 2])
def test_each_part_of_the_second_derivative_agrees_with_autograd(part: int) -> None:
    g = torch.Generator().manual_seed(4)
    results = []
    for norm in (instance_norm, lambda x, a, b: F.group_norm(x, 4, a, b, EPS)):
        leaves = inputs()
        y = norm(*leaves)
        weight = torch.randn(y.shape, generator=g.manual_seed(5), dtype=y.dtype).requires_grad_()
        first = torch.autograd.grad(y, leaves, weight, create_graph=True)[part]
        along = torch.randn(first.shape, generator=g, dtype=y.dtype)
        wanted = (*leaves[:2], weight)
        found = torch.autograd.grad(first, wanted, along, allow_unused=True)
        results.append([torch.zeros((), dtype=y.dtype) if f is None else f for f in found])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected + torch.zeros_like(got), rtol=1e-9, atol=1e-10)
