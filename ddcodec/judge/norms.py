"""Norms of one image at a time, and networks in which they stand for batch norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

GROUPS = 4  # of a group norm, as in the published code of Zhao et al. (arXiv 2006.05929)


class ImageNorm(nn.Module):
    """Images of one brightness and contrast: mean 0 a channel, variance 1 over all channels.

    A network with instance norm sees neither of the two, so a file that was made for one leaves
    them as they come. Without this layer batch norm keeps statistics that no real image has.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W); one without contrast becomes zeros."""
        return torch.group_norm(x - x.mean((2, 3), keepdim=True), 1)


class InstanceNorm(nn.GroupNorm):
    """Instance norm with scale and shift. One image of one pixel has a norm too: all zeros."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W), each channel of each with mean 0, variance 1, moved."""
        # The module's own way refuses a single value a channel.
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class LastingInstanceNorm(InstanceNorm):
    """Instance norm that keeps what a map of one pixel says: that is normalised over channels.

    Deep networks end in such maps on small images, and zeros for each image teach nothing.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W) with mean 0 and variance 1, moved."""
        if x.shape[2] * x.shape[3] > 1:
            return super().forward(x)
        return torch.group_norm(x, 1, self.weight, self.bias, self.eps)


def with_norm(network: nn.Module, norm: str) -> nn.Module:
    """Replace every batch norm in place by ``instance`` or ``group`` norm; ``batch`` stays.

    The new norms are on the device of the default. Returns ``network``.
    """
    if norm == "batch":
        return network
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, _norm(norm, child.num_features))
    return network


def _norm(norm: str, channels: int) -> nn.Module:
    if norm == "instance":
        return LastingInstanceNorm(channels)
    return nn.GroupNorm(GROUPS, channels)
