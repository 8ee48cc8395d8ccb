"""How many bits a quantised poster costs, differentiably: the rate beside the distillation loss.

The file's coder predicts a pixel from six neighbours and codes the rest as normally distributed
(``format.context.prediction``). A normal variable of standard deviation s, rounded to steps d, has
about log2(s / d) + 2.05 bits where s is large beside d (half of log2(2 pi e)), and none where it is
small; half of log2(1 + 2 pi e s^2 / d^2) is both, within 0.4 bits of what the coder needs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..format.context.prediction import NEIGHBOURS

GAUSSIAN = 2 * math.pi * math.e
RIDGE = 0.01  # of the fit, relative to the mean variance of a neighbour, as the coder's


def poster_rate(poster: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Return the mean bits of a value (0-d) of a poster float32 (C, H, W), and its gradient.

    Every channel is rounded to 2^bits even levels over its range, as the file's quantiser does. The
    weights of the prediction are fitted here and held fixed in the derivative.
    """
    x = poster.detach().requires_grad_()
    centred = x - x.mean((1, 2), keepdim=True)
    near = _neighbours(centred)  # (C, 6, H W)
    target = centred.flatten(1)
    with torch.no_grad():
        gram = near @ near.transpose(1, 2)
        ridge = RIDGE * gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
        gram = gram + ridge[:, None, None] * torch.eye(len(NEIGHBOURS)).to(gram)
        # Regular by its ridge; asking whether it is would wait for the device.
        weights, _ = torch.linalg.solve_ex(gram, near @ target[:, :, None])
    rest = target - (weights.transpose(1, 2) @ near)[:, 0]
    step = (x.amax((1, 2)) - x.amin((1, 2))).clamp(min=1e-12) / (2**bits - 1)
    rate = 0.5 * torch.log2(1 + GAUSSIAN * rest.square().mean(1) / step.square()).mean()
    (gradient,) = torch.autograd.grad(rate, x)
    return rate.detach(), gradient


def _neighbours(planes: Tensor) -> Tensor:
    """Return the neighbours of each pixel of (C, H, W), 0 outside: (C, neighbours, H W)."""
    height, width = planes.shape[1:]
    padded = torch.nn.functional.pad(planes, (2, 1, 2, 0))
    near = [padded[:, 2 + y : 2 + y + height, 2 + x : 2 + x + width] for y, x in NEIGHBOURS]
    return torch.stack([plane.flatten(1) for plane in near], dim=1)
