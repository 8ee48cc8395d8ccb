"""Kernel ridge regression on network features: a cheap first stage before any unrolling.

The distilled set is good where a ridge regression on its features predicts real labels (FRePo,
Zhou et al., NeurIPS 2022). One step costs one forward and one backward pass, no second
derivatives. The regression is solved in float32 on a P x P matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .convnet_grad import features
from .networks import ConvNet

RIDGE = 1e-3  # relative to the mean diagonal of the kernel
LEAST_RIDGE = 1e-12


def kernel_gradient(
    net: ConvNet,
    flat: Tensor,
    patches: Tensor,
    labels: Tensor,
    real_x: Tensor,
    real_y: Tensor,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the regression error (0-d) on a real batch, and its gradients in patches and labels.

    Args:
        net, flat: the feature extractor and its parameters, float32 (num_params,).
        patches: float32 (P, C, h, w); labels: float32 (P, n), rows summing to 1.
        real_x: float32 (B, C, h, w); real_y: int64 (B,).
        dtype: of the network's activations; None is that of ``flat``. The regression is not.
    """
    labels = labels.detach().requires_grad_()
    at_once = net.at_once(flat.device, dtype or flat.dtype)
    real = _features(net, flat, torch.split(real_x, at_once), dtype)
    parts = torch.split(patches.detach(), at_once)
    # What leads back is kept of a single part; several make their pass again.
    found, back = (
        features(net, flat, parts[0], dtype)
        if len(parts) == 1
        else (_features(net, flat, parts, dtype), None)
    )
    distilled = found.requires_grad_()
    loss = _regression_error(distilled, labels, real, real_y)
    to_features, grad_labels = torch.autograd.grad(loss, (distilled, labels))
    if back is not None:
        return loss.detach(), back(to_features), grad_labels
    pairs = zip(parts, torch.split(to_features, at_once), strict=True)
    to_patches = [features(net, flat, part, dtype)[1](to_part) for part, to_part in pairs]
    return loss.detach(), torch.cat(to_patches), grad_labels


def kernel_error(
    net: ConvNet, flat: Tensor, patches: Tensor, labels: Tensor, real_x: Tensor, real_y: Tensor
) -> Tensor:
    """Return the regression error (0-d) alone; arguments are those of ``kernel_gradient``."""
    at_once = net.at_once(flat.device, flat.dtype)
    with torch.no_grad():
        found, real = (
            _features(net, flat, torch.split(x, at_once), None) for x in (patches, real_x)
        )
        return _regression_error(found, labels, real, real_y)


def _regression_error(distilled: Tensor, labels: Tensor, real: Tensor, real_y: Tensor) -> Tensor:
    """Return the error of real labels int64 (B,), of features (B, F), by those of (P, F)."""
    n = labels.shape[1]
    target = torch.nn.functional.one_hot(real_y, n).to(real.dtype) - 1.0 / n
    gram = distilled @ distilled.T
    # Where no feature says anything, as of images of one pixel, it is all there is.
    ridge = (RIDGE * gram.diagonal().mean()).clamp_min(LEAST_RIDGE)
    gram = gram + ridge * torch.eye(len(distilled), dtype=gram.dtype, device=gram.device)
    # The ridge keeps it regular; asking whether it was would wait for the device.
    solution, _ = torch.linalg.solve_ex(gram, labels - 1.0 / n)
    error: Tensor = 0.5 * (real @ (distilled.T @ solution) - target).square().sum(1).mean()
    return error


def _features(
    net: ConvNet, flat: Tensor, parts: Sequence[Tensor], dtype: torch.dtype | None
) -> Tensor:
    """Return the features of images in parts; what leads back is let go."""
    return torch.cat([features(net, flat, part, dtype)[0] for part in parts])
